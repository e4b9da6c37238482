"""A token proves one address for a while."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.chunk_udp import wire
from node.chunk_udp.address_validation import EPOCH, AddressValidator

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


def test_each_address_has_its_own_token_for_one_life_of_the_owner() -> None:
    addresses = [("192.0.2.7", 4000), ("192.0.2.7", 4001), ("192.0.2.8", 4000), ("::1", 4000)]
    assert len({MINT.make(addr, 5.0) for addr in addresses}) == len(addresses)
    assert not AddressValidator(b"another secret").accepts(MINT.make(HERE, 5.0), HERE, 5.0)


@pytest.mark.parametrize("token", [wire.NO_TOKEN, b"", b"x", bytes(15), bytes(17)])
def test_no_token_is_no_token(token: bytes) -> None:
    assert not MINT.accepts(token, HERE, 5.0)
