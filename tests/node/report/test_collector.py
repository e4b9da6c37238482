"""Events of the bus and of looks, in one order; and what happens when some had to be dropped."""

from __future__ import annotations

import json
from typing import Any

from node import events
from node.peer import Peer
from node.report.batches import MAX_WAITING
from node.report.collector import EventCollector
from node.report.names import peer_name
from node.report.snapshot import TorrentSnapshot

HASH = "ab" * 20
TORRENT = HASH[:12]
KNOWN = {"info_hash": HASH, "name": "a.bin", "size": 10, "piece_length": 1, "pieces": 10}


def look(collector: EventCollector, **fields: Any) -> None:
    collector.begin_look()
    snapshot = TorrentSnapshot(TORRENT, KNOWN, **{"state": "downloading", **fields})
    collector.looked([snapshot], [], [], lambda torrent: [(0, 3)], peer_name)


def sent(collector: EventCollector) -> list[tuple[str, Any]]:
    """All that waits, acknowledged."""
    rows: list[tuple[str, Any]] = []
    while batch := collector.batch(None):
        rows += [(row[2], row[3]) for row in map(json.loads, batch)]
        collector.acknowledge(None)
    return rows


def piece(index: int) -> events.Piece:
    return events.Piece("a.bin", HASH, index, (7, None), ("7", "10.0.0.1:99"))


def test_results_and_states_of_the_bus_are_events_once_the_torrent_is_known() -> None:
    collector = EventCollector(lambda: 5.0)
    assert collector.on_event(piece(1)) is False  # the first look states it with piece:held
    look(collector)
    collector.on_event(piece(4))
    collector.on_event(events.PieceFailed("a.bin", HASH, 5, (7,), ("7",)))
    assert collector.on_event(events.Completed("a.bin", HASH, "a.bin", 10, 1.0, 1.0, 10.0, ())) is True
    collector.on_event(events.Sharing("a.bin", HASH, 10, "a.torrent"))  # the same state: no news
    assert [name for name, _ in sent(collector)] == [
        *("torrent:known", "piece:held", "torrent:state"),
        *("piece:verified", "piece:failed", "torrent:state"),
    ]


def test_a_peer_without_a_number_is_its_address() -> None:
    collector = EventCollector(lambda: 5.0)
    look(collector)
    sent(collector)
    collector.on_event(piece(4))
    assert sent(collector) == [
        ("piece:verified", {"torrent": TORRENT, "piece": 4, "peers": [7, "10.0.0.1:99"]})
    ]
    assert peer_name(Peer("10.0.0.1", 99, "tcp")) == "10.0.0.1:99"


def test_after_too_many_events_a_gap_and_everything_anew() -> None:
    """A tracker was gone for long. The events that are left come first, then the whole state."""
    collector = EventCollector(lambda: 5.0)
    look(collector)
    for index in range(MAX_WAITING + 7):
        collector.on_event(piece(index % 10))
    look(collector)
    rows = sent(collector)
    assert rows[0][0] == "gap"
    names = [name for name, _ in rows]
    assert names[-3:] == ["torrent:known", "piece:held", "torrent:state"]
    assert rows[0][1]["events"] + len(rows) - 1 == MAX_WAITING + 7 + 3 + 3


def test_an_ended_collector_takes_nothing() -> None:
    collector = EventCollector(lambda: 5.0)
    look(collector)
    collector.end()
    collector.on_event(piece(4))
    collector.add("node:left", {})
    assert sent(collector) == []
