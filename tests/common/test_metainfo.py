"""Torrents: an accepted torrent is safe and consistent; any other input is one named error."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import bencode, metainfo
from common.errors import MetainfoError
from common.metainfo import choose_piece_length, decode_metainfo, encode_metainfo
from common.torrent_files import FileEntry
from tests.common.torrents import ANNOUNCE, KIB, entry, folder, info, torrent

MIB = 1 << 20


def test_a_single_file() -> None:
    parsed = decode_metainfo(torrent())
    assert parsed.name == "x.bin"
    assert parsed.files == (FileEntry(("x.bin",), 40_000),)
    assert parsed.is_single_file and not parsed.private
    assert (parsed.size, parsed.piece_length, parsed.geometry.piece_count) == (40_000, 32 * KIB, 2)
    assert (parsed.piece_hash(0), parsed.piece_hash(1)) == (bytes(range(20)), bytes(range(20, 40)))
    assert parsed.announce == ANNOUNCE
    for index in (-1, 2):
        with pytest.raises(IndexError):
            parsed.piece_hash(index)


def test_the_info_hash_is_over_the_original_bytes() -> None:
    extra = info(unknown_to_us=[b"kept"], private=1)
    raw = bencode.encode(extra)
    parsed = decode_metainfo(bencode.encode({b"info": extra, b"zz": b"d4:infodee"}))
    assert parsed.raw_info == raw
    assert parsed.info_hash == hashlib.sha1(raw).digest()
    assert parsed.info_hash_hex == hashlib.sha1(raw).hexdigest()
    assert parsed.private


def test_an_empty_file() -> None:
    parsed = decode_metainfo(torrent(length=0, pieces=b""))
    assert (parsed.size, parsed.geometry.piece_count, parsed.pieces) == (0, 0, b"")


def test_an_exact_multiple_has_no_piece_more() -> None:
    assert decode_metainfo(torrent(length=64 * KIB)).geometry.piece_count == 2
    with pytest.raises(MetainfoError, match="pieces"):
        decode_metainfo(torrent(length=64 * KIB, pieces=bytes(60)))


GOOD = torrent()
HALF = b"4:name5:x.bin", b"6:pieces"
REFUSED: list[tuple[str, list[bytes]]] = [
    ("not a torrent", [b"", b"hello", b"<html>", b"i1e"]),
    ("no info", [b"de", b"d4:infoi1ee"]),
    ("the file is cut off: ", [GOOD[:-1], GOOD[:50]]),
    ("after the end", [GOOD + b"\nx", GOOD + GOOD]),
    ("order", [GOOD.replace(HALF[0], b"").replace(HALF[1], HALF[0] + HALF[1])]),
    ("twice", [GOOD.replace(b"4:info", b"8:announce1:x4:info")]),
    ("canonical integer", [GOOD.replace(b"i40000e", b"i-0e"), GOOD.replace(b"i40000e", b"i040000e")]),
    ("nested", [b"d4:info" + b"l" * 100_000]),
    ("name is missing", [torrent(name=None)]),
    ("pieces is missing", [torrent(pieces=None)]),
    ("piece length is missing", [torrent(piece_length=None)]),
    ("length and files", [torrent(length=None), torrent(files=[entry(1, b"a")])]),
    ("name is not", [torrent(name=3), torrent(name=[b"x"])]),
    ("length is not an integer", [torrent(length=b"40000")]),
    ("pieces is not", [torrent(pieces=[bytes(20)])]),
    ("piece length is not", [torrent(piece_length=b"1")]),
    ("length -1 is not from 0", [torrent(length=-1)]),
    ("length 9007199254740993 is not", [torrent(length=2**53 + 1)]),
    ("length 10+ is not", [torrent(length=10**39)]),
    ("pieces", [torrent(length=2**53)]),
    ("piece length 0 is not from 1", [torrent(piece_length=0)]),
    ("piece length -5", [torrent(piece_length=-5)]),
    ("piece length 536870913", [torrent(piece_length=2**29 + 1)]),
    ("piece length", [torrent(piece_length=10**30)]),
    ("more than 2097152", [torrent(length=2**40, piece_length=1)]),
    ("39 bytes, where 2 pieces take 40", [torrent(pieces=bytes(39))]),
    ("20 bytes", [torrent(pieces=bytes(20))]),
    ("60 bytes", [torrent(pieces=bytes(60))]),
    ("0 bytes", [torrent(pieces=b"")]),
    ("40 bytes, where 0 pieces", [torrent(length=0)]),
    ("files is not", [torrent(length=None, files=[]), torrent(length=None, files=b"a")]),
    ("entry of files", [folder(b"a")]),
    (
        "path of a file",
        [folder(entry(40_000)), folder({b"length": 40_000}), folder(entry(40_000, *[b"a"] * 32))],
    ),
    ("path of a file", [folder({b"length": 40_000, b"path": path}) for path in (b"a", [3])]),
    ("path of a file", [folder({b"length": 40_000, b"path": [b"a"], b"path.utf-8": b"a"})]),
    ("length -1", [folder(entry(-1, b"a"), entry(40_001, b"b"))]),
    ("content of", [folder(entry(2**53, b"a"), entry(2**53, b"b"))]),
    ("one path", [folder(entry(20_000, b"a"), entry(20_000, b"a"))]),
    ("one of its folders", [folder(entry(20_000, b"a"), entry(20_000, b"a", b"b"))]),
    ("version 2", [torrent(pieces=None, meta_version=2)]),
    ("links and no files", [folder({b"path": [b"a"], b"attr": b"l", b"symlink path": [b"b"]})]),
    (
        "200001 files are more than 200000",
        [folder(b"").replace(b"l0:e", b"l" + 200_001 * bencode.encode(entry(0, b"a")) + b"e")],
    ),
]


@pytest.mark.parametrize(("says", "torrents"), REFUSED, ids=[says for says, _ in REFUSED])
def test_what_is_no_good_torrent_is_refused_with_the_reason(says: str, torrents: list[bytes]) -> None:
    for data in torrents:
        with pytest.raises(MetainfoError, match=says) as caught:
            decode_metainfo(data)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(("value", "private"), [(None, False), (0, False), (1, True), (2, True)])
def test_private_is_anything_but_zero(value: int | None, private: bool) -> None:
    assert decode_metainfo(torrent(private=value)).private is private


def test_the_size_of_a_torrent_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metainfo, "MAX_TORRENT_BYTES", len(torrent()) - 1)
    with pytest.raises(MetainfoError, match="larger than a torrent may be"):
        decode_metainfo(torrent())


@pytest.mark.parametrize(
    ("size", "piece_length"),
    [
        (0, 32 * KIB),
        (4 * KIB, 32 * KIB),
        (64 * MIB - 1, 32 * KIB),
        (64 * MIB, 64 * KIB),
        (100 * MIB, 64 * KIB),
        (1 << 30, MIB),
        (4 << 30, 4 * MIB),
        (1 << 40, 16 * MIB),
    ],
)
def test_the_piece_length_follows_the_size(size: int, piece_length: int) -> None:
    assert choose_piece_length(size) == piece_length


@given(st.integers(64 * MIB, 32 << 30))
def test_most_files_have_one_to_two_thousand_pieces(size: int) -> None:
    piece_length = choose_piece_length(size)
    assert piece_length & (piece_length - 1) == 0
    assert 1024 <= -(-size // piece_length) <= 2048


@given(
    st.integers(0, 10**6),
    st.integers(1, 10**5),
    st.sampled_from(["", ANNOUNCE]),
    st.none() | st.integers(0, 2**40),
)
def test_round_trip(length: int, piece_length: int, announce: str, date: int | None) -> None:
    pieces = bytes(20 * -(-length // piece_length))
    if len(pieces) > 10**6:
        return
    data = encode_metainfo("naïve.bin", length, piece_length, pieces, announce, "us", date)
    parsed = decode_metainfo(data)
    assert (parsed.name, parsed.size, parsed.piece_length) == ("naïve.bin", length, piece_length)
    assert (parsed.pieces, parsed.announce) == (pieces, announce)


@given(st.data())
def test_a_torrent_with_any_bytes_in_it_is_good_or_refused(data: st.DataObject) -> None:
    good = bytearray(torrent())
    start = data.draw(st.integers(0, len(good)))
    good[start : start + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    try:
        parsed = decode_metainfo(bytes(good))
    except MetainfoError:
        return
    assert len(parsed.pieces) == 20 * parsed.geometry.piece_count


@given(
    st.dictionaries(
        st.sampled_from(
            [b"name", b"length", b"piece length", b"pieces", b"files", b"private", b"meta version"]
        ),
        st.integers() | st.binary(max_size=20) | st.lists(st.binary() | st.just({b"length": 1}), max_size=2),
    )
)
def test_fields_of_any_type_are_good_or_refused(fields: dict[bytes, bencode.Value]) -> None:
    merged = {**info(), **fields}
    try:
        encoded = bencode.encode({b"info": merged})
    except ValueError:
        return  # an integer too long to be encoded
    try:
        decode_metainfo(encoded)
    except MetainfoError:
        return
    assert isinstance(merged[b"name"], bytes)


@given(st.binary(max_size=100))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(MetainfoError):
        decode_metainfo(data)
