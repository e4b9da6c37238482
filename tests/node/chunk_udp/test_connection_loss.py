"""Lost bytes are requested again, and losses limit the request rate."""

from __future__ import annotations

import pytest

from node.chunk_udp import wire
from node.chunk_udp.connection import LATE_BLACK_HOLE_PROBES, MAX_PROBE_REQUESTS
from tests.node.chunk_udp.conversation import (
    TERMS,
    PlayedOwner,
    connect,
    requests_of,
    run_timers,
    segments,
    spans,
    take,
    told,
)


def test_a_gap_is_asked_for_again_and_late_bytes_are_taken_all_the_same() -> None:
    owner = PlayedOwner()
    connection = told(connect(), owner)
    for start in range(0, 8000, 1000):
        connection.request(start, start + 1000, 1.0)
    answers = owner.answers(connection.datagrams_to_send(), 1.0)
    take(connection, answers[1:6], 1.01)
    assert connection.tracker.take_lost(5000) == (0, 1000)
    connection.request(0, 1000, 1.02)
    assert spans(take(connection, answers[:1], 1.03)) == [(0, 1000)]  # late, by the first asking
    assert take(connection, owner.answers(connection.datagrams_to_send(), 1.04), 1.04) == []
    assert connection.tracker.in_flight.bytes == 2000


def test_a_loss_that_was_none_makes_it_wait_longer_before_the_next() -> None:
    owner = PlayedOwner()
    connection = told(connect(), owner)
    for start in range(0, 16_000, 1000):
        connection.request(start, start + 1000, 1.0)
    answers = owner.answers(connection.datagrams_to_send(), 1.0)
    take(connection, [*answers[1:4], answers[0]], 1.01)
    assert connection.stats.lost_bytes == 1000  # it was only late
    take(connection, answers[5:10], 1.01)
    assert connection.stats.lost_bytes == 1000  # five behind would have been lost before
    take(connection, answers[10:11], 1.01)
    assert connection.stats.lost_bytes == 2000


def test_a_loss_shrinks_the_window_once() -> None:
    owner = PlayedOwner()
    connection = told(connect(), owner)
    for start in range(0, 10_000, 1000):
        connection.request(start, start + 1000, 1.0)
    answers = owner.answers(connection.datagrams_to_send(), 1.0)
    take(connection, answers[1:2] + answers[3:7], 1.01)  # two are lost
    assert connection.stats.lost_bytes == 2000
    assert connection.tracker.window == pytest.approx(0.7 * 12_000)  # two came before the first loss was seen


def test_each_request_is_a_sample_of_the_round_trip() -> None:
    owner = PlayedOwner()
    connection = told(connect(), owner)
    before = connection.rtt.smoothed
    connection.request(0, 2000, 1.0)
    first, second = owner.answers(connection.datagrams_to_send(), 1.0)
    take(connection, [first], 1.0 + before + 0.8)
    assert connection.rtt.latest == pytest.approx(before + 0.8)
    assert connection.rtt.smoothed == pytest.approx(before + 0.1)
    take(connection, [second], 5.0)  # the rest of an answer is a sample of the rate, not of the round trip
    assert connection.rtt.smoothed == pytest.approx(before + 0.1)


def test_a_strange_range_under_a_right_sequence_tells_nothing_of_losses() -> None:
    owner = PlayedOwner()
    connection = told(connect(), owner)
    connection.request(0, 1000, 1.0)
    connection.request(1000, 2000, 1.0)
    connection.datagrams_to_send()
    data = wire.Data(TERMS.transfer_id, 1, 2**40, bytes(1000), True)
    take(connection, [wire.encode(data)], 1.01)
    (later,) = segments(wire.Request(TERMS.transfer_id, 1, 0, 1000, b"", b"", 1000, True))
    take(connection, [later], 1.02)
    assert connection.tracker.in_flight.bytes == 1000
    assert connection.stats.lost_bytes == 0


def test_a_lost_last_segment_comes_by_probe() -> None:
    owner = PlayedOwner()
    connection = told(connect(), owner)
    connection.request(0, 3000, 1.0)
    answers = owner.answers(connection.datagrams_to_send(), 1.0)
    take(connection, answers[:2], 1.01)
    assert connection.tracker.take_lost(9000) is None  # no news is not bad news
    timer = connection.next_timer()
    assert timer is not None
    connection.on_timer(timer)
    (probe,) = requests_of(connection.datagrams_to_send())
    assert (probe.offset, probe.length) == (2000, 1000)
    assert connection.stats.probes == 1
    assert spans(take(connection, segments(probe), timer + 0.01)) == [(2000, 3000)]
    assert connection.next_timer() is None


def test_a_whole_window_lost_comes_back_after_one_probe() -> None:
    owner = PlayedOwner()
    connection = told(connect(), owner)
    for start in range(0, 10_000, 1000):
        connection.request(start, start + 1000, 1.0)
    connection.datagrams_to_send()  # all lost
    timer = connection.next_timer()
    assert timer is not None
    connection.on_timer(timer)
    probe = connection.datagrams_to_send()
    assert spans(take(connection, owner.answers(probe, timer), timer + 0.01)) == [(0, 1000)]
    assert connection.tracker.take_lost(99_999) == (1000, 10_000)


def test_each_probe_in_vain_asks_for_one_segment_more_up_to_a_few() -> None:
    """A burst of losses may be as long as several probes, and ends the sooner."""
    connection = told(connect(owner_timeout=30.0), PlayedOwner())
    connection.request(0, 10_000, 1.0)
    connection.datagrams_to_send()
    asked = []
    for _ in range(MAX_PROBE_REQUESTS + 2):
        timer = connection.next_timer()
        assert timer is not None
        connection.on_timer(timer)
        asked.append(len(requests_of(connection.datagrams_to_send())))
    assert asked == [*range(1, MAX_PROBE_REQUESTS + 1), MAX_PROBE_REQUESTS, MAX_PROBE_REQUESTS]


def test_several_probes_in_vain_close_the_window() -> None:
    owner = PlayedOwner()
    connection = told(connect(), owner)
    connection.request(0, 10_000, 1.0)
    run_timers(connection, 1.5)
    assert connection.stats.probes >= 3
    assert connection.tracker.window == 2 * connection.tracker.mtu.size


@pytest.mark.parametrize(("size", "smaller"), [(61_440, 15_360), (7216, 1804), (1400, 1200)])
def test_segments_shrink_when_answers_come_but_never_a_segment(size: int, smaller: int) -> None:
    owner = PlayedOwner()
    connection = told(connect(segment_size=size, receive_limit=4 * size), owner)
    connection.request(0, 2 * size, 1.0)
    sent: list[bytes] = []
    while connection.tracker.mtu.size == size:
        timer = connection.next_timer()
        assert timer is not None
        connection.on_timer(timer)
        sent = connection.datagrams_to_send()
    assert connection.stats.probes == 2
    probes = requests_of(sent)
    assert {probe.segment_size for probe in probes} == {smaller} == {probes[0].length}
    run_timers(connection, 2.9)
    assert connection.tracker.mtu.size == 1200  # and no further
    assert connection.tracker.controller.minimum_window == 2400


def test_segments_keep_their_size_once_one_was_seen_unless_silence_lasts() -> None:
    owner = PlayedOwner()
    connection = told(connect(segment_size=7216), owner)
    connection.request(0, 7216, 1.0)
    take(connection, owner.answers(connection.datagrams_to_send(), 1.0), 1.01)
    connection.request(7216, 14_432, 1.1)
    run_timers(connection, 1.6)
    assert LATE_BLACK_HOLE_PROBES > connection.stats.probes >= 3
    assert connection.tracker.mtu.size == 7216
    run_timers(connection, 2.6)
    assert connection.tracker.mtu.size < 7216
