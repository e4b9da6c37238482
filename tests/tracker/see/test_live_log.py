"""The live log: its bounded history, the tracker's own events, and the reasons of ranks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common import swarm_room
from common.errors import TrackerFull
from common.events import SwarmEvent, check_event, decode_event
from common.messages import OwnedFile, OwnerEntry, PeerEntry
from common.swarm_state import SwarmState
from tracker.see import history, live_log, tracker_events
from tracker.see.event_types import checked_event_data
from tracker.see.history import History
from tracker.see.live_log import DroppedState, LiveLog
from tracker.see.notices import (
    AnnounceNotice,
    ExitNotice,
    NeedNotice,
    OwnNotice,
    RegisterNotice,
    RemovedNotice,
    UpdateNotice,
)
from tracker.see.peer_names import MAX_GONE, PeerNames
from tracker.see.ranks import ordinal, reasons
from tracker.see.report import NodeReport
from tracker.see.tracker_events import TrackerEvents

HASH = "0123456789abcdef" * 2 + "01234567"
TORRENT = HASH[:12]
ADDR = ("127.0.0.1", 4001)


def owner(node: int, uploads: int, complete: bool = True) -> OwnerEntry:
    return OwnerEntry(node, ("127.0.0.1", 4000 + node), uploads, HASH, complete, 9)


# ---- history


@settings(max_examples=50)
@given(st.integers(1, 7), st.integers(1, 25), st.integers(0, 60))
def test_every_viewer_reads_each_event_once_or_a_keyframe(block: int, kept: int, events: int) -> None:
    """In blocks of any size, with the oldest dropped: positions stay, and nothing is left out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "BLOCK_EVENTS", block)
        kept_events = History(max_events=kept)
        lines = [b'{"n":%d}' % number for number in range(1, events + 1)]
        dropped: list[bytes] = []
        for line in lines:
            kept_events.append(line)
            while kept_events.is_too_long:
                dropped += kept_events.oldest()
                kept_events.drop_oldest()
    assert kept_events.last == events and events - kept_events.first <= kept + block
    assert dropped == lines[: kept_events.first]
    for since in range(kept_events.first, events + 1):
        read, position = [], since
        while step := kept_events.after(position):
            assert len(step) <= block
            read += step
            position += len(step)
        assert read == lines[since:]


def test_large_events_fill_a_block_sooner_and_are_dropped_by_their_bytes() -> None:
    kept = History(max_bytes=100_000)
    import random

    rng = random.Random(3)
    for _ in range(300):
        kept.append(rng.randbytes(30_000).hex().encode())  # does not compress well
        while kept.is_too_long:
            kept.drop_oldest()
    assert 0 < kept.last - kept.first < 40


def test_a_keyframe_takes_the_place_of_the_oldest_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "BLOCK_EVENTS", 10)
    log, dropped, everything = LiveLog(history=History(max_events=30)), DroppedState(), SwarmState()
    log.unrecorded = []
    log.take_notice(OwnNotice(1, [OwnedFile("f", HASH, 9)]), 1.0)
    for number in range(200):
        log.take_notice(RegisterNotice(number % 5, ("127.0.0.1", 4000 + number)), float(number))
        log.take_notice(UpdateNotice(number % 5, number, 1), float(number))
        while (block := log.oldest_block()) is not None:
            log.drop_oldest(dropped.keyframe_after(block))
    for line in log.unrecorded:
        everything.apply(decode_event(line))
    seen, position = SwarmState(), None
    while position != log.last:
        step = log.step(position)
        assert (step.first is None) is (position is not None)
        for line in step.lines:
            assert seen.apply(decode_event(line))
        position = step.last
    assert seen.as_json() == everything.as_json()


def test_a_log_of_a_term_has_its_last_torrents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is owned by a node that leaves; the first is forgotten for the last, and comes back."""
    for module, name in [(swarm_room, "MAX_TORRENTS"), (tracker_events, "MAX_TORRENTS"),
                         (live_log, "MAX_TORRENTS")]:  # fmt: skip
        monkeypatch.setattr(module, name, 10)
    log, state, hashes = LiveLog(), SwarmState(), [f"{number:040x}" for number in range(1, 14)]
    hashes = [each[::-1] for each in hashes]
    log.unrecorded = []
    for number, info_hash in enumerate([*hashes, hashes[0], hashes[-1]]):
        now = number * 11_000.0
        log.take_notice(OwnNotice(number, [OwnedFile(f"file {info_hash[:2]}", info_hash, 9)]), now)
        log.take_notice(NeedNotice(99, "another name", info_hash, [], []), now)
        log.take_notice(ExitNotice(99), now)
        if number != 14:
            log.take_notice(ExitNotice(number), now)
    for line in log.unrecorded:
        assert state.apply(decode_event(line))
    first, last = hashes[0][:12], hashes[-1][:12]
    assert len(state.torrents) == 10 and state.torrents[first]["name"] == "file 10"
    assert state.nodes[13]["torrents"][first]["complete"] and state.nodes[14]["torrents"][last]["complete"]
    assert state.nodes[99]["torrents"].keys() >= {first, last}


def test_a_full_log_has_room_for_a_node_when_another_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_log, "MAX_NODES", 2)
    log = LiveLog()

    def reports(node: int, *names: str) -> None:
        rows = [(1.0, seq, name, {"spec": ""}) for seq, name in enumerate(names, 1)]
        report = NodeReport.decode(
            msgspec.json.encode({"node_id": node, "run": "a", "sent": 1, "events": rows})
        )
        log.take_report(report, report.checked_events(), 1.0)

    reports(1, "node:faults", "node:left")
    reports(2, "node:faults")
    reports(3, "node:faults")
    with pytest.raises(TrackerFull):
        reports(4, "node:faults")


# ---- the tracker's events


def written(*notices: Any, ranking: str = "uploads", now: float = 0.0) -> list[tuple[str, dict[str, Any]]]:
    events = TrackerEvents(ranking)
    found = [each for notice in notices for each in events.events(notice, now)]
    for name, data in found:
        assert check_event(SwarmEvent(1.0, None, 1, name, data)).data == data
    return found


def test_notices_become_events() -> None:
    known = {
        "torrent": TORRENT, "info_hash": HASH, "name": "f", "size": 9, "piece_length": None, "pieces": None,
    }  # fmt: skip
    assert written(
        RegisterNotice(1, ADDR), OwnNotice(1, [OwnedFile("f", HASH, 9), OwnedFile("no hash")]),
        OwnNotice(2, [OwnedFile("f", HASH, 9, complete=False)]), UpdateNotice(1, 4, 2), ExitNotice(2),
        RemovedNotice(1, 22_000.0),
    ) == [
        ("tracker:register", {"node": 1, "addr": "127.0.0.1:4001"}),
        ("torrent:known", known),
        ("tracker:own", {"node": 1, "torrent": TORRENT, "complete": True}),
        ("tracker:own", {"node": 2, "torrent": TORRENT, "complete": False}),
        ("tracker:update", {"node": 1, "uploads": 4, "by": 2}),
        ("tracker:exit", {"node": 2}),
        ("node:silent", {"node": 1, "silent_ms": 22_000.0, "removed": True}),
    ]  # fmt: skip


def test_a_standard_peer_comes_completes_and_leaves_in_a_torrent_of_nodes() -> None:
    own, peer = OwnNotice(1, [OwnedFile("f", HASH, 9)]), ("198.51.100.7", 51413)
    notices = [AnnounceNotice(HASH, peer, *each) for each in (("started", False, 0), ("completed", True, 3))]
    data = {"torrent": TORRENT, "peer": "198.51.100.7:51413"}
    assert written(AnnounceNotice("ff" * 20, peer, "started", False, 0), own, *notices)[2:] == [
        ("tracker:announce", {**data, "event": "started", "complete": False, "others": 0}),
        ("tracker:announce", {**data, "event": "completed", "complete": True, "others": 3}),
    ]


def test_an_answer_is_written_with_the_reason_of_each_rank_and_repeated_only_if_it_changed() -> None:
    peer = PeerEntry(("198.51.100.7", 51413), True, "00" * 20)
    need = NeedNotice(5, "f", HASH, [owner(1, 9), owner(6, 6), owner(3, 4)], [peer])
    events = TrackerEvents()
    (_, (name, data)) = events.events(need, 0.0)
    assert name == "tracker:need" and (data["node"], data["torrent"]) == (5, TORRENT)
    assert [(row["peer"], row["reason"]) for row in data["answer"]] == [
        (1, "ranked first: 9 uploads; node 6 has 6"),
        (6, "ranked second: 6 uploads; node 1 has 9"),
        (3, "ranked third: 4 uploads; node 1 has 9, node 6 has 6"),
        ("198.51.100.7:51413", "a standard peer: listed after the nodes"),
    ]
    assert list(events.events(need, 9_000.0)) == []
    assert len(list(events.events(need._replace(owners=[owner(1, 10)]), 9_000.0))) == 1
    assert len(list(events.events(need, 30_000.0))) == 1
    assert (
        list(events.events(NeedNotice(5, "other", "ff" * 20, [], []), 0.0)) == []
    )  # the log has no such torrent


@pytest.mark.parametrize(
    ("owners", "ranking", "expected"),
    [
        ([owner(1, 1)], "uploads", ["the only complete owner; 1 upload"]),
        (
            [owner(2, 3), owner(1, 3)],
            "uploads",
            [
                "ranked first: 3 uploads, as node 1; the order of equals is drawn",
                "ranked second: 3 uploads, as node 2; the order of equals is drawn",
            ],
        ),
        (
            [owner(2, 3), owner(1, 8), owner(4, 9, complete=False)],
            "uploads",
            [
                "ranked first: 3 uploads; node 1 has 8",
                "ranked second: 8 uploads, fewer of them verified than those of node 2",
                "has a part: listed after the complete owners, at random; 9 uploads",
            ],
        ),
        ([owner(2, 3), owner(1, 8)], "rate", ["ranked first by recent uploads; 3 uploads in all",
                                             "ranked second by recent uploads; 8 uploads in all"]),
    ],
)  # fmt: skip
def test_reasons_are_what_the_ranking_did(
    owners: list[OwnerEntry], ranking: str, expected: list[str]
) -> None:
    assert reasons(owners, ranking) == expected


def test_ordinals() -> None:
    assert [ordinal(n) for n in (1, 3, 10, 11, 12, 21, 22, 23, 50)] == [
        "first", "third", "tenth", "11th", "12th", "21st", "22nd", "23rd", "50th"
    ]  # fmt: skip


def test_a_peer_that_is_a_node_is_named_by_its_node_id() -> None:
    names = PeerNames()
    names.note(7, "127.0.0.1:5007")
    moved = {
        "torrent": TORRENT, "in": [["127.0.0.1:5007", 10]], "out": [["198.51.100.7:1", 5], [2, 1]],
        "down": 10, "up": 6, "span_ms": 500,
    }  # fmt: skip
    queue = {"torrent": TORRENT, "queue": ["127.0.0.1:5007", 3], "slots": None, "served": ["x:1"]}
    granted = {"torrent": TORRENT, "peer": "127.0.0.1:5007"}

    def resolved(name: str, data: dict[str, Any]) -> Any:
        found = names.resolved(checked_event_data(1.0, 1, 1, name, msgspec.Raw(msgspec.json.encode(data))))
        return msgspec.json.decode(msgspec.json.encode(found))

    assert resolved("link:bytes", moved) == {**moved, "in": [[7, 10]]}
    assert resolved("slot:queue", queue) == {**queue, "queue": [7, 3]}
    assert resolved("slot:granted", granted) == {**granted, "peer": 7}
    names.forget(7)
    assert resolved("slot:granted", granted) == {**granted, "peer": 7}  # its peers still report about it
    names.note(8, "127.0.0.1:5007")
    assert resolved("slot:granted", granted) == {**granted, "peer": 8}
    for number in range(MAX_GONE + 2):
        names.note(9, f"10.0.0.1:{number + 1}")
    assert resolved("slot:granted", {**granted, "peer": "10.0.0.1:1"})["peer"] == "10.0.0.1:1"
