"""A token proves one address for a while; an address without a token gets fewer bytes than it sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.chunk_udp import wire
from node.chunk_udp.address_validation import EPOCH, AddressValidator
from node.chunk_udp.responder import Responder
from simulator.served import MemoryTorrent

HERE = ("192.0.2.7", 4000)
MINT = AddressValidator(b"a secret")


@given(st.floats(0, 1e9))
def test_a_token_is_good_at_once_and_for_an_epoch(now: float) -> None:
    token = MINT.make(HERE, now)
    assert len(token) == wire.TOKEN_SIZE
    assert MINT.accepts(token, HERE, now)
    assert MINT.accepts(token, HERE, now + 0.999 * EPOCH)


@given(st.floats(0, 1e9), st.floats(2 * EPOCH, 1e9))
def test_a_token_is_good_for_two_epochs_at_most(now: float, later: float) -> None:
    assert not MINT.accepts(MINT.make(HERE, now), HERE, now + later)


def test_a_token_is_good_in_its_own_epoch_and_the_next() -> None:
    token = MINT.make(HERE, 59.9)
    assert [MINT.accepts(token, HERE, now) for now in (29.9, 30.0, 59.9, 60.0, 89.9, 90.0)] == [
        False,
        True,
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    "there", [("192.0.2.8", 4000), ("192.0.2.7", 4001), ("192.0.2.74", 0), ("::1", 4000)]
)
def test_another_address_or_port_cannot_use_it(there: tuple[str, int]) -> None:
    assert not MINT.accepts(MINT.make(HERE, 5.0), there, 5.0)


def test_another_process_cannot_either() -> None:
    assert not AddressValidator(b"another secret").accepts(MINT.make(HERE, 5.0), HERE, 5.0)


@pytest.mark.parametrize("token", [wire.NO_TOKEN, b"", b"x", bytes(15), bytes(17)])
def test_no_token_is_no_token(token: bytes) -> None:
    assert not MINT.accepts(token, HERE, 5.0)


U64 = st.integers(0, 2**64 - 1)
U32 = st.integers(0, 2**32 - 1)
TOKENS = st.one_of(st.just(wire.NO_TOKEN), st.binary(min_size=16, max_size=16))
HASHES = st.sampled_from([b"h" * 20, b"x" * 20])
ANYTHING = st.one_of(
    st.builds(wire.Ask, U64, U32, HASHES, TOKENS, U64),
    st.builds(wire.Token, U64, U32, TOKENS),
    st.builds(wire.Tell, U64, U32, U64, st.booleans(), U64, st.binary(max_size=100)),
    st.builds(wire.Refuse, U64, U32, st.sampled_from(wire.Refusal)),
    st.builds(wire.Request, U64, U32, U64, U32, HASHES, TOKENS, U32, st.booleans()),
    st.builds(wire.Data, U64, U32, U64, st.binary(min_size=1, max_size=100), st.booleans()),
).map(wire.encode)


@given(st.lists(st.one_of(ANYTHING, st.binary(max_size=200)), max_size=20))
def test_an_unproved_address_never_gets_more_bytes_than_it_sent(datagrams: list[bytes]) -> None:
    """It holds for each datagram, so for any sequence. The answer is a token or nothing."""
    answerer = Responder(AddressValidator(b"its own"), {b"h" * 20: MemoryTorrent(bytes(100_000))})
    for datagram in datagrams:
        answer = answerer.handle_requests(datagram, HERE, 1.0)
        assert answer is None or isinstance(answer, wire.Token)
        assert len(wire.encode(answer) if answer else b"") <= len(datagram)
