"""Owners that refuse or stay silent: given up after the stated time, and not before."""

from __future__ import annotations

import pytest

from common.errors import PeerFault
from node.chunk_udp import wire
from node.chunk_udp.connection import ConnectionState
from node.chunk_udp.loss_recovery import MAX_PROBE_TIMEOUT
from node.chunk_udp.probe_timer import ASK_INTERVAL, MAX_PORT_ERRORS
from tests.node.chunk_udp.conversation import (
    TERMS,
    PlayedOwner,
    ask_of,
    connect,
    fetch_all,
    run_timers,
    spans,
    take,
    told,
)


@pytest.mark.parametrize("reason", [r for r in wire.Refusal if r is not wire.Refusal.BUSY])
def test_a_refusal_is_the_owners_fault_and_says_why(reason: wire.Refusal) -> None:
    connection = connect()
    ask = ask_of(connection.datagrams_to_send()[0])
    with pytest.raises(PeerFault, match=str(reason)):
        take(connection, [wire.encode(wire.Refuse(ask.transfer_id, ask.sequence, reason))], 0.1)


def test_a_refusal_of_what_was_never_asked_is_ignored() -> None:
    connection = connect()
    take(connection, [wire.encode(wire.Refuse(TERMS.transfer_id, 77, wire.Refusal.BUSY))], 0.1)
    assert connection.stats.stale == 1


def test_silence_after_the_first_question_is_a_fault_after_three_timers() -> None:
    connection = connect()
    timer = connection.rtt.probe_timeout(0)
    assert run_timers(connection, 100.0) == pytest.approx(3 * timer, abs=ASK_INTERVAL)
    assert len(connection.datagrams_to_send()) >= 3


@pytest.mark.parametrize("timeout", [0.5, 2.0, 2.3, 10.0])
def test_silence_is_a_fault_after_the_stated_time_and_not_before(timeout: float) -> None:
    owner = PlayedOwner()
    connection = told(connect(owner_timeout=timeout), owner)
    connection.request(0, 1000, 5.0)
    assert run_timers(connection, 5.0 + timeout - 0.001) == 5.0 + timeout - 0.001
    assert run_timers(connection, 100.0) == pytest.approx(5.0 + timeout, abs=connection.rtt.probe_timeout(0))


def test_idle_time_is_not_silence() -> None:
    owner = PlayedOwner()
    connection = told(connect(), owner)
    fetch_all(connection, owner, 0.1, 5000)
    assert connection.next_timer() is None
    connection.on_timer(20.0)
    connection.request(5000, 6000, 20.0)
    timer = connection.next_timer()
    assert timer is not None and timer > 20.0
    assert run_timers(connection, 21.9) == 21.9


def test_who_slept_asks_again_before_blaming_the_owner() -> None:
    """Our machine was suspended for a while: that was no silence of the owner's."""
    owner = PlayedOwner()
    connection = told(connect(), owner)
    connection.request(0, 1000, 1.0)
    connection.datagrams_to_send()  # lost
    connection.on_timer(21.0)
    probe = connection.datagrams_to_send()
    timer = connection.next_timer()
    assert timer is not None and timer > 21.0
    assert spans(take(connection, owner.answers(probe, 21.01), 21.01)) == [(0, 1000)]


def test_what_comes_twice_does_not_break_the_silence() -> None:
    owner = PlayedOwner()
    connection = told(connect(), owner)
    connection.request(0, 1000, 1.0)
    connection.request(1000, 2000, 1.0)
    first, _ = owner.answers(connection.datagrams_to_send(), 1.0)
    take(connection, [first], 1.0)
    with pytest.raises(PeerFault, match="silent"):  # noqa: PT012
        for turn in range(200):
            connection.on_timer(1.0 + turn / 20)
            take(connection, [first], 1.0 + turn / 20)


def test_a_closed_port_is_a_fault_soon_but_not_at_once() -> None:
    connection = connect()
    now = 0.0
    for _ in range(MAX_PORT_ERRORS - 1):
        connection.on_port_error(now)
        timer = connection.next_timer()
        assert timer is not None and now < timer < now + 0.5
        connection.datagrams_to_send()
        connection.on_timer(timer)
        assert len(connection.datagrams_to_send()) == 1
        now = timer
    with pytest.raises(PeerFault, match="no program listens"):
        connection.on_port_error(now)
    assert now < 1.0


def test_a_port_that_opens_again_is_forgiven() -> None:
    connection, owner = connect(), PlayedOwner()
    for turn in range(10):
        connection.on_port_error(0.1 * turn)
        take(connection, owner.answers(connection.datagrams_to_send(), 0.1 * turn), 0.1 * turn)
        if connection.state is ConnectionState.FETCHING:
            connection.ask_file_size(0.1 * turn)


def test_no_timer_is_ever_in_the_past() -> None:
    owner = PlayedOwner()
    connection = told(connect(owner_timeout=30.0), owner)
    connection.request(0, 5000, 1.0)
    now, probes = 1.0, []
    while now < 25.0:
        connection.on_timer(now)
        timer = connection.next_timer()
        assert timer is not None and timer > now
        probes.append(timer - now)
        now = timer
    assert probes == pytest.approx(sorted(probes))  # ever longer
    assert probes[-1] == pytest.approx(MAX_PROBE_TIMEOUT)
