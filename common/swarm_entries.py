"""New entries of a swarm's state, of which nothing is known yet. Pure. Fields: ``common.swarm_shape``."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def new_node(time: float) -> Json:
    """An entry for a node of which nothing is known."""
    missing = ("addr", "tcp_addr", "up_limit", "down_limit", "slots", "uploads", "clock", "gap", "dumped")
    return {
        **dict.fromkeys(missing),
        **{"state": "here", "since": time, "reports": False, "silent_ms": 0, "removed": False},
        **{"transports": [], "program": "", "faults": "", "torrents": {}},
    }


def new_row() -> Json:
    """An entry for a torrent of a node. Its letters are bytes, and its pieces numbers, unlike in JSON."""
    return {
        **dict.fromkeys(("state", "complete", "slots", "moved")),
        **{"reason": "", "pieces": bytearray(), "asked": {}},
        **{"queue": [], "served": [], "answer": [], "down": 0, "up": 0},
    }


def new_fetching() -> Json:
    """The receiver's view of a link."""
    missing = ("in", "state", "complete", "held", "window", "rtt_ms", "reduced")
    return {**dict.fromkeys(missing), "place": 0, "reason": "", "transport": "", "outstanding": 0}


def new_serving() -> Json:
    """The sender's view of a link."""
    return {"out": None, "slot": None, "slot_reason": ""}


def new_totals() -> Json:
    """The counts of both ends of a link since the log's begin."""
    return {"received": 0, "sent": 0, "lost": 0, "repaired": 0}
