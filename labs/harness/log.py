"""A short log of a made-up swarm, as the tracker writes it: JSON Lines, see docs/events.md."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Any

TORRENT = "5eed00000001"


@dataclass(frozen=True)
class ReadLog:
    """``lines`` of a log, and its events by piece."""

    lines: list[str]
    verified: dict[int, list[int]]  # piece -> nodes that verified it, in this order
    lost: int  # datagrams that were lost
    bad: list[tuple[int, int]]  # (node, piece) that did not match its hash


def made_up(rng: Random, nodes: int = 5, pieces: int = 12) -> ReadLog:
    """Nodes 2 to ``nodes`` fetch ``pieces`` pieces from node 1; some datagrams are lost, one piece is bad."""
    lines = [json.dumps({"log": "swarm/1", "run": f"{rng.getrandbits(32):08x}", "torrents": [], "nodes": []})]
    verified: dict[int, list[int]] = {piece: [] for piece in range(pieces)}
    lost, bad, seq, time = 0, list[tuple[int, int]](), dict.fromkeys(range(1, nodes + 1), 0), 0.0

    def write(node: int, name: str, **data: Any) -> None:
        seq[node] += 1
        event = {"time": round(time, 3), "node": node, "seq": seq[node], "name": name, "data": data}
        lines.append(json.dumps(event))

    todo = [(node, piece) for node in range(2, nodes + 1) for piece in range(pieces)]
    rng.shuffle(todo)
    for node, piece in todo:
        time += rng.uniform(1, 30)
        write(node, "piece:requested", torrent=TORRENT, piece=piece, peers=[1])
        if rng.random() < 0.3:
            lost += 1
            write(
                node, "datagram:lost", torrent=TORRENT, peer=1, message=f"DATA {rng.randint(1, 99)}", others=0
            )
        time += rng.uniform(1, 30)
        if rng.random() < 0.1:
            bad.append((node, piece))
            write(node, "piece:failed", torrent=TORRENT, piece=piece, peers=[1])
            continue
        verified[piece].append(node)
        write(node, "piece:verified", torrent=TORRENT, piece=piece, peers=[1])
    return ReadLog(lines, verified, lost, bad)
