"""The board shared by threads: no byte twice, no thread left waiting, blame where it is due."""

from __future__ import annotations

import threading

from common.bitfield import Bitfield
from common.errors import FileFault
from common.geometry import Geometry
from node.download.state import FRUITLESS, HELPLESS, DownloadState, Meter
from node.peer import Peer
from node.scheduling.blame import Evidence

A = Peer("127.0.0.1", 1, node_id=1)
B = Peer("127.0.0.1", 2, node_id=2)
LIMIT = 10.0  # seconds that a thread may take to notice


def board(size: int = 100, piece_length: int = 10) -> DownloadState:
    """A board on which A and B are known: both have given a right piece."""
    geometry = Geometry(size, piece_length)
    shared = DownloadState(geometry, Bitfield(geometry.piece_count))
    shared._plan.probation.right(0, [A, B])
    return shared


def waiting(shared: DownloadState, source: Peer) -> tuple[threading.Thread, list[bool]]:
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(shared.wait_for_work(source)))
    thread.start()
    return thread, answers


def drain(shared: DownloadState, source: Peer) -> int:
    total = 0
    while (span := shared.take(source, 1000)) is not None:
        total += span[1] - span[0]
    return total


def test_an_idle_source_wakes_when_a_wrong_piece_comes_back() -> None:
    shared = board()
    shared.start([A, B])
    assert drain(shared, A) == 100  # its own half, then all of B's
    thread, answers = waiting(shared, B)
    shared.arrived(A, 0, 10)
    shared.wrong(0)
    thread.join(LIMIT)
    assert answers == [True]
    assert shared.take(B, 1000) == (0, 10)


def test_news_that_is_one_sources_alone_wakes_nobody_and_what_becomes_free_wakes_all() -> None:
    shared = board(10_000, 1000)
    shared.start([A, B])
    shared.told(A, Bitfield(10))
    woken: list[bool] = []
    shared.changed.notify_all = lambda: woken.append(True)  # type: ignore[method-assign]
    shared.told(A, Bitfield.from_bytes(b"\xc0\x00", 10))  # pieces 0 and 1
    assert shared.take(A, 1) is not None  # and the rest of them is meant for A
    shared.give_back([(5, 5)], A)
    assert not woken
    shared.told(A, Bitfield(10))
    assert len(woken) == 1
    shared.give_back([(0, 10)], A)
    assert len(woken) == 2
    shared.join(B)  # it serves us: another one may have to go
    assert len(woken) == 3


def test_an_idle_source_wakes_when_another_dies() -> None:
    shared = board()
    shared.start([A, B])
    drain(shared, A)
    thread, answers = waiting(shared, B)
    shared.give_back([(40, 60)])
    shared.leave(A)
    thread.join(LIMIT)
    assert answers == [True]
    assert drain(shared, B) == 20


def test_idle_sources_end_when_all_is_verified() -> None:
    shared = board(10, 10)
    shared.start([A, B])
    drain(shared, A)
    thread, answers = waiting(shared, B)
    shared.arrived(A, 0, 10)
    shared.right(0)
    thread.join(LIMIT)
    assert answers == [False]
    assert shared.complete


def test_idle_sources_end_when_the_download_is_hopeless() -> None:
    shared = board()
    shared.start([A])
    drain(shared, A)
    thread, answers = waiting(shared, A)
    fault = FileFault("disk")
    shared.stop(fault)
    thread.join(LIMIT)
    assert answers == [False]
    assert shared.fault is fault
    assert shared.take(A, 10) is None


def test_one_that_is_dismissed_stops_and_its_rest_goes_to_the_others() -> None:
    shared = board()
    shared.start([A, B])
    shared.dismiss(A)
    assert shared.over_for(A)
    assert not shared.over_for(B)
    assert shared.take(A, 10) is None
    assert drain(shared, B) == 100


def test_verified_bytes_are_credited_to_those_who_sent_them() -> None:
    shared = board(20, 10)
    shared.start([A, B])
    shared.arrived(A, 0, 10)
    shared.arrived(A, 10, 13)
    shared.arrived(B, 13, 20)
    shared.right(0)
    assert shared.verified_from(A) == 10
    shared.wrong(1, [Evidence(share, b"") for share in shared.shares(1)])
    assert (shared.verified_from(A), shared.verified_from(B)) == (10, 0)


def test_a_meter_follows_the_rate() -> None:
    meter = Meter()
    for _ in range(40):
        meter.total += 500
        meter.tick(0.25)
    assert abs(meter.rate - 2000) < 1
    for _ in range(40):
        meter.tick(0.25)
    assert meter.rate < 1


def test_one_that_was_dismissed_may_come_again() -> None:
    shared = board()
    shared.start([A])
    shared.dismiss(A)
    assert shared.take(A, 10) is None
    shared.join(A)
    assert not shared.over_for(A)
    assert drain(shared, A) == 10  # one piece, until that one is right
    shared.arrived(A, 0, 10)
    shared.right(0)
    assert drain(shared, A) == 90


def test_a_download_is_helpless_when_nobody_can_be_asked_or_nothing_comes_from_whoever_is_asked() -> None:
    now = 0.0
    shared = DownloadState(Geometry(100, 10), Bitfield(10), clock=lambda: now)
    shared.start([A])
    assert not shared.helpless(HELPLESS) and shared.helpless(HELPLESS + 0.1)
    span = shared.take(A, 10)
    assert span is not None
    assert not shared.helpless(FRUITLESS) and shared.helpless(FRUITLESS + 0.1)
    now = FRUITLESS
    shared.accept(A, span[0], span[1] - 1)
    assert not shared.helpless(FRUITLESS + 0.1)


def test_who_has_left_all_to_others_looks_again_in_time() -> None:
    """Nothing else happens by then that would wake it."""
    shared = board(10, 10)
    shared.start([A])
    shared.join(B)
    shared.told(B, Bitfield(1))
    span = shared.take(A, 10)
    assert span == (0, 10)
    shared.passed_on(A, [span])
    assert shared.take(A, 10) is None
    thread, answers = waiting(shared, A)
    thread.join(LIMIT)
    assert answers == [True]
    assert shared.take(A, 10) == (0, 10) and not shared.wants_rare(A, 0)


def test_what_is_late_is_meant_by_whoever_is_asked_besides() -> None:
    now = [0.0]
    geometry = Geometry(20, 10)
    shared = DownloadState(geometry, Bitfield(2), clock=lambda: now[0])
    shared._plan.probation.right(0, [A, B])
    shared.start([A])
    shared.join(B)
    shared.told(B, Bitfield.full(2))
    while shared.take(B, 10):
        pass
    now[0] = 10.0
    span = shared.take(A, 10)
    assert span is not None and shared._plan.outstanding._twice
    assert not shared.wants_rare(A, span[0]) and shared.wants_rare(A, (span[0] + 10) % 20)


def test_whether_it_need_be_rare_is_not_asked_while_somebody_joins() -> None:
    shared = board()
    shared.start([A])
    asked = threading.Event()
    thread = threading.Thread(target=lambda: (shared.wants_rare(A, 0), asked.set()))
    with shared._lock:
        thread.start()
        assert not asked.wait(0.05)
    assert asked.wait(LIMIT)
    thread.join(LIMIT)
