"""The announcer against a tracker that answers, is down, forgets, refuses; events are awaited."""

from __future__ import annotations

import queue
import threading

import pytest

from common.errors import TrackerBusy, TrackerRefused
from common.messages import OwnerEntry, RegisterAnswer
from node import events
from tests.node.discovery.announcer_scene import CREDIT, FILE, LIMIT, AnnouncerScene


def states(scene: AnnouncerScene) -> tuple[str, bool]:
    status = scene.announcer.status()
    return status.state, status.silent_for is not None


def test_it_registers_at_once_and_again_and_again(scene: AnnouncerScene) -> None:
    scene.start()
    for _ in range(3):
        assert scene.hears("register") == ("127.0.0.1", 5)


def test_an_earlier_run_at_our_address_is_taken_out_first(scene: AnnouncerScene) -> None:
    scene.owned = [FILE]
    scene.tracker.files = 0
    scene.start()
    assert [scene.tracker.said.get(timeout=LIMIT)[0] for _ in range(4)] == [
        "register",
        "exit",
        "register",
        "own",
    ]


def test_who_comes_anew_is_not_taken_out(scene: AnnouncerScene) -> None:
    scene.owned = [FILE]
    scene.tracker.known = False
    scene.start()
    assert [scene.tracker.said.get(timeout=LIMIT)[0] for _ in range(2)] == ["register", "own"]


def test_a_tracker_that_is_down_is_told_everything_when_it_is_back(scene: AnnouncerScene) -> None:
    scene.tracker.down = True
    scene.start()
    lost = scene.event()
    assert isinstance(lost, events.TrackerLost)
    scene.announcer.announce(FILE)
    scene.announcer.credit(CREDIT)
    assert not scene.announcer.flush(LIMIT)  # returns at once: no tracker is there
    scene.tracker.down = False
    assert scene.hears("own") == [FILE]
    assert scene.hears("update") == (7, 100)
    assert isinstance(scene.event(), events.TrackerBack)


def test_that_it_is_down_is_said_once(scene: AnnouncerScene) -> None:
    scene.tracker.down = True
    scene.start()
    assert isinstance(scene.event(), events.TrackerLost)
    with pytest.raises(queue.Empty):
        scene.events.get(timeout=1.2)  # two more tries have failed by then


def test_that_it_refuses_is_said_even_if_it_was_down_before(scene: AnnouncerScene) -> None:
    scene.tracker.down = True
    scene.start()
    lost = scene.event()
    assert isinstance(lost, events.TrackerLost) and not lost.refuses
    scene.tracker.refuse["register"] = TrackerRefused("node 7 is in use", 409)
    scene.tracker.down = False
    assert scene.event() == events.TrackerLost(scene.tracker.url, "node 7 is in use", refuses=True)
    scene.announcer.announce(FILE)
    assert not scene.announcer.flush(LIMIT)
    assert scene.announcer.why_messages_wait == "node 7 is in use"


def test_a_busy_tracker_at_the_door_is_no_end(scene: AnnouncerScene) -> None:
    scene.tracker.refuse["register"] = TrackerBusy("too much to do", 429, 0.05)
    scene.start()
    assert isinstance(scene.event(), events.TrackerLost)
    scene.announcer.announce(FILE)
    del scene.tracker.refuse["register"]
    assert scene.hears("own") == [FILE]
    assert isinstance(scene.event(), events.TrackerBack)


def test_an_interval_beyond_our_own_is_for_trackers_that_stretch_their_deadline(
    scene: AnnouncerScene,
) -> None:
    scene.announcer.enter()
    assert scene.announcer._schedule.interval == 0.2  # our own heartbeat
    scene.tracker.knows_claims = True
    scene.announcer.enter()
    assert scene.announcer._schedule.interval == 1000.0


def test_a_node_id_that_is_taken_is_refused_at_the_door(scene: AnnouncerScene) -> None:
    scene.tracker.refuse["register"] = TrackerRefused("taken", 409)
    with pytest.raises(TrackerRefused):
        scene.announcer.enter()


def test_to_stop_is_to_wait_until_what_is_under_way_is_said_and_nothing_follows(
    scene: AnnouncerScene,
) -> None:
    """An OWN that overtakes EXIT would bring the node back, for as long as the tracker's patience."""
    under_way, go_on = threading.Event(), threading.Event()

    def slow(addr: tuple[str, int]) -> RegisterAnswer:
        under_way.set()
        assert go_on.wait(LIMIT)
        return RegisterAnswer(1000.0, True, 1000)

    scene.tracker.interval = 0.0
    scene.tracker.known = False
    scene.announcer.enter()
    scene.tracker.register = slow  # type: ignore[method-assign]
    scene.thread.start()
    assert under_way.wait(LIMIT)
    scene.announcer.announce(FILE)
    assert not scene.announcer.stop(0.01)
    go_on.set()
    assert scene.announcer.stop(LIMIT)
    scene.thread.join(LIMIT)
    said = [scene.tracker.said.get_nowait()[0] for _ in range(scene.tracker.said.qsize())]
    assert "own" not in said


def test_the_status_tells_a_refusal_from_silence_and_when_the_tracker_answered_last(
    scene: AnnouncerScene,
) -> None:
    assert states(scene)[1] is False
    scene.start()
    assert states(scene) == ("answers", True)
    scene.tracker.refuse["register"] = TrackerRefused("tracker http://h:1 refuses: taken", 409)
    assert isinstance(scene.event(), events.TrackerLost)
    assert states(scene) == ("refuses", True)
    assert "taken" in scene.announcer.status().reason
    scene.tracker.refuse.clear()
    assert isinstance(scene.event(), events.TrackerBack)
    scene.tracker.down = True
    assert isinstance(scene.event(), events.TrackerLost)
    assert states(scene) == ("does not answer", True)


def test_entering_later_does_not_wait_for_the_tracker(scene: AnnouncerScene) -> None:
    scene.announcer.enter_later()
    assert not scene.announcer.answers and states(scene) == ("not asked yet", False)
    scene.announcer.announce(FILE)
    scene.thread.start()
    assert scene.hears("own") == [FILE]
    assert scene.announcer.answers


def test_a_tracker_that_refuses_at_the_door_is_not_asked_again(scene: AnnouncerScene) -> None:
    """A torrent may name trackers of another kind: they answer 404, which is not shown."""
    scene.tracker.refuse["register"] = TrackerRefused("tracker http://h:1 refuses: HTTP status 404", 404)
    scene.announcer.enter_later()
    scene.thread.start()
    scene.thread.join(LIMIT)
    assert not scene.thread.is_alive() and scene.events.empty()
    assert states(scene) == ("refuses", False)


def test_a_node_that_cannot_be_reached_leaves_and_comes_back(scene: AnnouncerScene) -> None:
    scene.owned = [FILE]
    scene.tracker.known, scene.tracker.knows_claims = False, True  # so no heartbeat for 1,000 s
    scene.start()

    def heard(count: int) -> list[str]:
        return [scene.tracker.said.get(timeout=LIMIT)[0] for _ in range(count)]

    assert heard(2) == ["register", "own"]
    scene.announcer.leave_for_now()
    assert heard(1) == ["exit"]
    scene.announcer.credit(CREDIT)
    scene.announcer.return_now()
    assert heard(3) == ["register", "own", "update"]


def test_taking_back_waits_for_a_busy_tracker(scene: AnnouncerScene) -> None:
    scene.tracker.owners = [OwnerEntry(7, ("127.0.0.1", 5), 0)]
    scene.owned = [FILE]
    scene.tracker.known = False
    scene.start()
    scene.hears("own")
    scene.tracker.known = True
    scene.tracker.refuse["need"] = TrackerBusy("too much to do", 429, 0.05)
    scene.owned = []
    scene.announcer.withdraw(FILE)
    for _ in range(2):
        scene.hears("register")  # heartbeats go on
    del scene.tracker.refuse["need"]
    scene.hears("exit")
    assert scene.events.empty()
