"""Strangers get so many answers a second, and cannot use up those of others."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.chunk_udp import kernel_filter, wire
from node.chunk_udp.answers import Answerer, SendChunk
from node.chunk_udp.strangers import ANSWERS, FLOOD, Strangers
from node.chunk_udp.tokens import EPOCH, KNOWN_EPOCHS, TokenMint

MINT = TokenMint(b"secret")
SHARED = b"h" * 20
HERE = ("192.0.2.7", 4000)


class Content:
    """A small file."""

    size = 100_000
    offered = True
    held = None

    def holds(self, start: int, end: int) -> bool:
        return True


def ask(token: bytes = wire.NO_TOKEN) -> bytes:
    return wire.encode(wire.Ask(1, 1, SHARED, token))


def test_so_many_tokens_a_second_and_no_more() -> None:
    answerer = Answerer(MINT, {SHARED: Content()})
    answers = [answerer.handle_requests(ask(), ("192.0.2.8", n), 5.0 + n / 10_000) for n in range(5000)]
    assert len([answer for answer in answers if answer]) == ANSWERS
    assert answerer.counts == {"token": ANSWERS, "unanswered": 5000 - ANSWERS}
    assert isinstance(answerer.handle_requests(ask(), HERE, 6.1), wire.Token)


def test_who_has_a_token_is_answered_whatever_strangers_do() -> None:
    answerer = Answerer(MINT, {SHARED: Content()})
    request = wire.Request(1, 1, 0, 1000, SHARED, MINT.make(HERE, 5.0), 1000)
    forged = bytearray(MINT.make(("192.0.2.8", 1), 5.0))  # with the mark that all good tokens have
    forged[-1] ^= 1
    for number in range(ANSWERS + 100):
        answerer.handle_requests(ask(), ("192.0.2.8", number), 5.0)
        answerer.handle_requests(ask(bytes(forged)), ("192.0.2.8", number), 5.0)
    assert answerer.handle_requests(wire.encode(request), HERE, 5.0) == SendChunk(request)


def test_who_had_a_token_gets_a_new_one_whatever_strangers_do() -> None:
    answerer, now = Answerer(MINT, {SHARED: Content()}), 10 * EPOCH
    expired = MINT.make(HERE, now - 2 * EPOCH)
    for number in range(ANSWERS + 100):
        answerer.handle_requests(ask(), ("192.0.2.8", number), now)
    assert isinstance(answerer.handle_requests(ask(expired), HERE, now), wire.Token)


def test_a_flood_is_noticed_and_then_less_is_worth_a_look() -> None:
    strangers = Strangers(0.0)
    for _ in range(FLOOD - 1):
        strangers.in_vain(0.5)
    assert not strangers.flooded
    strangers.in_vain(0.9)
    assert strangers.adjust(1.0) == 1.0
    assert strangers.flooded and strangers.share == 1.0
    for second in range(1, 6):  # 100,000 a second, of which ``share`` gets through
        for number in range(int(100_000 * strangers.share)):
            now = second + number / 1e6
            if strangers.may_be_answered(now):
                strangers.answered(now)
            else:
                strangers.turned_away(now)
        strangers.adjust(second + 1.0)
    assert strangers.share == pytest.approx(ANSWERS / 100_000, rel=0.2)
    for second in range(6, 20):
        strangers.adjust(float(second))
    assert strangers.share == 1.0


# ---- the system's filter, run here as the system does


def run(program: list[kernel_filter.Instruction], datagram: bytes, chance: int = 0) -> bool:
    """Whether ``datagram`` is kept: an interpreter of the few instructions that are used."""
    packet, at, value = bytes(8) + datagram, 0, 0
    while True:
        code, yes, no, operand = program[at]
        at += 1
        if code == 0x06:
            return operand != 0
        if code == 0x80:
            value = len(packet)
        elif code in (0x30, 0x28, 0x20):
            size = {0x30: 1, 0x28: 2, 0x20: 4}[code]
            if operand >= 0xFFFFF000:
                value = chance
            elif operand + size > len(packet):
                return False  # as the system does where there is nothing to load
            else:
                value = int.from_bytes(packet[operand : operand + size], "big")
        else:
            assert code in (0x15, 0x35)
            at += yes if (value == operand if code == 0x15 else value >= operand) else no


NOW = 10 * EPOCH
PROGRAM = kernel_filter.program(MINT.marks(NOW, KNOWN_EPOCHS), 0.25)
U32 = st.integers(0, 2**32 - 1)
GOOD = [ask(MINT.make(HERE, NOW - back * EPOCH)) for back in range(KNOWN_EPOCHS)]


@pytest.mark.parametrize("datagram", GOOD)
def test_the_filter_keeps_who_has_or_had_a_token(datagram: bytes) -> None:
    assert run(PROGRAM, datagram, 2**32 - 1)


def test_the_filter_keeps_requests_and_a_share_of_strangers() -> None:
    request = wire.Request(1, 1, 0, 1000, SHARED, MINT.make(HERE, NOW), 1000)
    assert run(PROGRAM, wire.encode(request), 2**32 - 1)
    for stranger in (ask(), wire.encode(dataclasses.replace(request, token=b"made-up-by-them!"))):
        assert run(PROGRAM, stranger, 2**30 - 1)
        assert not run(PROGRAM, stranger, 2**30)
    everybody = kernel_filter.program((), 1.0)
    assert run(everybody, ask(), 2**32 - 2)


@given(st.binary(max_size=200), U32)
def test_the_filter_drops_junk(junk: bytes, chance: int) -> None:
    assert not run(PROGRAM, junk, chance)


@given(st.integers(0, 127), st.integers(1, 255), U32)
def test_the_filter_keeps_nothing_that_the_answerer_would_drop_for_its_first_bytes(
    at: int, change: int, chance: int
) -> None:
    datagram = bytearray(GOOD[0])
    datagram[at] ^= change
    answer = Answerer(MINT, {SHARED: Content()}).handle_requests(bytes(datagram), HERE, NOW)
    if answer is not None:
        assert run(PROGRAM, bytes(datagram), 0)
    if at < 3:
        assert not run(PROGRAM, bytes(datagram), chance)


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
    assert not run(PROGRAM, wire.encode(message), 0)


def test_the_first_look_at_a_flood_is_at_what_came_since_it_began() -> None:
    strangers = Strangers(0.0)
    for second in (100.0, 200.0):  # it was calm for long
        strangers.may_be_answered(second)
    for number in range(10_000):
        now = 300.0 + number / 100_000
        if strangers.may_be_answered(now):
            strangers.answered(now)
        else:
            strangers.turned_away(now)
    assert strangers.flooded and strangers.adjust(300.1) == pytest.approx(0.02, rel=0.01)
