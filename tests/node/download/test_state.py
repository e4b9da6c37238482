"""The state shared by threads: no byte twice, no thread left waiting."""

from __future__ import annotations

import threading

from common.bitfield import Bitfield
from common.errors import FileFault
from common.geometry import Geometry
from node.download.meter import Meter
from node.download.state import DownloadState
from node.peer import Peer
from node.scheduling.smart_ban import Evidence

A = Peer("127.0.0.1", 1, node_id=1)
B = Peer("127.0.0.1", 2, node_id=2)
LIMIT = 10.0  # seconds that a thread may take to notice


def board(size: int = 100, piece_length: int = 10) -> DownloadState:
    """The state of a download that trusts A and B."""
    geometry = Geometry(size, piece_length)
    shared = DownloadState(geometry, Bitfield(geometry.piece_count))
    shared._scheduler._parole._trusted |= {A, B}
    return shared


def waiting(shared: DownloadState, source: Peer) -> tuple[threading.Thread, list[bool]]:
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(shared.wait_for_work(source)))
    thread.start()
    return thread, answers


def drain(shared: DownloadState, source: Peer) -> int:
    total = 0
    while (span := shared.take(source, 1000)) is not None:
        total += span.end - span.start
    return total


def test_an_idle_source_wakes_when_a_wrong_piece_comes_back() -> None:
    shared = board()
    shared.start([A, B])
    assert drain(shared, A) == 100  # its own half, then all of B's
    thread, answers = waiting(shared, B)
    shared.arrived(A, 0, 10)
    shared.piece_failed(0, [Evidence(item, b"") for item in shared.contributions(0)])
    thread.join(LIMIT)
    assert answers == [True]
    assert shared.take(B, 1000) == (0, 10, False)


def test_news_of_one_source_wake_no_thread_and_free_bytes_wake_all() -> None:
    shared = board(10_000, 1000)
    shared.start([A, B])
    shared.on_bitfield(A, Bitfield(10))
    woken: list[bool] = []
    shared.changed.notify_all = lambda: woken.append(True)  # type: ignore[method-assign]
    shared.on_bitfield(A, Bitfield.from_bytes(b"\xc0\x00", 10))  # pieces 0 and 1
    assert shared.take(A, 1) is not None  # and the rest of them is meant for A
    shared.give_back(A, [(5, 5)])
    assert not woken
    shared.on_bitfield(A, Bitfield(10))
    assert len(woken) == 1
    shared.give_back(A, [(0, 10)])
    assert len(woken) == 2
    shared.join(B)  # it serves us: another source may have to go
    assert len(woken) == 3


def test_an_idle_source_wakes_when_another_dies() -> None:
    shared = board()
    shared.start([A, B])
    drain(shared, A)
    thread, answers = waiting(shared, B)
    shared.give_back(A, [(40, 50)])
    shared.leave(A)
    thread.join(LIMIT)
    assert answers == [True]
    assert drain(shared, B) == 10


def test_idle_sources_end_when_all_is_verified() -> None:
    shared = board(10, 10)
    shared.start([A, B])
    drain(shared, A)
    thread, answers = waiting(shared, B)
    shared.arrived(A, 0, 10)
    shared.piece_passed(0)
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


def test_a_dismissed_source_stops_and_its_bytes_go_to_the_others() -> None:
    shared = board()
    shared.start([A, B])
    shared.dismiss(A)
    assert shared.is_closed(A)
    assert not shared.is_closed(B)
    assert shared.take(A, 10) is None
    assert drain(shared, B) == 100


def test_a_meter_follows_the_rate() -> None:
    meter = Meter()
    for _ in range(40):
        meter.total += 500
        meter.tick(0.25)
    assert abs(meter.rate - 2000) < 1
    for _ in range(40):
        meter.tick(0.25)
    assert meter.rate < 1


def test_a_source_whose_pieces_were_deferred_looks_again_in_time() -> None:
    """No event would wake it."""
    shared = board(10, 10)
    shared.start([A])
    shared.join(B)
    shared.on_bitfield(B, Bitfield(1))
    assert shared.take(A, 10) == (0, 10, True)
    shared.defer(A, [(0, 10)])
    assert shared.take(A, 10) is None
    thread, answers = waiting(shared, A)
    thread.join(LIMIT)
    assert answers == [True]
    assert shared.take(A, 10) == (0, 10, False)
