"""The node_id of a peer that a report names by its address. Pure.

Over TCP a node often has only the address of a peer. If it is where a node listens (``tcp_addr`` of its
node:started), the log names that node, so that all views see one peer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ONE, _LIST, _PAIRS = "peer", ("peers", "queue", "served"), ("in", "out")


class PeerNames:
    """Where the nodes of the log listen. Not thread-safe."""

    def __init__(self) -> None:
        self._nodes: dict[str, int] = {}  # by address

    def note(self, node_id: int, addr: str | None) -> None:
        """The node listens at ``addr``; None: nowhere."""
        self.forget(node_id)
        if addr is not None:
            self._nodes[addr] = node_id

    def forget(self, node_id: int) -> None:
        """The node is gone."""
        for addr in [addr for addr, known in self._nodes.items() if known == node_id]:
            del self._nodes[addr]

    def resolved(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The data of an event, with the node_id in place of each address that is a node's."""
        found = dict(data)
        if not self._nodes:
            return found
        if _ONE in found:
            found[_ONE] = self._node(found[_ONE])
        for name in _LIST:
            if name in found:
                found[name] = [self._node(peer) for peer in found[name]]
        for name in _PAIRS:
            if name in found:
                found[name] = [[self._node(peer), amount] for peer, amount in found[name]]
        return found

    def _node(self, peer: int | str) -> int | str:
        return self._nodes.get(peer, peer) if isinstance(peer, str) else peer
