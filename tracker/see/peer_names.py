"""The node_id of a peer that a report names by its address. Pure.

Over TCP a node often has only the address of a peer. If it is where a node listens (``tcp_addr`` of its
node:started), the log names that node, so that all views see one peer.
"""

from __future__ import annotations

from typing import Any

import msgspec

MAX_GONE = 200  # addresses of nodes that left; reports about them still come

_ONE, _LISTS, _PAIRS = "peer", ("peers", "queue", "served"), ("in_", "out")


class PeerNames:
    """Where the nodes of the log listen. Not thread-safe."""

    def __init__(self) -> None:
        self._nodes: dict[str, int] = {}  # by address
        self._gone: dict[str, int] = {}  # the latest last

    def note(self, node_id: int, addr: str | None) -> None:
        """The node listens at ``addr``; None: nowhere."""
        self.forget(node_id)
        if addr is not None:
            self._nodes[addr] = node_id

    def forget(self, node_id: int) -> None:
        """The node is gone. Its peers still report about its last bytes, so its name is kept for a while."""
        for addr in [addr for addr, known in self._nodes.items() if known == node_id]:
            self._gone.pop(addr, None)
            self._gone[addr] = self._nodes.pop(addr)
        while len(self._gone) > MAX_GONE:
            del self._gone[next(iter(self._gone))]

    def resolved(self, data: Any) -> Any:
        """The data of an event, a struct, with the node_id in place of each address that is a node's."""
        if not (self._nodes or self._gone):
            return data
        found: dict[str, Any] = {}
        peer = getattr(data, _ONE, None)
        if isinstance(peer, str):
            found[_ONE] = self._node(peer)
        for name in _LISTS:
            if peers := getattr(data, name, None):
                found[name] = [self._node(each) for each in peers]
        for name in _PAIRS:
            if pairs := getattr(data, name, None):
                found[name] = [(self._node(each), amount) for each, amount in pairs]
        return msgspec.structs.replace(data, **found) if found else data

    def _node(self, peer: int | str) -> int | str:
        if not isinstance(peer, str):
            return peer
        return self._nodes[peer] if peer in self._nodes else self._gone.get(peer, peer)
