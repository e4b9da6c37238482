"""Messages out of a stream of bytes, however it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.peer_tcp import messages as m
from node.peer_tcp.decoder import MessageDecoder
from node.peer_tcp.messages import encode

numbers = st.integers(0, 2**32 - 1)
MESSAGES = st.one_of(
    st.sampled_from([m.KeepAlive(), m.Choke(), m.Unchoke(), m.Interested(), m.NotInterested(), m.HaveAll()]),
    st.builds(m.Have, numbers),
    st.builds(m.PieceSet, st.binary(max_size=20)),
    st.builds(m.BlockRequest, numbers, numbers, numbers),
    st.binary(min_size=1, max_size=60).flatmap(
        lambda data: st.builds(m.Block, numbers, numbers, st.just(len(data)), st.just(0), st.just(data))
    ),
    st.builds(m.Cancel, numbers, numbers, numbers),
    st.builds(m.Port, st.integers(0, 65535)),
    st.builds(m.RejectRequest, numbers, numbers, numbers),
    st.builds(m.Extended, st.integers(0, 255), st.binary(max_size=40)),
)


def decoded(data: bytes, cuts: list[int]) -> list[m.WireMessage]:
    """The messages in ``data``, which comes cut at these places; the parts of a block are joined."""
    decoder, messages, places = MessageDecoder(), list[m.WireMessage](), sorted({0, *cuts, len(data)})
    for start, end in zip(places, places[1:], strict=False):
        for message in m.one_by_one(decoder.messages(data[start:end])):
            if not isinstance(message, m.Block):
                messages.append(message)
            elif message.at == 0:
                messages.append(message._replace(data=bytes(message.data)))
            else:
                before = messages.pop()
                assert isinstance(before, m.Block) and message[:3] == before[:3]
                assert message.at == len(before.data)
                messages.append(before._replace(data=bytes(before.data) + bytes(message.data)))
    assert not decoder.in_message
    return messages


@given(st.lists(MESSAGES, max_size=12), st.data())
def test_every_cut_gives_the_same_messages(messages: list[m.WireMessage], data: st.DataObject) -> None:
    encoded = b"".join(map(encode, messages))
    cuts = data.draw(st.lists(st.integers(0, len(encoded)), max_size=8))
    assert decoded(encoded, cuts) == messages


def test_a_keep_alive_alone_is_a_whole_message() -> None:
    decoder = MessageDecoder()
    assert list(decoder.messages(bytes(4))) == [m.KeepAlive()]
    assert not decoder.in_message


def test_a_block_behind_a_run_of_requests() -> None:
    block = m.Block(1, 2, 3, 0, b"abc")
    messages = [m.BlockRequest(0, 0, 1), m.BlockRequest(0, 1, 1), block, m.BlockRequest(0, 2, 1)]
    assert decoded(b"".join(map(encode, messages)), []) == messages


def test_a_block_is_not_copied() -> None:
    data = bytearray(encode(m.Block(1, 0, 4, 0, b"abcd")))
    (block,) = m.one_by_one(MessageDecoder().messages(memoryview(data)))
    assert isinstance(block, m.Block)
    data[-1:] = b"X"
    assert bytes(block.data) == b"abcX"


@pytest.mark.parametrize(
    ("message", "encoded"),
    [
        (m.KeepAlive(), "00000000"),
        (m.Choke(), "0000000100"),
        (m.NotInterested(), "0000000103"),
        (m.Have(258), "000000050400000102"),
        (m.PieceSet(b"\xf8"), "0000000205f8"),
        (m.BlockRequest(1, 16384, 16384), "0000000d06000000010000400000004000"),
        (m.Block(1, 16384, 2, 0, b"hi"), "0000000b0700000001000040006869"),
        (m.Cancel(1, 16384, 16384), "0000000d08000000010000400000004000"),
        (m.Port(6881), "00000003091ae1"),
        (m.SuggestPiece(2), "000000050d00000002"),
        (m.HaveAll(), "000000010e"),
        (m.HaveNone(), "000000010f"),
        (m.RejectRequest(0, 0, 16384), "0000000d10000000000000000000004000"),
        (m.AllowedFast(4), "000000051100000004"),
        (m.Extended(0, b"de"), "0000000414006465"),
    ],
)
def test_the_bytes_of_each_message(message: m.WireMessage, encoded: str) -> None:
    assert encode(message).hex() == encoded
