"""Torrents: what is accepted is safe and consistent; everything else is one named error."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import bencode, metainfo
from common.errors import MetainfoError
from common.metainfo import (
    choose_piece_length,
    decode_info,
    decode_metainfo,
    encode_metainfo,
)
from common.torrent_files import FileEntry

KIB = 1 << 10
MIB = 1 << 20
ANNOUNCE = "http://127.0.0.1:12345/announce"


def info(**changes: bencode.Value | None) -> dict[bytes, bencode.Value]:
    """The info of a good torrent of 40,000 bytes; underscores are spaces, None takes a key out."""
    values: dict[bytes, bencode.Value] = {
        b"name": b"x.bin",
        b"length": 40_000,
        b"piece length": 32 * KIB,
        b"pieces": bytes(range(40)),
    }
    for key, value in changes.items():
        values.pop(key.replace("_", " ").encode(), None)
        if value is not None:
            values[key.replace("_", " ").encode()] = value
    return values


def torrent(**changes: bencode.Value | None) -> bytes:
    return bencode.encode({b"announce": ANNOUNCE.encode(), b"info": info(**changes)})


def folder(*files: bencode.Value) -> bytes:
    return torrent(length=None, files=list(files))


def entry(length: bencode.Value, *path: bytes) -> bencode.Value:
    return {b"length": length, b"path": list(path)}


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


@pytest.mark.parametrize(
    "announce", ["http://localhost:12345/tracker", "http://127.0.0.1:12345/tracker", "udp://[::1]:80", "x"]
)
def test_announce_is_kept_as_it_stands(announce: str) -> None:
    data = encode_metainfo("x", 0, 32 * KIB, b"", announce)
    assert decode_metainfo(data).announce == announce


def test_a_torrent_without_announce_parses() -> None:
    assert decode_metainfo(bencode.encode({b"info": info()})).announce == ""
    assert decode_metainfo(encode_metainfo("x", 0, 32 * KIB, b"", "")).announce == ""


def test_an_empty_file() -> None:
    parsed = decode_metainfo(torrent(length=0, pieces=b""))
    assert (parsed.size, parsed.geometry.piece_count, parsed.pieces) == (0, 0, b"")


def test_an_exact_multiple_has_no_piece_more() -> None:
    assert decode_metainfo(torrent(length=64 * KIB)).geometry.piece_count == 2
    with pytest.raises(MetainfoError, match="pieces"):
        decode_metainfo(torrent(length=64 * KIB, pieces=bytes(60)))


def test_a_folder_parses_but_is_not_a_single_file() -> None:
    parsed = decode_metainfo(
        folder(entry(30_000, b"a"), entry(10_000, b"sub", b"b.part"), entry(0, b"empty"))
    )
    assert parsed.files == (
        FileEntry(("x.bin", "a"), 30_000),
        FileEntry(("x.bin", "sub", "b.part"), 10_000),
        FileEntry(("x.bin", "empty"), 0),
    )
    assert parsed.size == 40_000 and not parsed.is_single_file


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a torrent"),
        (b"hello", "not a torrent"),
        (b"<html>", "not a torrent"),
        (b"i1e", "not a torrent"),
        (b"de", "no info"),
        (b"d4:infoi1ee", "no info"),
        (torrent()[:-1], "the file is cut off: "),
        (torrent()[:50], "the file is cut off: "),
        (torrent() + b"\nx", "after the end"),
        (torrent() + torrent(), "after the end"),
        (torrent().replace(b"4:name5:x.bin", b"").replace(b"6:pieces", b"4:name5:x.bin6:pieces"), "order"),
        (torrent().replace(b"4:info", b"8:announce1:x4:info"), "twice"),
        (torrent().replace(b"i40000e", b"i-0e"), "canonical integer"),
        (torrent().replace(b"i40000e", b"i040000e"), "canonical integer"),
        (b"d4:info" + b"l" * 100_000, "nested"),
        (torrent(name=None), "name is missing"),
        (torrent(pieces=None), "pieces is missing"),
        (torrent(piece_length=None), "piece length is missing"),
        (torrent(length=None), "length and files"),
        (torrent(files=[entry(1, b"a")]), "length and files"),
        (torrent(name=3), "name is not"),
        (torrent(name=[b"x"]), "name is not"),
        (torrent(length=b"40000"), "length is not an integer"),
        (torrent(pieces=[bytes(20)]), "pieces is not"),
        (torrent(piece_length=b"1"), "piece length is not"),
        (torrent(length=-1), "length -1 is not from 0"),
        (torrent(length=2**53 + 1), "length 9007199254740993 is not"),
        (torrent(length=10**39), "length 10+ is not"),
        (torrent(length=2**53), "pieces"),
        (torrent(piece_length=0), "piece length 0 is not from 1"),
        (torrent(piece_length=-5), "piece length -5"),
        (torrent(piece_length=2**29 + 1), "piece length 536870913"),
        (torrent(piece_length=10**30), "piece length"),
        (torrent(length=2**40, piece_length=1), "more than 2097152"),
        (torrent(pieces=bytes(39)), "39 bytes, where 2 pieces take 40"),
        (torrent(pieces=bytes(20)), "20 bytes"),
        (torrent(pieces=bytes(60)), "60 bytes"),
        (torrent(pieces=b""), "0 bytes"),
        (torrent(length=0), "40 bytes, where 0 pieces"),
        (torrent(name=b"\xff\xfe"), "name is not UTF-8"),
        (torrent(name=b"../x"), "slash"),
        (torrent(name=b".."), "no file"),
        (torrent(name=b"."), "no file"),
        (torrent(name=b""), "no file"),
        (torrent(name=b"/etc/passwd"), "slash"),
        (torrent(name=b"C:x"), "Windows"),
        (torrent(name=b"a\0b"), "control"),
        (torrent(name=b"a\\b"), "backslash"),
        (torrent(name=b"NUL"), "device"),
        (torrent(name=b"nul.txt"), "device"),
        (torrent(name=b"a" * 248), "longer than 247"),
        (torrent(length=None, files=[]), "files is not"),
        (torrent(length=None, files=b"a"), "files is not"),
        (folder(b"a"), "entry of files"),
        (folder(entry(40_000)), "path of a file"),
        (folder({b"length": 40_000}), "path of a file"),
        (folder({b"length": 40_000, b"path": b"a"}), "path of a file"),
        (folder({b"length": 40_000, b"path": [3]}), "path of a file"),
        (folder(entry(40_000, *[b"a"] * 32)), "path of a file"),
        (folder(entry(-1, b"a"), entry(40_001, b"b")), "length -1"),
        (folder(entry(2**53, b"a"), entry(2**53, b"b")), "content of"),
        (folder(entry(20_000, b"a"), entry(20_000, b"a")), "one path"),
        (folder(entry(20_000, b"a"), entry(20_000, b"a", b"b")), "one of its folders"),
        (torrent(pieces=None, meta_version=2), "version 2"),
        (torrent(**{"name.utf-8": b"../x"}), "slash"),
        (torrent(**{"name.utf-8": b"\xff"}), "name.utf-8 is not UTF-8"),
        (folder({b"length": 40_000, b"path": [b"a"], b"path.utf-8": b"a"}), "path of a file"),
        (folder({b"path": [b"a"], b"attr": b"l", b"symlink path": [b"b"]}), "links and no files"),
        (folder(*[entry(0, b"a")] * 200_001), "200001 files are more than 200000"),
    ],
)
def test_what_is_no_good_torrent_is_refused_with_the_reason(data: bytes, says: str) -> None:
    with pytest.raises(MetainfoError, match=says) as caught:
        decode_metainfo(data)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("announce", "url"),
    [
        (b"http://a/announce\n", "http://a/announce"),
        (b" http://a/announce\r\n\t", "http://a/announce"),
        (b"", ""),
        (3, ""),
        ([b"http://a/announce"], ""),
        ({}, ""),
        (b"\xff", ""),
        (b"http://a b/", ""),
        (b"h" * 2049, ""),
    ],
)
def test_blanks_around_announce_are_dropped_and_other_odd_values_are_ignored(
    announce: bencode.Value, url: str
) -> None:
    parsed = decode_metainfo(
        bencode.encode(
            {b"announce": announce, b"announce-list": [[announce], [b"udp://b:1"]], b"info": info()}
        )
    )
    assert parsed.announce == url
    assert parsed.trackers == tuple(filter(None, (url, "udp://b:1")))
    assert parsed.info_hash == decode_metainfo(torrent()).info_hash
    odd = not url and announce != b""
    assert parsed.warnings == (("announce is not a URL; it is ignored",) if odd else ())


@pytest.mark.parametrize("listed", [3, b"http://a/", {}, [3], [[3]], [[[b"http://a/"]]], [{}]])
def test_an_odd_announce_list_is_ignored(listed: bencode.Value) -> None:
    parsed = decode_metainfo(bencode.encode({b"announce-list": listed, b"info": info()}))
    assert parsed.trackers == ()


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\0", b" \n\n"])
def test_line_breaks_after_the_end_are_accepted_with_a_warning(ending: bytes) -> None:
    parsed = decode_metainfo(torrent() + ending)
    assert parsed.info_hash == decode_metainfo(torrent()).info_hash
    assert parsed.warnings == ("line breaks or blanks after the end of the torrent",)


def test_unsorted_keys_outside_info_are_accepted_with_a_warning() -> None:
    raw = bencode.encode(info())
    parsed = decode_metainfo(b"d4:info" + raw + b"8:announce1:x1:zd1:b0:1:a0:ee")
    assert (parsed.info_hash, parsed.announce) == (hashlib.sha1(raw).digest(), "x")
    assert parsed.warnings == ("keys outside info are not in order",)
    assert decode_metainfo(torrent()).warnings == ()


def test_a_name_in_utf_8_is_preferred_to_one_in_a_local_encoding() -> None:
    name = "\u8bfe\u7a0b.bin"
    parsed = decode_metainfo(torrent(**{"name": name.encode("gbk"), "name.utf-8": name.encode()}))
    assert (parsed.name, parsed.files) == (name, (FileEntry((name,), 40_000),))
    path, utf8 = [name.encode("gbk")], [name.encode()]
    parsed = decode_metainfo(folder({b"length": 40_000, b"path": path, b"path.utf-8": utf8}))
    assert parsed.files == (FileEntry(("x.bin", name), 40_000),)


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


def outside(**values: bencode.Value) -> bytes:
    """A good torrent with ``values`` beside ``info``; underscores are blanks or, twice, a dash."""
    keys = {key.replace("__", "-").replace("_", " ").encode(): value for key, value in values.items()}
    return bencode.encode({**keys, b"info": info()})


@pytest.mark.parametrize(
    ("announce", "listed", "tiers"),
    [
        (b"http://a/", None, (("http://a/",),)),
        (b"", None, ()),
        (b"http://a/", [], (("http://a/",),)),
        (b"http://a/", [[b"x y"], [], 3], (("http://a/",),)),
        (
            b"http://a/",
            [[b"udp://b:1", b"udp://c:1"], [b"http://a/"]],
            (("udp://b:1", "udp://c:1"), ("http://a/",)),
        ),
        (b"http://a/", [[b"udp://b:1"], [b"udp://b:1", b"udp://c:1"]], (("udp://b:1",), ("udp://c:1",))),
    ],
)
def test_trackers_stand_in_tiers(
    announce: bytes, listed: bencode.Value, tiers: tuple[tuple[str, ...], ...]
) -> None:
    more = {} if listed is None else {"announce__list": listed}
    parsed = decode_metainfo(outside(announce=announce, **more))
    assert parsed.tiers == tiers
    assert set(parsed.announce_list) <= set(parsed.trackers)


def test_the_trackers_of_all_tiers_are_limited() -> None:
    parsed = decode_metainfo(
        outside(announce__list=[[b"http://a/%d" % (n + m) for m in range(9)] for n in range(0, 90, 9)])
    )
    assert parsed.announce_list == tuple(f"http://a/{n}" for n in range(16))
    assert list(map(len, parsed.tiers)) == [9, 7]


def test_the_notes_for_people() -> None:
    parsed = decode_metainfo(outside(comment="grüß".encode(), created_by=b"us", creation_date=1_700_000_000))
    assert (parsed.comment, parsed.created_by, parsed.creation_date) == ("grüß", "us", 1_700_000_000)
    parsed = decode_metainfo(outside(comment=b"\xff", **{"comment.utf-8": "ü".encode()}, created_by=b"\xff"))
    assert (parsed.comment, parsed.created_by, parsed.creation_date) == ("ü", "�", None)
    assert len(decode_metainfo(outside(comment=b"a" * 100_000)).comment) == 1 << 16
    for odd in (3, [b"x"], {}):
        parsed = decode_metainfo(outside(comment=odd, created_by=odd))
        assert (parsed.comment, parsed.created_by) == ("", "")
    for odd in (-1, 1 << 63, b"2020", []):
        assert decode_metainfo(outside(creation_date=odd)).creation_date is None


@pytest.mark.parametrize(
    "padding",
    [
        {b"length": 15_000, b"path": [b".pad", b"9"], b"attr": b"p"},
        {b"length": 15_000, b"path": [b"..", b"NUL"], b"attr": b"hp"},
        {b"length": 15_000, b"path": [b".pad", b"15000"]},
        {b"length": 15_000, b"path": [b"_____padding_file_0_please update BitComet____"]},
    ],
)
def test_padding_is_marked_and_its_name_is_never_used(padding: bencode.Value) -> None:
    parsed = decode_metainfo(folder(entry(5_000, b"a"), padding, entry(5_000, b"b"), padding))
    pad = FileEntry(("x.bin", ".pad", "15000"), 15_000, padding=True)
    a, b = FileEntry(("x.bin", "a"), 5_000), FileEntry(("x.bin", "b"), 5_000)
    assert parsed.files == (a, pad, b, pad)
    assert parsed.stored_files == (a, b)
    assert parsed.size == 40_000


def test_a_name_that_only_looks_like_padding_is_a_file() -> None:
    for path in ([b".pad", b"1"], [b".pad"], [b"a", b".pad", b"40000"], [b"padding_file_"]):
        assert not decode_metainfo(folder(entry(40_000, *path))).files[0].padding


def test_metadata_from_peers_is_the_torrent_without_its_outside() -> None:
    raw = bencode.encode(info(private=1))
    parsed = decode_info(raw, (("http://a/", "http://b/"), ("udp://c:1",)))
    assert parsed.info_hash == hashlib.sha1(raw).digest()
    assert (parsed.raw_info, parsed.private, parsed.announce) == (raw, True, "http://a/")
    assert parsed.trackers == ("http://a/", "http://b/", "udp://c:1")
    assert decode_info(raw).trackers == ()
    for bad, says in [
        (raw + b"\n", "metadata"),
        (raw[:-1], "metadata"),
        (b"le", "no dictionary"),
        (b"de", "name is missing"),
    ]:
        with pytest.raises(MetainfoError, match=says):
            decode_info(bad)


def test_a_folder_with_names_that_harm_is_stored_under_other_names() -> None:
    paths = [[b"..", b"..", b"etc", b"passwd"], [b"/etc/passwd"], [b"CON"], [b"a:b."], [b"\xff"], [b"ok"]]
    parsed = decode_metainfo(
        torrent(name=b"..", length=None, files=[entry(n * 4_000, *path) for n, path in enumerate(paths[:5])])
    )
    assert [entry.path for entry in parsed.files] == [
        ("__", "__", "__", "etc", "passwd"),
        ("__", "_etc_passwd"),
        ("__", "_CON"),
        ("__", "a_b_"),
        ("__", "_"),
    ]
    assert parsed.name == "__"
    assert parsed.files[0].renamed_from == ("..", "..", "..", "etc", "passwd")
    assert parsed.files[4].renamed_from == ("..", "\udcff")
    assert parsed.warnings == ("files stored under other names, because some system cannot store theirs: 5",)


def test_symbolic_links_are_left_out_with_a_warning() -> None:
    link: bencode.Value = {b"path": [b"b"], b"attr": b"l", b"symlink path": [b"..", b"..", b"etc"]}
    parsed = decode_metainfo(folder(entry(30_000, b"a"), link, entry(10_000, b"c")))
    assert [entry.path[1] for entry in parsed.files] == ["a", "c"]
    assert parsed.warnings == ("symbolic links are left out: 1",)
    assert parsed.size == 40_000


def test_a_hybrid_torrent_is_read_as_version_1() -> None:
    tree: bencode.Value = {b"a": {b"": {b"length": 40_000, b"pieces root": bytes(32)}}}
    parsed = decode_metainfo(
        torrent(length=None, files=[entry(40_000, b"a")], meta_version=2, file_tree=tree)
    )
    assert (parsed.size, parsed.geometry.piece_count) == (40_000, 2)
