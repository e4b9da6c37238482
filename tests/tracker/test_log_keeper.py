"""The live log and the five requests: its cost for them, and its order under many at once."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from common.messages import Exit, Need, Own, Register, Update
from common.swarm_shape import MAX_NODES
from common.udp_tracker import AnnounceEvent
from tracker import log_keeper
from tracker.bootstrap import begin_log
from tracker.log_keeper import MAX_ANNOUNCES, LogKeeper
from tracker.model import Announcement, Rules
from tracker.service import TrackerService
from tracker.settings import TrackerSettings
from tracker.storage.memory import MemoryStorage

ADDR = ("127.0.0.1", 4001)
HASH = "ab" * 20
REGISTER = Register(1, ADDR)
OWN = Own.from_json({"node_id": 1, "addr": list(ADDR), "filename": "f", "info_hash": HASH})
MOST_CALLS = {  # of functions of the live log, per request
    "heartbeat": 1, "OWN": 6, "OWN again": 0, "NEED": 5, "UPDATE": 5, "EXIT": 5, "started": 5, "announce": 0,
    "stopped": 5,
}  # fmt: skip


@pytest.fixture
def service() -> TrackerService:
    service = TrackerService(MemoryStorage(Rules()), Rules())
    service.register_node(REGISTER)
    return service


def announcement(event: AnnounceEvent) -> Announcement:
    return Announcement(bytes.fromhex(HASH) + bytes(24), b"\xc6\x33\x64\x07\x1a\xe1", False, event)


def calls(act: Callable[[], object]) -> Counter[str]:
    """Calls of Python functions by module while ``act`` runs."""
    counted: Counter[str] = Counter()

    def count(frame: Any, event: str, argument: object) -> None:
        if event == "call":
            counted[frame.f_globals.get("__name__", "")] += 1

    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(None)
    return counted


def test_a_request_only_leaves_a_notice(service: TrackerService) -> None:
    requests: dict[str, Callable[[], object]] = {
        "heartbeat": lambda: service.register_node(REGISTER),
        "OWN": lambda: service.add_file_owner(OWN),
        "OWN again": lambda: service.add_file_owner(OWN),
        "NEED": lambda: service.search_file(Need(1, info_hash=HASH)),
        "UPDATE": lambda: service.update_db(Update(1, "f")),
        "started": lambda: service.announces.announce(announcement(AnnounceEvent.STARTED)),
        "announce": lambda: service.announces.announce(announcement(AnnounceEvent.NONE)),
        "stopped": lambda: service.announces.announce(announcement(AnnounceEvent.STOPPED)),
        "EXIT": lambda: service.remove_node(Exit(1)),
    }
    assert requests.keys() == MOST_CALLS.keys()
    for name, act in requests.items():
        counted = calls(act)
        ours = sum(number for module, number in counted.items() if module == log_keeper.__name__)
        assert ours <= MOST_CALLS[name], (name, counted)
        assert not [module for module in counted if module.startswith("tracker.see")], name
    assert names(service.live)[1:] == [
        "tracker:register", "torrent:known", "tracker:own", "tracker:need", "tracker:update",
        "tracker:announce", "tracker:announce", "tracker:exit",
    ]  # fmt: skip


def names(live: LogKeeper) -> list[str]:
    live.publish()
    return [event["name"] for event in json.loads(live.answer(None, None).body)["events"]]


def test_notices_that_come_too_fast_are_a_gap(
    service: TrackerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_keeper, "MAX_NOTICES", 3)
    for number in range(10):
        service.live.on_update(1, number, 1)
    service.live.publish()
    events = json.loads(service.live.answer(None, None).body)["events"]
    assert [event["name"] for event in events[2:]] == ["tracker:update", "tracker:update", "gap"]
    assert events[-1]["data"]["events"] == 8  # the first notice was that of REGISTER


def test_a_flood_of_announces_is_counted_and_leaves_room_for_nodes(service: TrackerService) -> None:
    service.add_file_owner(OWN)
    for _ in range(5000):
        service.live.on_announce(HASH, ("198.51.100.7", 1), "started", False)
    service.live.on_update(1, 9, 1)
    service.live.publish()
    service.live.on_announce(HASH, ("198.51.100.7", 1), "stopped", False)
    service.live.publish()
    events = json.loads(service.live.answer(None, None).body)["events"]
    assert [event["name"] for event in events].count("tracker:announce") == MAX_ANNOUNCES + 1
    assert events[-2]["name"] == "tracker:update"
    assert events[-1]["data"]["others"] == 5000 - MAX_ANNOUNCES


def test_nodes_beyond_the_limit_are_not_in_the_log() -> None:
    live = LogKeeper()
    for number in range(MAX_NODES + 50):
        live.on_register(number, ("127.0.0.1", 1 + number))
        live.on_update(number, 1, number)
    live.on_exit(3)
    live.on_register(MAX_NODES + 7, ADDR)  # there is room again
    assert len(live._addrs) == MAX_NODES


def test_an_answer_is_rendered_once_for_all_viewers(
    service: TrackerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_keeper, "PUBLISH_SECONDS", 1e9)
    service.live.publish()
    first = service.live.answer(None, None)
    service.add_file_owner(OWN)  # nothing of it until the next time
    assert all(service.live.answer(None, None) is first for _ in range(5))
    service.live.publish()
    assert service.live.answer(None, None).tag != first.tag


@pytest.mark.parametrize(
    ("storage", "address", "source"),
    [
        ("json", ADDR, "tracker 127.0.0.1:4001"),
        ("redis", ADDR, "tracker 127.0.0.1:4001, of several on one Redis"),
        ("redis", None, "tracker process PID, of several on one Redis"),
    ],
)
def test_the_source_says_which_process_a_viewer_looks_at(
    storage: str, address: tuple[str, int] | None, source: str
) -> None:
    service = TrackerService(MemoryStorage(Rules()), Rules())
    begin_log(service, TrackerSettings(storage=storage), address)
    service.live.publish()
    answer = json.loads(service.live.answer(None, None).body)
    assert answer["header"]["source"] == source.replace("PID", str(os.getpid()))
    assert answer["header"]["run"] == answer["epoch"]
    started = answer["events"][1]
    assert started["name"] == "tracker:started" and started["data"]["epoch"] == answer["epoch"]
