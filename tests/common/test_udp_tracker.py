"""UDP tracker packets: the bytes of BEP 15, both ways, and a named error for everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import TrackerPacketError
from common.udp_tracker import (
    MAX_SCRAPE,
    MAX_URL_DATA,
    AnnounceAnswer,
    AnnounceEvent,
    AnnounceRequest,
    ConnectAnswer,
    ConnectRequest,
    ErrorAnswer,
    ScrapeAnswer,
    ScrapeCounts,
    ScrapeRequest,
    TrackerAnswer,
    TrackerRequest,
    decode_answer,
    decode_request,
)

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
HASH = st.binary(min_size=20, max_size=20)

ANNOUNCES = st.builds(
    AnnounceRequest,
    U64,
    U32,
    HASH,
    HASH,
    U64,
    U64,
    U64,
    st.sampled_from(AnnounceEvent),
    st.binary(min_size=4, max_size=4),
    U32,
    st.integers(-(2**31), 2**31 - 1),
    st.integers(0, 65535),
    st.binary(max_size=600),
)
REQUESTS = (
    st.builds(ConnectRequest, U32)
    | ANNOUNCES
    | st.builds(ScrapeRequest, U64, U32, st.lists(HASH, min_size=1, max_size=4).map(tuple))
)
ANSWERS = (
    st.builds(ConnectAnswer, U32, U64)
    | st.builds(AnnounceAnswer, U32, U32, U32, U32, st.binary(max_size=60))
    | st.builds(ScrapeAnswer, U32, st.lists(st.builds(ScrapeCounts, U32, U32, U32), max_size=4).map(tuple))
    | st.builds(ErrorAnswer, U32, st.text(max_size=80).map(lambda text: text.rstrip("\0")))
)


def test_the_bytes_of_a_connect_request() -> None:
    assert ConnectRequest(0x01020304).encode().hex() == "00000417271019800000000001020304"


def test_the_bytes_of_an_announce_request() -> None:
    request = AnnounceRequest(
        0x1122334455667788,
        9,
        b"H" * 20,
        b"P" * 20,
        downloaded=1,
        left=2,
        uploaded=3,
        event=AnnounceEvent.STARTED,
        ip=bytes(4),
        key=0xAABBCCDD,
        num_want=-1,
        port=0x1AE1,
    )
    assert request.encode().hex() == (
        "1122334455667788"
        "00000001"
        "00000009" + b"H".hex() * 20 + b"P".hex() * 20 + "0000000000000001"
        "0000000000000002"
        "0000000000000003"
        "00000002"
        "00000000"
        "aabbccdd"
        "ffffffff"
        "1ae1"
    )
    assert len(request.encode()) == 98


def test_the_bytes_of_the_answers() -> None:
    assert ConnectAnswer(1, 2).encode().hex() == "00000000000000010000000000000002"
    assert AnnounceAnswer(1, 1800, 3, 4, b"\x01\x02\x03\x04\x1a\xe1").encode().hex() == (
        "0000000100000001000007080000000300000004010203041ae1"
    )
    assert ScrapeAnswer(1, (ScrapeCounts(5, 6, 7),)).encode().hex() == (
        "0000000200000001000000050000000600000007"
    )
    assert ErrorAnswer(1, "no").encode().hex() == "00000003000000016e6f"


@given(REQUESTS)
def test_a_request_comes_back(request: TrackerRequest) -> None:
    assert decode_request(request.encode()) == request


@given(ANSWERS)
def test_an_answer_comes_back(answer: TrackerAnswer) -> None:
    assert decode_answer(answer.encode()) == answer


@given(REQUESTS.map(lambda request: request.encode()), st.data())
def test_a_cut_or_changed_request_parses_or_raises_the_named_error(
    packet: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(packet) - 1))
    for mangled in (packet[:at], packet[:at] + data.draw(st.binary(max_size=8)) + packet[at + 1 :]):
        try:
            decode_request(mangled)
        except TrackerPacketError:
            continue


@given(
    st.binary(max_size=120)
    | st.builds(lambda kind, rest: bytes([0, 0, 0, kind]) + rest, st.integers(0, 4), st.binary(max_size=40))
)
def test_any_datagram_is_an_answer_or_the_named_error(data: bytes) -> None:
    try:
        answer = decode_answer(data)
    except TrackerPacketError:
        return
    assert answer.transaction_id == int.from_bytes(data[4:8], "big")


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (b"", "0 bytes"),
        (bytes(8) + bytes(4) + bytes(4), "protocol id"),
        (bytes(8) + b"\0\0\0\x07" + bytes(4), "unknown action 7"),
        (bytes(8) + b"\0\0\0\x01" + bytes(40), "less than 98"),
        (bytes(8) + b"\0\0\0\x02" + bytes(4), "0 info hashes"),
        (bytes(8) + b"\0\0\0\x02" + bytes(4) + bytes(20 * (MAX_SCRAPE + 1)), "75 info hashes"),
        (bytes(8) + b"\0\0\0\x01" + bytes(4) + bytes(64) + b"\0\0\0\x09" + bytes(14), "unknown event 9"),
    ],
)
def test_what_is_no_request(packet: bytes, reason: str) -> None:
    with pytest.raises(TrackerPacketError, match=reason):
        decode_request(packet)


@pytest.mark.parametrize(
    "packet", [b"\0\0\0\0" + bytes(11), b"\0\0\0\x01" + bytes(15), b"\0\0\0\x04" + bytes(4)]
)
def test_what_is_no_answer(packet: bytes) -> None:
    with pytest.raises(TrackerPacketError, match="bytes"):
        decode_answer(packet)


def test_options_other_than_the_url_are_skipped() -> None:
    plain = AnnounceRequest(0, 0, bytes(20), bytes(20), 0, 0, 0, AnnounceEvent.NONE, bytes(4), 0, -1, 1)
    options = b"\x01\x01\x07\x02zz\x02\x03/an\x02\x04?k=1\x00\x02\x01x"
    decoded = decode_request(plain.encode() + options)
    assert isinstance(decoded, AnnounceRequest)
    assert decoded.url_data == b"/an?k=1"


def test_url_data_is_bounded() -> None:
    long = AnnounceRequest(
        0, 0, bytes(20), bytes(20), 0, 0, 0, AnnounceEvent.NONE, bytes(4), 0, -1, 1, b"x" * 5000
    )
    decoded = decode_request(long.encode())
    assert isinstance(decoded, AnnounceRequest)
    assert decoded.url_data == b"x" * MAX_URL_DATA


def test_an_error_of_one_datagram_is_cut() -> None:
    answer = decode_answer(ErrorAnswer(1, "x" * 60_000).encode())
    assert isinstance(answer, ErrorAnswer)
    assert len(answer.message) == 512
