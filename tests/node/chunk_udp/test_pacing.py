"""Requests go out evenly: no bursts beyond some milliseconds' worth, no debt of time to be made up for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.chunk_udp import wire
from node.chunk_udp.congestion.base import CongestionController
from node.chunk_udp.connection import ConnectionState, FetchConnection
from node.chunk_udp.events import ConnectionConfig
from node.chunk_udp.loss_recovery import RoundTripTime
from node.chunk_udp.pacing import CATCH_UP, PACING_SECONDS, Pacer

RATE = 1_000_000.0  # bytes a second
SEGMENT = 1000
TRIP = 0.01  # seconds


def send(wakes: list[float], size: int, rate: float, until: float) -> list[float]:
    """The send times of a sender with endless demand that wakes up ``wakes`` seconds late each time."""
    pacer, now, sent = Pacer(), 0.0, []
    lateness = iter(wakes)
    while now < until:
        while pacer.free_at <= now:
            pacer.spend(size, rate, now)
            sent.append(now)
        now = pacer.free_at + next(lateness, 0.0)
    return sent


def test_the_first_may_go_at_once() -> None:
    assert Pacer().free_at < 0


def test_they_go_out_evenly() -> None:
    sent = send([], SEGMENT, RATE, 0.1)
    gaps = [later - earlier for earlier, later in zip(sent, sent[1:], strict=False)]
    catching_up = int(CATCH_UP * RATE / SEGMENT) + 1
    assert gaps[catching_up:] == pytest.approx([SEGMENT / RATE] * len(gaps[catching_up:]))
    assert len(sent) == pytest.approx(0.1 * RATE / SEGMENT, abs=catching_up + 1)


def test_a_little_lateness_is_made_up_for() -> None:
    late = CATCH_UP / 2
    sent = send([late] * 10_000, SEGMENT, RATE, 1.0)
    assert len(sent) * SEGMENT >= 0.98 * RATE


def test_a_long_pause_is_not_made_up_for() -> None:
    pacer = Pacer()
    pacer.spend(SEGMENT, RATE, 0.0)
    at_once = 0
    while pacer.free_at <= 60.0:
        pacer.spend(SEGMENT, RATE, 60.0)
        at_once += SEGMENT
    assert at_once <= CATCH_UP * RATE + SEGMENT


def test_who_does_not_pace_waits_for_nothing() -> None:
    pacer = Pacer()
    for _ in range(100):
        pacer.spend(1 << 20, float("inf"), 1.0)
        assert pacer.free_at <= 1.0


@given(st.lists(st.floats(0, 0.05), max_size=40), st.floats(0.0002, 0.02), st.floats(20_000, 1e9))
def test_over_any_time_no_more_than_the_rate_and_what_may_be_caught_up(
    wakes: list[float], seconds_each: float, rate: float
) -> None:
    size = max(1, int(seconds_each * rate))
    sent = send(wakes, size, rate, min(0.5, 60 * size / rate))
    for begin in range(len(sent)):
        for end in (len(sent) - 1, min(begin + 3, len(sent) - 1)):
            count = end - begin + 1
            seconds = sent[end] - sent[begin]
            assert count * size <= rate * (seconds + CATCH_UP) * (1 + 1e-6) + size


# ---- a connection that is paced


class Steady(CongestionController):
    """An endless window at ``RATE``."""

    def __init__(self) -> None:
        super().__init__(SEGMENT)
        self.window = 1e9

    def pacing_rate(self, rtt: RoundTripTime) -> float:
        return RATE

    def on_received(self, size: int, sent_at: float, rtt: RoundTripTime, now: float, limited: bool) -> None:
        pass

    def on_lost(self, size: int, sent_at: float, now: float) -> None:
        pass

    def on_persistent_congestion(self, now: float) -> None:
        pass


def fetching() -> FetchConnection:
    """A connection through its handshake; nothing is under way."""
    connection = FetchConnection(ConnectionConfig(b"h" * 20, 7, SEGMENT, 1 << 20, 2.0), Steady(), 0.0)
    answers: list[wire.Message] = [
        wire.Token(7, wire.decode(connection.datagrams_to_send()[0]).sequence, b"t" * 16)
    ]
    connection.datagram_received(wire.encode(answers[0]), TRIP)
    (ask,) = connection.datagrams_to_send()
    connection.datagram_received(
        wire.encode(wire.Tell(7, wire.decode(ask).sequence, 1 << 30, True)), 2 * TRIP
    )
    assert connection.state is ConnectionState.FETCHING
    return connection


def segments(datagram: bytes) -> list[bytes]:
    """The DATA that answers a REQUEST."""
    request = wire.decode(datagram)
    assert isinstance(request, wire.Request)
    starts = range(request.offset, request.offset + request.length, SEGMENT)
    return [wire.encode(wire.Data(7, request.sequence, at, bytes(SEGMENT), True)) for at in starts]


def test_a_connection_asks_at_its_controllers_rate_in_small_bursts() -> None:
    connection, now, at = fetching(), 2 * TRIP, 0
    began, asked, bursts = now, 0, []
    under_way: list[tuple[float, list[bytes]]] = []
    while now < began + 0.5:
        while under_way and under_way[0][0] <= now:
            for datagram in under_way.pop(0)[1]:
                connection.datagram_received(datagram, now)
        burst = 0
        while connection.may_request(now):
            size = connection.tracker.request_size
            connection.request(at, at + size, now)
            at, burst = at + size, burst + size
        under_way += [(now + TRIP, segments(datagram)) for datagram in connection.datagrams_to_send()]
        bursts.append(burst)
        asked += burst
        timer = connection.next_timer()
        assert timer is not None and timer > now, "spins"
        now = min(timer, under_way[0][0])
    assert max(bursts) <= RATE * (PACING_SECONDS + CATCH_UP) + SEGMENT
    assert asked == pytest.approx(0.5 * RATE, rel=0.03)


def test_what_is_only_a_matter_of_time_keeps_a_connection_from_being_idle() -> None:
    """Or its loop would sleep until there is news from the supply."""
    connection = fetching()
    idle_before, at, now = connection.idle, 0, 1.0
    while connection.may_request(now):
        connection.request(at, at + SEGMENT, now)
        at += SEGMENT
    assert (idle_before, connection.idle) == (True, False)
    timer = connection.next_timer()
    assert timer is not None and timer < now + 0.1
