"""Lists of nodes and torrents for people, as ``GET /nodes`` and ``GET /torrents`` show them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tracker.model import Counts, NodeView, SwarmCounts, SwarmView


def listed_nodes(counts: Counts, some: Sequence[NodeView]) -> dict[str, Any]:
    """How much there is, and some of the nodes."""
    return {
        "nodes": counts.nodes,
        "claimed": counts.claimed,
        "files": counts.files,
        "owned": counts.owned,
        "some_nodes": [
            {"node_id": n.node_id, "addr": list(n.addr), "uploads": n.uploads, "files": n.files,
             "claimed": n.claimed}
            for n in some
        ],
    }  # fmt: skip


def listed_torrents(swarms: Sequence[SwarmView], on_tcp: Mapping[bytes, SwarmCounts]) -> list[dict[str, Any]]:
    """The files of ``swarms``. ``on_tcp``: their peers that can be reached over TCP, by info hash."""
    return [
        _listed_torrent(swarm, on_tcp[bytes.fromhex(swarm.info_hash)] if swarm.info_hash else SwarmCounts())
        for swarm in swarms
    ]


def _listed_torrent(swarm: SwarmView, on_tcp: SwarmCounts) -> dict[str, Any]:
    return {
        "name": swarm.filename,
        "info_hash": swarm.info_hash,
        "size": swarm.size,
        "owners": swarm.whole + swarm.partial,
        "complete": swarm.whole,
        "partial": swarm.partial,
        "peers": on_tcp.standard_seeds + on_tcp.standard_leechers,
        "complete_peers": on_tcp.standard_seeds,
        "tcp_peers": on_tcp.complete + on_tcp.incomplete,
    }
