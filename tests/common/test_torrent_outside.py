"""The keys outside ``info``: trackers, notes, and small deviations, which are accepted."""

from __future__ import annotations

import hashlib

import pytest

from common import bencode
from common.errors import MetainfoError
from common.metainfo import decode_info, decode_metainfo, encode_metainfo
from tests.common.torrents import KIB, info, outside, torrent


@pytest.mark.parametrize(
    "announce", ["http://localhost:12345/tracker", "http://127.0.0.1:12345/tracker", "udp://[::1]:80", "x"]
)
def test_announce_is_kept_as_it_stands(announce: str) -> None:
    data = encode_metainfo("x", 0, 32 * KIB, b"", announce)
    assert decode_metainfo(data).announce == announce


def test_a_torrent_without_announce_parses() -> None:
    assert decode_metainfo(bencode.encode({b"info": info()})).announce == ""
    assert decode_metainfo(encode_metainfo("x", 0, 32 * KIB, b"", "")).announce == ""


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
