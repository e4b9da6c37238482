"""The fetcher's state machine, event by event, with a hand on the clock."""

from __future__ import annotations

import dataclasses

import pytest

from common.errors import OwnerFault
from node.chunk_udp import wire
from node.chunk_udp.answers import Answerer, SendChunk
from node.chunk_udp.congestion import make_controller
from node.chunk_udp.connection import (
    ASK_INTERVAL,
    LATE_BLACK_HOLE_PROBES,
    MAX_REFUSALS,
    MAX_TOKENS_IN_A_ROW,
    PROBE_REQUESTS,
    FetchConnection,
    State,
)
from node.chunk_udp.facts import Arrived, Fact, Terms, Told
from node.chunk_udp.recovery import MAX_PROBE_TIMEOUT
from node.chunk_udp.tokens import EPOCH, TokenMint

HERE = ("192.0.2.7", 40_000)
TERMS = Terms(
    info_hash=b"h" * 20, transfer_id=0xC0FFEE, segment_size=1000, receive_limit=64_000, owner_timeout=2.0
)
CONTENT = bytes(range(256)) * 400


@dataclasses.dataclass
class Content:
    """What the owner shares."""

    size: int = len(CONTENT)
    offered: bool = True

    held = None

    def holds(self, start: int, end: int) -> bool:
        return True


class Owner:
    """Answers as the real one does; ``secret`` makes its tokens."""

    def __init__(self, secret: bytes = b"secret") -> None:
        self.content = Content()
        self.answerer = Answerer(TokenMint(secret), {TERMS.info_hash: self.content})

    def answers(self, datagrams: list[bytes], now: float) -> list[bytes]:
        """What it sends back for all of ``datagrams``, in order."""
        return [answer for datagram in datagrams for answer in self._answer(datagram, now)]

    def _answer(self, datagram: bytes, now: float) -> list[bytes]:
        answer = self.answerer.handle_requests(datagram, HERE, now)
        if isinstance(answer, SendChunk):
            return segments(answer.request)
        return [] if answer is None else [wire.encode(answer)]


def segments(request: wire.Request) -> list[bytes]:
    end = request.offset + request.length
    starts = range(request.offset, end, request.segment_size)
    spans = [(at, min(at + request.segment_size, end)) for at in starts]
    return [
        wire.encode(wire.Data(request.transfer_id, request.sequence, s, CONTENT[s:e], request.checked))
        for s, e in spans
    ]


def connect(**terms: object) -> FetchConnection:
    changed = dataclasses.replace(TERMS, **terms)  # type: ignore[arg-type]  # each test names its own
    return FetchConnection(changed, make_controller("cubic", changed.segment_size), 0.0)


def take(connection: FetchConnection, datagrams: list[bytes], now: float) -> list[Fact]:
    return [fact for datagram in datagrams for fact in connection.datagram_received(datagram, now)]


def told(connection: FetchConnection, owner: Owner, now: float = 0.01) -> FetchConnection:
    """Through the handshake; FETCHING afterwards."""
    for step in (0, 1):
        take(connection, owner.answers(connection.datagrams_to_send(), now), now + step * 0.01)
    assert connection.state is State.FETCHING
    return connection


def ask_of(datagram: bytes) -> wire.Ask:
    message = wire.decode(datagram)
    assert isinstance(message, wire.Ask)
    return message


def requests_of(datagrams: list[bytes]) -> list[wire.Request]:
    messages = [wire.decode(datagram) for datagram in datagrams]
    assert all(isinstance(message, wire.Request) for message in messages)
    return [message for message in messages if isinstance(message, wire.Request)]


def spans(facts: list[Fact]) -> list[tuple[int, int]]:
    assert all(
        isinstance(fact, Arrived) and fact.payload == CONTENT[fact.offset :][: len(fact.payload)]
        for fact in facts
    )
    return [(fact.offset, fact.offset + len(fact.payload)) for fact in facts if isinstance(fact, Arrived)]


def run_timers(connection: FetchConnection, until: float) -> float:
    """Let the time pass with nothing coming; when the fault came, else ``until``."""
    for _ in range(1000):
        timer = connection.next_timer()
        if timer is None or timer > until:
            return until
        try:
            connection.on_timer(timer)
        except OwnerFault:
            return timer
    raise AssertionError("timers spin")


# ---- the handshake


def test_the_first_question_is_padded_and_shows_no_token() -> None:
    (datagram,) = connect().datagrams_to_send()
    assert len(datagram) == wire.ASK_SIZE
    assert ask_of(datagram).token == wire.NO_TOKEN


def test_a_token_then_an_answer_and_bytes_may_be_asked_for() -> None:
    connection, owner = connect(), Owner()
    assert (connection.state, connection.room()) == (State.VALIDATING, 0)
    assert take(connection, owner.answers(connection.datagrams_to_send(), 0.1), 0.1) == []
    assert (connection.state, connection.room()) == (State.ASKING, 0)
    facts = take(connection, owner.answers(connection.datagrams_to_send(), 0.2), 0.2)
    assert facts == [Told(len(CONTENT), True, 0, b"")]
    assert connection.state is State.FETCHING
    assert connection.room() == connection.window > 0
    assert connection.rtt.smoothed == pytest.approx(0.1)
    assert connection.next_timer() is None  # nothing is awaited


@pytest.mark.parametrize("round_trip", [0.001, 0.5, 1.1, 1.5, 2.5])
def test_a_round_trip_longer_than_the_first_timer_does_not_matter(round_trip: float) -> None:
    """Questions are repeated before the first answer is here; whichever answer comes is good."""
    connection, owner = connect(), Owner()
    under_way: list[tuple[float, bytes]] = []
    now = 0.0
    while connection.state is not State.FETCHING:
        assert now < 5 * round_trip + 1, "hangs in its handshake"
        under_way += [(now + round_trip, a) for a in owner.answers(connection.datagrams_to_send(), now)]
        timer = connection.next_timer()
        assert timer is not None
        now = min([timer] + [when for when, _ in under_way[:1]])
        while under_way and under_way[0][0] <= now:
            take(connection, [under_way.pop(0)[1]], now)
        connection.on_timer(now)
    assert connection.rtt.smoothed == pytest.approx(round_trip)


def test_an_answer_while_still_waiting_for_a_token_is_an_answer() -> None:
    """TOKEN 1 late, TOKEN 2 lost, and ASK 3, which shows TOKEN 1, is answered with TELL."""
    connection, owner = connect(), Owner()
    first = connection.datagrams_to_send()
    run_timers(connection, 1.5)
    assert len(connection.datagrams_to_send()) == 1.5 // ASK_INTERVAL  # repeated; lost
    take(connection, owner.answers(first, 1.6), 1.6)
    facts = take(connection, owner.answers(connection.datagrams_to_send(), 1.7), 1.7)
    assert [type(fact) for fact in facts] == [Told]
    assert connection.state is State.FETCHING


def test_each_question_is_answered_once() -> None:
    connection, owner = connect(), Owner()
    take(connection, owner.answers(connection.datagrams_to_send(), 0.1), 0.1)
    answer = owner.answers(connection.datagrams_to_send(), 0.2)
    assert len(take(connection, answer * 3, 0.2)) == 1
    assert connection.counters.stale == 2


def test_an_old_answer_does_not_answer_a_new_question() -> None:
    connection, owner = connect(), Owner()
    take(connection, owner.answers(connection.datagrams_to_send(), 0.1), 0.1)
    old = owner.answers(connection.datagrams_to_send(), 0.2)
    take(connection, old, 0.2)
    connection.ask_file_size(0.3, first_piece=8192)
    question = connection.datagrams_to_send()
    assert ask_of(question[0]).first_piece == 8192
    assert take(connection, old, 0.4) == []
    assert connection.room() == 0
    assert len(take(connection, owner.answers(question, 0.5), 0.5)) == 1
    assert connection.room() > 0


def test_a_question_in_mid_transfer_lets_what_was_asked_for_arrive() -> None:
    owner = Owner()
    connection = told(connect(), owner)
    connection.request(0, 2000, 1.0)
    answers = owner.answers(connection.datagrams_to_send(), 1.0)
    connection.ask_file_size(1.0)
    assert connection.room() == 0
    assert spans(take(connection, answers, 1.1)) == [(0, 1000), (1000, 2000)]
    take(connection, owner.answers(connection.datagrams_to_send(), 1.2), 1.2)
    assert connection.room() > 0


def test_a_repeated_token_for_a_question_takes_no_request_back() -> None:
    """Questions and requests are numbered apart."""
    connection, owner = connect(), Owner()
    token = owner.answers(connection.datagrams_to_send(), 0.1)
    take(connection, token, 0.1)
    take(connection, owner.answers(connection.datagrams_to_send(), 0.2), 0.2)
    connection.request(0, 1000, 0.3)
    take(connection, token * 20, 0.4)
    assert connection.in_flight == 1000
    assert connection.take_lost(1000) is None


# ---- tokens that expire


def fetch_all(connection: FetchConnection, owner: Owner, now: float, end: int) -> list[tuple[int, int]]:
    """Fetch ``[0, end)``, a round trip of 0.01 s each, until nothing is outstanding or lost."""
    arrived: list[tuple[int, int]] = []
    offset = 0
    for _ in range(1000):
        while connection.room() >= connection.request_size:
            span = connection.take_lost(connection.request_size)
            if span is None and offset < end:
                span = (offset, min(offset + connection.request_size, end))
                offset = span[1]
            if span is None:
                break
            connection.request(*span, now)
        sent = connection.datagrams_to_send()
        if not sent and not connection.in_flight:
            return sorted(arrived)
        now += 0.01
        arrived += spans(take(connection, owner.answers(sent, now), now))
    raise AssertionError("does not end")


def whole(arrived: list[tuple[int, int]], end: int) -> bool:
    """Whether sorted ``arrived`` tiles ``[0, end)``: each byte once."""
    return [s for s, _ in arrived] + [end] == [0] + [e for _, e in arrived]


def test_an_expired_token_costs_a_round_trip_and_no_byte() -> None:
    owner = Owner()
    connection = told(connect(), owner)
    assert whole(fetch_all(connection, owner, 0.1, 20_000), 20_000)
    before = owner.answerer.counts["token"]
    assert whole(fetch_all(connection, owner, 3 * EPOCH, 50_000), 50_000)
    assert owner.answerer.counts["token"] > before
    assert connection.counters.lost_bytes == 0  # no congestion: nothing was lost


def test_an_owner_that_restarts_is_another_secret_and_no_byte_is_lost() -> None:
    owner = Owner()
    connection = told(connect(), owner)
    fetch_all(connection, owner, 0.1, 20_000)
    assert whole(fetch_all(connection, Owner(b"another"), 0.5, 50_000), 50_000)


def test_an_owner_that_asks_for_another_token_for_ever_is_left() -> None:
    connection = connect()
    with pytest.raises(OwnerFault, match="tokens"):  # noqa: PT012  # which one raises is not the point
        for number in range(MAX_TOKENS_IN_A_ROW + 1):
            sent = connection.datagrams_to_send()
            ask = ask_of(sent[-1])
            token = number.to_bytes(16, "big").replace(b"\0", b"x")
            take(connection, [wire.encode(wire.Token(ask.transfer_id, ask.sequence, token))], 0.01 * number)


def test_an_owner_that_refuses_the_very_token_it_gives_is_left() -> None:
    """The same TOKEN for every REQUEST: no byte comes, and yet it is never silent."""
    owner = Owner()
    connection = told(connect(), owner)
    token = TokenMint(b"secret").make(HERE, 0.0)
    span: tuple[int, int] | None = (0, 1000)
    with pytest.raises(OwnerFault, match="tokens"):  # noqa: PT012
        for turn in range(100):
            now = 1 + 0.01 * turn
            assert span is not None
            connection.request(*span, now)
            for request in requests_of(connection.datagrams_to_send()):
                take(connection, [wire.encode(wire.Token(request.transfer_id, request.sequence, token))], now)
            span = connection.take_lost(1000)


def test_tokens_that_expire_between_questions_are_no_fault() -> None:
    """An owner that is asked now and then what it has, and delivers nothing meanwhile, is a good owner."""
    owner = Owner()
    connection = told(connect(), owner)
    for turn in range(1, 3 * MAX_TOKENS_IN_A_ROW):
        now = turn * 3 * EPOCH
        connection.ask_file_size(now)
        for _ in range(2):
            take(connection, owner.answers(connection.datagrams_to_send(), now), now)
        assert connection.state is State.FETCHING


# ---- owners that say no, or nothing


@pytest.mark.parametrize("reason", [r for r in wire.Refusal if r is not wire.Refusal.BUSY])
def test_a_refusal_is_the_owners_fault_and_says_why(reason: wire.Refusal) -> None:
    connection = connect()
    ask = ask_of(connection.datagrams_to_send()[0])
    with pytest.raises(OwnerFault, match=str(reason)):
        take(connection, [wire.encode(wire.Refuse(ask.transfer_id, ask.sequence, reason))], 0.1)


def test_a_refusal_of_what_was_never_asked_is_ignored() -> None:
    connection = connect()
    take(connection, [wire.encode(wire.Refuse(TERMS.transfer_id, 77, wire.Refusal.BUSY))], 0.1)
    assert connection.counters.stale == 1


def test_silence_after_the_first_question_is_a_fault_after_three_timers() -> None:
    connection = connect()
    timer = connection.rtt.probe_timeout(0)
    assert run_timers(connection, 100.0) == pytest.approx(3 * timer, abs=ASK_INTERVAL)
    assert len(connection.datagrams_to_send()) >= 3


@pytest.mark.parametrize("timeout", [0.5, 2.0, 2.3, 10.0])
def test_silence_is_a_fault_after_the_stated_time_and_not_before(timeout: float) -> None:
    owner = Owner()
    connection = told(connect(owner_timeout=timeout), owner)
    connection.request(0, 1000, 5.0)
    assert run_timers(connection, 5.0 + timeout - 0.001) == 5.0 + timeout - 0.001
    assert run_timers(connection, 100.0) == pytest.approx(5.0 + timeout, abs=connection.rtt.probe_timeout(0))


def test_idle_time_is_not_silence() -> None:
    owner = Owner()
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
    owner = Owner()
    connection = told(connect(), owner)
    connection.request(0, 1000, 1.0)
    connection.datagrams_to_send()  # lost
    connection.on_timer(21.0)
    probe = connection.datagrams_to_send()
    timer = connection.next_timer()
    assert timer is not None and timer > 21.0
    assert spans(take(connection, owner.answers(probe, 21.01), 21.01)) == [(0, 1000)]


def test_what_comes_twice_does_not_break_the_silence() -> None:
    owner = Owner()
    connection = told(connect(), owner)
    connection.request(0, 1000, 1.0)
    connection.request(1000, 2000, 1.0)
    first, _ = owner.answers(connection.datagrams_to_send(), 1.0)
    take(connection, [first], 1.0)
    with pytest.raises(OwnerFault, match="silent"):  # noqa: PT012
        for turn in range(200):
            connection.on_timer(1.0 + turn / 20)
            take(connection, [first], 1.0 + turn / 20)


def test_a_closed_port_is_a_fault_soon_but_not_at_once() -> None:
    connection = connect()
    now = 0.0
    for _ in range(MAX_REFUSALS - 1):
        connection.refused(now)
        timer = connection.next_timer()
        assert timer is not None and now < timer < now + 0.5
        connection.datagrams_to_send()
        connection.on_timer(timer)
        assert len(connection.datagrams_to_send()) == 1
        now = timer
    with pytest.raises(OwnerFault, match="nobody listens"):
        connection.refused(now)
    assert now < 1.0


def test_a_port_that_opens_again_is_forgiven() -> None:
    connection, owner = connect(), Owner()
    for turn in range(10):
        connection.refused(0.1 * turn)
        take(connection, owner.answers(connection.datagrams_to_send(), 0.1 * turn), 0.1 * turn)
        if connection.state is State.FETCHING:
            connection.ask_file_size(0.1 * turn)


def test_no_timer_is_ever_in_the_past() -> None:
    owner = Owner()
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


# ---- what was asked for, and what was not


def test_every_segment_arrives_once_however_often_it_comes() -> None:
    owner = Owner()
    connection = told(connect(), owner)
    connection.request(500, 4250, 1.0)
    answers = owner.answers(connection.datagrams_to_send(), 1.0)
    facts = take(connection, [answers[2], *answers, *answers], 1.1)
    assert sorted(spans(facts)) == [(500, 1500), (1500, 2500), (2500, 3500), (3500, 4250)]
    assert connection.counters.duplicate_bytes == 3750 + 1000
    assert connection.in_flight == 0


def test_data_of_another_transfer_is_dropped() -> None:
    owner = Owner()
    connection = told(connect(), owner)
    connection.request(0, 1000, 1.0)
    (request,) = requests_of(connection.datagrams_to_send())
    strange = dataclasses.replace(request, transfer_id=request.transfer_id ^ 1)
    assert take(connection, segments(strange), 1.1) == []
    assert connection.counters.stale == 1
    assert connection.in_flight == 1000


@pytest.mark.parametrize("sequence", [1, 2, 99, 1 << 31])
@pytest.mark.parametrize("offset", [0, 999, 2000, 50_000, 2**64 - 1000])
def test_bytes_that_were_never_asked_for_are_never_delivered(sequence: int, offset: int) -> None:
    """Whatever the sequence says: only [1000, 2000) is wanted."""
    owner = Owner()
    connection = told(connect(), owner)
    connection.request(1000, 2000, 1.0)
    connection.datagrams_to_send()
    data = wire.Data(TERMS.transfer_id, sequence, offset, bytes(1000), True)
    facts = connection.datagram_received(wire.encode(data), 1.1)
    delivered = [(f.offset, f.offset + len(f.payload)) for f in facts if isinstance(f, Arrived)]
    assert delivered == ([(1000, 1999)] if offset == 999 else [])
    assert connection.in_flight == (1 if offset == 999 else 1000)


def test_what_is_not_a_datagram_of_ours_is_counted_and_dropped() -> None:
    connection = connect()
    for junk in (b"", b"x", bytes(32), bytes(65_507), connection.datagrams_to_send()[0][:-1]):
        assert connection.datagram_received(junk, 0.1) == ()
    assert connection.counters.malformed == 5


def test_after_closing_nothing_is_taken_and_all_that_is_missing_is_given_back() -> None:
    owner = Owner()
    connection = told(connect(), owner)
    connection.request(0, 3000, 1.0)
    connection.request(3000, 5000, 1.0)
    answers = owner.answers(connection.datagrams_to_send(), 1.0)
    take(connection, answers[1:2], 1.1)
    assert sorted(connection.unreceived()) == [(0, 1000), (2000, 3000), (3000, 5000)]
    assert connection.unreceived() == []
    assert take(connection, answers, 1.2) == []
    assert (connection.room(), connection.next_timer()) == (0, None)


# ---- loss


def test_a_gap_is_asked_for_again_and_late_bytes_are_taken_all_the_same() -> None:
    owner = Owner()
    connection = told(connect(), owner)
    for start in range(0, 8000, 1000):
        connection.request(start, start + 1000, 1.0)
    answers = owner.answers(connection.datagrams_to_send(), 1.0)
    take(connection, answers[1:6], 1.01)
    assert connection.take_lost(5000) == (0, 1000)
    connection.request(0, 1000, 1.02)
    assert spans(take(connection, answers[:1], 1.03)) == [(0, 1000)]  # late, by the first asking
    assert take(connection, owner.answers(connection.datagrams_to_send(), 1.04), 1.04) == []
    assert connection.in_flight == 2000


def test_a_loss_that_was_none_makes_it_wait_longer_before_the_next() -> None:
    owner = Owner()
    connection = told(connect(), owner)
    for start in range(0, 16_000, 1000):
        connection.request(start, start + 1000, 1.0)
    answers = owner.answers(connection.datagrams_to_send(), 1.0)
    take(connection, [*answers[1:4], answers[0]], 1.01)
    assert connection.counters.lost_bytes == 1000  # it was only late
    take(connection, answers[5:10], 1.01)
    assert connection.counters.lost_bytes == 1000  # five behind would have been lost before
    take(connection, answers[10:11], 1.01)
    assert connection.counters.lost_bytes == 2000


def test_a_loss_shrinks_the_window_once() -> None:
    owner = Owner()
    connection = told(connect(), owner)
    for start in range(0, 10_000, 1000):
        connection.request(start, start + 1000, 1.0)
    answers = owner.answers(connection.datagrams_to_send(), 1.0)
    take(connection, answers[1:2] + answers[3:7], 1.01)  # two are lost
    assert connection.counters.lost_bytes == 2000
    assert connection.window == pytest.approx(0.7 * 12_000)  # two came before the first loss was seen


def test_each_request_is_a_sample_of_the_round_trip() -> None:
    owner = Owner()
    connection = told(connect(), owner)
    before = connection.rtt.smoothed
    connection.request(0, 2000, 1.0)
    first, second = owner.answers(connection.datagrams_to_send(), 1.0)
    take(connection, [first], 1.0 + before + 0.8)
    assert connection.rtt.latest == pytest.approx(before + 0.8)
    assert connection.rtt.smoothed == pytest.approx(before + 0.1)
    take(connection, [second], 5.0)  # the rest of an answer tells of the rate, not of the way
    assert connection.rtt.smoothed == pytest.approx(before + 0.1)


def test_a_strange_range_under_a_right_sequence_tells_nothing_of_losses() -> None:
    owner = Owner()
    connection = told(connect(), owner)
    connection.request(0, 1000, 1.0)
    connection.request(1000, 2000, 1.0)
    connection.datagrams_to_send()
    data = wire.Data(TERMS.transfer_id, 1, 2**40, bytes(1000), True)
    take(connection, [wire.encode(data)], 1.01)
    (later,) = segments(wire.Request(TERMS.transfer_id, 1, 0, 1000, b"", b"", 1000, True))
    take(connection, [later], 1.02)
    assert connection.in_flight == 1000
    assert connection.counters.lost_bytes == 0


def test_a_lost_last_segment_comes_by_probe() -> None:
    owner = Owner()
    connection = told(connect(), owner)
    connection.request(0, 3000, 1.0)
    answers = owner.answers(connection.datagrams_to_send(), 1.0)
    take(connection, answers[:2], 1.01)
    assert connection.take_lost(9000) is None  # no news is not bad news
    timer = connection.next_timer()
    assert timer is not None
    connection.on_timer(timer)
    (probe,) = requests_of(connection.datagrams_to_send())
    assert (probe.offset, probe.length) == (2000, 1000)
    assert connection.counters.probes == 1
    assert spans(take(connection, segments(probe), timer + 0.01)) == [(2000, 3000)]
    assert connection.next_timer() is None


def test_a_whole_window_lost_comes_back_after_one_probe() -> None:
    owner = Owner()
    connection = told(connect(), owner)
    for start in range(0, 10_000, 1000):
        connection.request(start, start + 1000, 1.0)
    connection.datagrams_to_send()  # all lost
    timer = connection.next_timer()
    assert timer is not None
    connection.on_timer(timer)
    probe = connection.datagrams_to_send()
    assert spans(take(connection, owner.answers(probe, timer), timer + 0.01)) == [(0, 1000)]
    assert connection.take_lost(99_999) == (1000, 10_000)


def test_each_probe_in_vain_asks_for_one_segment_more_up_to_a_few() -> None:
    """A burst of losses may be as long as several probes, and ends the sooner."""
    connection = told(connect(owner_timeout=30.0), Owner())
    connection.request(0, 10_000, 1.0)
    connection.datagrams_to_send()
    asked = []
    for _ in range(PROBE_REQUESTS + 2):
        timer = connection.next_timer()
        assert timer is not None
        connection.on_timer(timer)
        asked.append(len(requests_of(connection.datagrams_to_send())))
    assert asked == [*range(1, PROBE_REQUESTS + 1), PROBE_REQUESTS, PROBE_REQUESTS]


def test_several_probes_in_vain_close_the_window() -> None:
    owner = Owner()
    connection = told(connect(), owner)
    connection.request(0, 10_000, 1.0)
    run_timers(connection, 1.5)
    assert connection.counters.probes >= 3
    assert connection.window == 2 * connection.segment_size


@pytest.mark.parametrize(("size", "smaller"), [(61_440, 15_360), (7216, 1804), (1400, 1200)])
def test_segments_shrink_when_answers_come_but_never_a_segment(size: int, smaller: int) -> None:
    owner = Owner()
    connection = told(connect(segment_size=size, receive_limit=4 * size), owner)
    connection.request(0, 2 * size, 1.0)
    sent: list[bytes] = []
    while connection.segment_size == size:
        timer = connection.next_timer()
        assert timer is not None
        connection.on_timer(timer)
        sent = connection.datagrams_to_send()
    assert connection.counters.probes == 2
    probes = requests_of(sent)
    assert {probe.segment_size for probe in probes} == {smaller} == {probes[0].length}
    run_timers(connection, 2.9)
    assert connection.segment_size == 1200  # and no further
    assert connection.controller.minimum_window == 2400


def test_segments_keep_their_size_once_one_was_seen_unless_silence_lasts() -> None:
    owner = Owner()
    connection = told(connect(segment_size=7216), owner)
    connection.request(0, 7216, 1.0)
    take(connection, owner.answers(connection.datagrams_to_send(), 1.0), 1.01)
    connection.request(7216, 14_432, 1.1)
    run_timers(connection, 1.6)
    assert LATE_BLACK_HOLE_PROBES > connection.counters.probes >= 3
    assert connection.segment_size == 7216
    run_timers(connection, 2.6)
    assert connection.segment_size < 7216


@pytest.mark.parametrize("segment_size", [512, 1200, 1400, 7216, 61_440, wire.MAX_SEGMENT])
@pytest.mark.parametrize("window", [1, 10, 100, 5000])
def test_what_is_asked_for_at_a_time_is_what_an_owner_answers(segment_size: int, window: int) -> None:
    connection = connect(segment_size=segment_size, receive_limit=1 << 40)
    connection.controller.window = window * segment_size
    size = connection.request_size
    assert size % segment_size == 0
    assert segment_size <= size <= wire.MAX_REQUEST
    assert size <= wire.MAX_SEGMENTS_PER_REQUEST * segment_size


def test_no_more_is_asked_for_than_our_own_buffer_takes() -> None:
    owner = Owner()
    connection = told(connect(receive_limit=3000), owner)
    connection.controller.window = 1e9
    assert connection.window == connection.room() == 3000


def test_who_was_asked_for_checksums_is_not_believed_without() -> None:
    owner = Owner()
    connection = told(connect(checked=True), owner)
    connection.request(0, 2000, 1.0)
    answers = owner.answers(connection.datagrams_to_send(), 1.0)
    messages = [wire.decode(answer) for answer in answers]
    bare = [wire.encode(m._replace(checked=False)) for m in messages if isinstance(m, wire.Data)]
    assert len(bare) == 2
    assert take(connection, bare, 1.01) == [] and connection.counters.stale == 2
    assert spans(take(connection, answers, 1.02)) == [(0, 1000), (1000, 2000)]


def test_a_late_answer_to_the_question_before_the_last_is_taken() -> None:
    connection = told(connect(), Owner())
    for now in (1.0, 2.0):
        connection.ask_what_it_holds(now)
    asks = [wire.decode(datagram) for datagram in connection.datagrams_to_send()]
    late = wire.Tell(TERMS.transfer_id, asks[0].sequence, len(CONTENT), True)
    assert take(connection, [wire.encode(late)], 2.1) == [Told(len(CONTENT), True, 0, b"")]
