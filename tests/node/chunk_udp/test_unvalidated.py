"""Unvalidated addresses get a limited number of answers a second, apart from those of validated fetchers."""

from __future__ import annotations

import ipaddress
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.chunk_udp import wire
from node.chunk_udp.address_validation import EPOCH, KNOWN_EPOCHS, AddressValidator
from node.chunk_udp.flood import bpf_filter
from node.chunk_udp.flood.unvalidated import (
    FLOOD_PER_SECOND,
    LIMITER_INTERVAL,
    MAX_TOKENS_PER_SECOND,
    MIN_ADMITTED_FRACTION,
    UnvalidatedLimiter,
)
from node.chunk_udp.responder import Responder, SendChunk
from simulator.served import MemoryTorrent

MINT = AddressValidator(b"secret")
SHARED = b"h" * 20
HERE = ("192.0.2.7", 4000)


TORRENTS = {SHARED: MemoryTorrent(bytes(100_000))}


def ask(token: bytes = wire.NO_TOKEN) -> bytes:
    return wire.encode(wire.Ask(1, 1, SHARED, token))


def test_so_many_tokens_a_second_and_no_more() -> None:
    answerer = Responder(MINT, TORRENTS)
    answers = [answerer.handle_requests(ask(), ("192.0.2.8", n), 5.0 + n / 10_000) for n in range(9999)]
    assert (
        MAX_TOKENS_PER_SECOND * 0.9 <= len([answer for answer in answers if answer]) <= MAX_TOKENS_PER_SECOND
    )
    assert answerer.counts["token"] + answerer.counts["unanswered"] == 9999
    assert isinstance(answerer.handle_requests(ask(), HERE, 6.1), wire.Token)


def test_who_has_a_token_is_answered_whatever_strangers_do() -> None:
    answerer = Responder(MINT, TORRENTS)
    request = wire.Request(1, 1, 0, 1000, SHARED, MINT.make(HERE, 5.0), 1000)
    for number in range(MAX_TOKENS_PER_SECOND + 100):
        there = ("192.0.2.8", number)
        forged = bytearray(MINT.make(there, 5.0))  # with the mark that a good one would have
        forged[-1] ^= 1
        answerer.handle_requests(ask(), there, 5.0)
        answerer.handle_requests(ask(bytes(forged)), there, 5.0)
    assert answerer.handle_requests(wire.encode(request), HERE, 5.0) == SendChunk(request)


def test_who_had_a_token_gets_a_new_one_whatever_strangers_do() -> None:
    answerer, now = Responder(MINT, TORRENTS), 10 * EPOCH
    expired = MINT.make(HERE, now - 2 * EPOCH)
    for number in range(MAX_TOKENS_PER_SECOND + 100):
        answerer.handle_requests(ask(), ("192.0.2.8", number), now)
    assert isinstance(answerer.handle_requests(ask(expired), HERE, now), wire.Token)


def test_a_flood_is_noticed_and_then_less_is_worth_a_look() -> None:
    strangers = UnvalidatedLimiter(0.0)
    for _ in range(int(FLOOD_PER_SECOND * LIMITER_INTERVAL) - 1):
        strangers.count_wasted(0.5)
    assert not strangers.flooded
    strangers.count_wasted(0.5 + 0.9 * LIMITER_INTERVAL)
    assert strangers.adjust(0.5 + LIMITER_INTERVAL) == 1.0
    assert strangers.flooded and strangers.admit_fraction == 1.0
    now = 0.5 + LIMITER_INTERVAL
    for _ in range(6):  # 100,000 a second, of which ``share`` gets through
        for number in range(int(100_000 * LIMITER_INTERVAL * strangers.admit_fraction)):
            at = now + number / 1e6
            if strangers.may_answer(at):
                strangers.answered(at)
            else:
                strangers.turned_away(at)
        now += LIMITER_INTERVAL
        strangers.adjust(now)
    assert strangers.admit_fraction == pytest.approx(MAX_TOKENS_PER_SECOND / 100_000, rel=0.2)
    for _ in range(6):
        now += LIMITER_INTERVAL
        strangers.adjust(now)
    assert strangers.admit_fraction == 1.0


# ---- the system's filter, run here as the system does


def run(
    program: list[bpf_filter.Instruction], datagram: bytes, source: tuple[int, int] = (0xC0000207, 4000)
) -> bool:
    """Whether ``datagram`` is kept: an interpreter of the few instructions that are used."""
    packet, at, value, other, memory = source[1].to_bytes(2, "big") + bytes(6) + datagram, 0, 0, 0, 0
    while True:
        code, yes, no, operand = program[at]
        at += 1
        if code == 0x06:
            return operand != 0
        if code == 0x80:
            value = len(packet)
        elif code in (0x30, 0x28, 0x20):
            size = {0x30: 1, 0x28: 2, 0x20: 4}[code]
            if operand >= 0xFFF00000:
                assert operand - 0xFFF00000 == 12
                value = source[0]
            elif operand + size > len(packet):
                return False  # as the system does where there is nothing to load
            else:
                value = int.from_bytes(packet[operand : operand + size], "big")
        elif code == 0x24:
            value = value * operand % 2**32
        elif code == 0xA4:
            value ^= operand
        elif code == 0x74:
            value >>= operand
        elif code == 0x07:
            other = value
        elif code == 0x60:
            value = memory
        elif code == 0x02:
            memory = value
        elif code == 0x61:
            other = memory
        elif code == 0xAC:
            value ^= other
        else:
            true = {0x15: value == operand, 0x1D: value == other, 0x35: value >= operand}[code]
            at += yes if true else no


NOW = 10 * EPOCH
KEYS = MINT.tag_keys(NOW)
SOURCE = (0xC0000207, 4000)  # the same as HERE
PROGRAM = bpf_filter.program(KEYS, 0.0, 1)
ALL = bpf_filter.program(KEYS, 1.0, 1)
DRAWS = random.Random(3)
GOOD = [ask(MINT.make(HERE, NOW - back * EPOCH)) for back in range(KNOWN_EPOCHS)]


@pytest.mark.parametrize("datagram", GOOD)
def test_the_filter_keeps_who_has_or_had_a_token_and_nobody_else_who_shows_it(datagram: bytes) -> None:
    assert run(PROGRAM, datagram, SOURCE)
    for host, port in ((SOURCE[0] ^ 1, SOURCE[1]), (SOURCE[0], SOURCE[1] + 1), (0x7F000001, 80)):
        assert not run(PROGRAM, datagram, (host, port))


@given(st.integers(0, 2**32 - 1), st.integers(1, 65_535), st.floats(0, 1e6))
def test_the_filter_computes_marks_as_the_mint_does(host: int, port: int, now: float) -> None:
    addr = (str(ipaddress.IPv4Address(host)), port)
    program = bpf_filter.program(MINT.tag_keys(now), 0.0, 1)
    assert run(program, ask(MINT.make(addr, now)), (host, port))
    assert MINT.recognizes(MINT.make(addr, now), addr, now)


@given(st.ip_addresses(v=6), st.integers(1, 65_535), st.floats(0, 1e6))
def test_addresses_of_version_6_have_marks_too(host: ipaddress.IPv6Address, port: int, now: float) -> None:
    assert MINT.accepts(MINT.make((str(host), port), now), (str(host), port), now)
    assert MINT.recognizes(MINT.make((str(host), port), now), (f"{host}%eth0", port), now)


def test_the_filter_keeps_requests_and_drops_strangers() -> None:
    request = wire.Request(1, 1, 0, 1000, SHARED, MINT.make(HERE, NOW), 1000)
    assert run(PROGRAM, wire.encode(request))
    for stranger in (ask(), wire.encode(request._replace(token=b"made-up-by-them!"))):
        assert not run(PROGRAM, stranger)
        assert run(ALL, stranger)


@pytest.mark.parametrize("share", [0.02, 0.25])
def test_the_filter_draws_a_share_of_the_strangers_and_draws_again(share: float) -> None:
    """Ports of one host and hosts of one network alike; a source that is dropped now is drawn another
    time."""
    for sources in (
        [(0x0A000001, n) for n in range(1024, 2024)],
        [(0x0A000001 + n, 4000) for n in range(1000)],
    ):
        kept: Counter[tuple[int, int]] = Counter()
        for _ in range(20):
            program = bpf_filter.program(KEYS, share, DRAWS.getrandbits(32))
            chosen = [source for source in sources if run(program, ask(), source)]
            kept.update(chosen)
        assert sum(kept.values()) == pytest.approx(20 * share * len(sources), rel=0.25)
        assert max(kept.values()) <= 20 * share + 12


@given(st.binary(max_size=200))
def test_the_filter_drops_junk(junk: bytes) -> None:
    assert not run(ALL, junk)


@given(st.integers(0, 127), st.integers(1, 255))
def test_the_filter_keeps_what_is_answered_and_drops_what_is_not_of_ours(at: int, change: int) -> None:
    datagram = bytearray(GOOD[0])
    datagram[at] ^= change
    answer = Responder(MINT, TORRENTS).handle_requests(bytes(datagram), HERE, NOW)
    if answer is not None:
        assert run(ALL, bytes(datagram))
    if at < 3:
        assert not run(ALL, bytes(datagram))


@pytest.mark.parametrize(
    "message",
    [
        wire.Token(1, 1, bytes(16)),
        wire.Tell(1, 1, 5, True),
        wire.Tell(1, 1, 5, False, 0, bytes(32)),  # as long as a REQUEST
        wire.Refuse(1, 1, wire.Refusal.BUSY),
        wire.Data(1, 1, 0, bytes(40)),
        wire.Data(1, 1, 0, bytes(96)),  # as long as an ASK
    ],
)
def test_the_filter_drops_answers(message: wire.Message) -> None:
    assert not run(ALL, wire.encode(message))


def test_the_first_look_at_a_flood_is_at_what_came_since_it_began() -> None:
    strangers = UnvalidatedLimiter(0.0)
    for second in (100.0, 200.0):  # it was calm for long
        strangers.may_answer(second)
    for number in range(10_000):
        now = 300.0 + number / 100_000
        if strangers.may_answer(now):
            strangers.answered(now)
        else:
            strangers.turned_away(now)
    assert strangers.flooded and strangers.adjust(300.1) == pytest.approx(
        MAX_TOKENS_PER_SECOND / 100_000, rel=0.01
    )


def test_a_flood_of_any_size_leaves_newcomers_a_chance_and_is_forgotten_later() -> None:
    strangers = UnvalidatedLimiter(0.0)
    for number in range(10 * MAX_TOKENS_PER_SECOND):
        strangers.turned_away(number / 1e9)
    assert [strangers.adjust(1e-6)][-1] == MIN_ADMITTED_FRACTION > 0
    assert [strangers.adjust(20.0 + number) for number in range(9)][-1] == 1.0
