"""Datagrams encoded and decoded, and any other bytes: a message or WireError, nothing else."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import WireError
from node.chunk_udp import wire

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
HASHES = st.binary(min_size=20, max_size=20)
TOKENS = st.binary(min_size=16, max_size=16)
BOOLEANS = st.booleans()

ASKS = st.builds(wire.Ask, U64, U32, HASHES, TOKENS, U64, st.none(), BOOLEANS)
METADATAS = st.builds(wire.MetadataPage, U64, U32, U64, U64, st.binary(max_size=wire.METADATA_PAGE))
TOKEN_MESSAGES = st.builds(wire.Token, U64, U32, TOKENS)
TELLS = st.builds(wire.Tell, U64, U32, U64, BOOLEANS, U64, st.binary(max_size=wire.MAX_BITFIELD))
REFUSES = st.builds(wire.Refuse, U64, U32, st.sampled_from(wire.Refusal), st.integers(0, 2**16 - 1))
REQUESTS = st.builds(wire.Request, U64, U32, U64, U32, HASHES, TOKENS, U32, BOOLEANS)
DATAS = st.builds(wire.Data, U64, U32, U64, st.binary(min_size=1, max_size=3000), BOOLEANS)
CHECKED_DATAS = st.builds(wire.Data, U64, U32, U64, st.binary(min_size=1, max_size=3000), st.just(True))
WHOLLY_CHECKED = st.one_of(ASKS, TOKEN_MESSAGES, TELLS, REFUSES, METADATAS, REQUESTS, CHECKED_DATAS)
MESSAGES = st.one_of(WHOLLY_CHECKED, DATAS)

SIZES = [
    (wire.Ask(1, 2, bytes(20)), 128),
    (wire.Token(1, 2, bytes(16)), 48),
    (wire.Tell(1, 2, 3, True), 40),
    (wire.Tell(1, 2, 3, False, 0, bytes(1024)), 1064),
    (wire.Refuse(1, 2, wire.Refusal.BUSY, 65_535), 35),
    (wire.MetadataPage(1, 2, 5000, 1024, bytes(1024)), 1064),
    (wire.Request(1, 2, 3, 4, bytes(20), bytes(16), 1200), 72),
    (wire.Data(1, 2, 3, bytes(1200)), 1232),
    (wire.Data(1, 2, 3, bytes(wire.MAX_SEGMENT)), 65_507),
]


@given(MESSAGES)
def test_every_message_comes_back_as_it_was(message: wire.Message) -> None:
    datagram = wire.encode(message)
    assert wire.decode(datagram) == message
    assert wire.decode(memoryview(bytearray(datagram))) == message


@pytest.mark.parametrize(("message", "size"), SIZES)
def test_sizes_are_as_documented(message: wire.Message, size: int) -> None:
    assert len(wire.encode(message)) == size
    assert wire.decode(wire.encode(message)) == message


def test_the_layout_stays_what_other_versions_know() -> None:
    """A changed byte here is another protocol: raise wire.VERSION and docs/protocol.md with it."""
    request = wire.Request(0x1122334455667788, 9, 0x10000, 1200, b"H" * 20, b"T" * 16, 1200, True)
    assert wire.encode(request).hex(" ", 4) == (
        "c5011101 000004b0 11223344 55667788 00000000 00010000 00000009 "
        + wire.encode(request)[28:32].hex()
        + " 48484848 48484848 48484848 48484848 48484848 54545454 54545454 54545454 54545454 000004b0"
    )


def test_what_an_unproved_address_gets_is_smaller_than_what_it_must_send() -> None:
    token = len(wire.encode(wire.Token(1, 2, bytes(16))))
    assert token < len(wire.encode(wire.Request(1, 2, 3, 4, bytes(20), bytes(16), 1200))) < wire.ASK_SIZE


@given(MESSAGES, st.data())
def test_a_truncated_datagram_is_none(message: wire.Message, data: st.DataObject) -> None:
    datagram = wire.encode(message)
    cut = data.draw(st.integers(0, len(datagram) - 1))
    with pytest.raises(WireError):
        wire.decode(datagram[:cut])


@given(WHOLLY_CHECKED, st.data())
def test_changed_bits_are_noticed(message: wire.Message, data: st.DataObject) -> None:
    """One to three bits anywhere, or any burst of up to 32: CRC-32 sees them all (at these lengths)."""
    datagram = wire.encode(message)
    bits = len(datagram) * 8
    start = data.draw(st.integers(0, bits - 1))
    burst = data.draw(st.integers(1, 2 ** min(32, bits - start) - 1)) << start
    few = 0
    for bit in data.draw(st.sets(st.integers(0, bits - 1), min_size=1, max_size=3)):
        few |= 1 << bit
    for change in (burst, few):
        flipped = int.from_bytes(datagram, "little") ^ change
        with pytest.raises(WireError):
            wire.decode(flipped.to_bytes(len(datagram), "little"))


@given(DATAS, st.integers(0, wire.HEADER_SIZE * 8 - 1))
def test_a_changed_bit_in_any_header_is_noticed(message: wire.Data, bit: int) -> None:
    """Even where the payload is not checked: bytes never land at another place than theirs."""
    datagram = bytearray(wire.encode(message))
    datagram[bit // 8] ^= 1 << bit % 8
    with pytest.raises(WireError):
        wire.decode(memoryview(datagram))


@given(MESSAGES, st.binary(min_size=1, max_size=40))
def test_a_datagram_with_more_behind_it_is_none(message: wire.Message, more: bytes) -> None:
    with pytest.raises(WireError):
        wire.decode(wire.encode(message) + more)


@given(st.binary(max_size=300))
def test_random_bytes_are_none(junk: bytes) -> None:
    with pytest.raises(WireError):
        wire.decode(junk)


FIELDS = st.tuples(st.integers(0, 255), st.integers(0, 255), U32, U64, U64, U32)


@given(FIELDS, st.sampled_from([0, 3, 16, 36, 40, 96, 200, 1100]), st.data())
def test_a_true_check_over_anything_gives_a_message_or_the_error(
    fields: tuple[int, int, int, int, int, int], size: int, data: st.DataObject
) -> None:
    """With a right check any type, flags, length and body may come."""
    kind, flags, length, transfer, offset, sequence = fields
    kind = data.draw(st.sampled_from([kind, *wire.Kind]))
    length = data.draw(st.sampled_from([length, size]))
    body = data.draw(st.binary(min_size=size, max_size=size))
    # _seal is how every message but DATA is made; the check it gives is the right one for any kind.
    datagram = wire._seal(kind, flags, length, transfer, offset, sequence, body)
    with contextlib.suppress(WireError):
        message = wire.decode(datagram)
        assert (message.transfer_id, message.sequence) == (transfer, sequence)
        if not isinstance(message, wire.Data):
            assert wire.decode(wire.encode(message)) == message


def test_another_version_or_magic_is_not_ours() -> None:
    datagram = bytearray(wire.encode(wire.Token(1, 2, bytes(16))))
    for at in (0, 1):
        changed = bytearray(datagram)
        changed[at] += 1
        with pytest.raises(WireError, match="version"):
            wire.decode(memoryview(changed))


def test_a_segment_without_bytes_is_none() -> None:
    with pytest.raises(WireError, match="segment"):
        wire.decode(wire.encode(wire.Data(1, 2, 3, b"", True)))


def test_a_bitfield_longer_than_agreed_is_none() -> None:
    with pytest.raises(WireError):
        wire.decode(wire.encode(wire.Tell(1, 2, 3, False, 0, bytes(wire.MAX_BITFIELD + 1))))


def test_an_unknown_reason_is_none() -> None:
    datagram = wire._seal(wire.Kind.REFUSE, 0, 3, 1, 0, 2, b"\xff\0\0")
    with pytest.raises(WireError):
        wire.decode(datagram)


def test_data_is_not_copied() -> None:
    buffer = bytearray(wire.encode(wire.Data(1, 2, 3, b"abc")))
    message = wire.decode(memoryview(buffer))
    assert isinstance(message, wire.Data)
    buffer[-1] = ord("z")
    assert bytes(message.payload) == b"abz"
