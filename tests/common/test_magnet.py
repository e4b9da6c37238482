"""Magnet links: every spelling that clients write is read, and a bad link is refused in words."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import MagnetError
from common.magnet import MAX_LINK_LENGTH, MAX_LINK_PEERS, Magnet, format_magnet, parse_magnet
from common.text import sanitize
from common.tracker_tiers import MAX_TRACKERS

HASH = bytes(range(200, 220))
HEX = HASH.hex()
BASE32 = base64.b32encode(HASH).decode()
LINK = f"magnet:?xt=urn:btih:{HEX}"


@pytest.mark.parametrize(
    "link",
    [
        LINK,
        f"magnet:?xt=urn:btih:{HEX.upper()}",
        f"magnet:?xt=urn:btih:{BASE32}",
        f"magnet:?xt=urn:btih:{BASE32.lower()}",
        f"MAGNET:?XT=URN:BTIH:{HEX}",
        f"  {LINK}\n",
        f"magnet:?xt.1=urn:btih:{HEX}",
        f"magnet:?xt=urn%3Abtih%3A{HEX}",
        f"magnet:?xt=urn:btmh:1220{'0' * 64}&xt=urn:btih:{HEX}",
        f"{LINK}&xt=urn:btih:{BASE32}",
        f"{LINK}&xl=5&ws=http://a/&so=0-3&unknown&=&&==",
        f"magnet:?dn=&tr=&x.pe=&xt=urn:btih:{HEX}",
    ],
)
def test_every_spelling_of_one_hash_is_one_magnet(link: str) -> None:
    assert parse_magnet(link) == Magnet(HASH)


def test_the_fields_are_read_in_order() -> None:
    link = (
        f"{LINK}&dn=a+b%20c%2B%C3%BC&tr=http%3A%2F%2Fa%2Fannounce&amp;tr.2=udp://[::1]:80"
        "&x.pe=127.0.0.1:6881&x.pe=[2001:db8::1]:1&x.pe=%5B::1%5D:2&tr=http%3A%2F%2Fa%2Fannounce"
    )
    assert parse_magnet(link) == Magnet(
        HASH,
        "a b c+ü",
        ("http://a/announce", "udp://[::1]:80"),
        (("127.0.0.1", 6881), ("2001:db8::1", 1), ("::1", 2)),
    )


@pytest.mark.parametrize(
    "field",
    [
        *("x.pe=1.2.3.4", "x.pe=1.2.3.4:0", "x.pe=1.2.3.4:65536", "x.pe=example.org:1", "x.pe=0.0.0.0:1"),
        *("x.pe=[::1", "x.pe=[fe80::1%25lo]:1", "x.pe=224.0.0.1:1", "x.pe=%FF:1"),
        *("tr=a%20b", "tr=%FF", "tr=%0A", "tr=\udcff", "x.pe=\udcff:1", "tr=" + "h" * 2049),
    ],
)
def test_a_tracker_or_peer_that_cannot_be_used_is_ignored(field: str) -> None:
    assert parse_magnet(f"{LINK}&{field}") == Magnet(HASH)


def test_a_name_is_safe_to_show() -> None:
    assert parse_magnet(f"{LINK}&dn=%1B[2Jgpj%E2%80%AEexe%FF").name == "�[2Jgpj�exe�"
    assert len(parse_magnet(f"{LINK}&dn={'a' * 1000}").name) == 255


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("", "not a magnet link"),
        ("magnet:", "not a magnet link"),
        ("http://a/?xt=urn:btih:", "not a magnet link"),
        ("magnet:?", "no info hash"),
        ("magnet:?dn=x", "no info hash"),
        ("magnet:?xt=urn:sha1:ABC", "no info hash"),
        (f"magnet:?xt=urn:btmh:1220{'0' * 64}", "version 2 only"),
        (LINK[:-1], "39 characters"),
        (LINK + "0", "41 characters"),
        (LINK[:-1] + "g", "40 characters"),
        ("magnet:?xt=urn:btih:" + "1" * 32, "32 characters"),
        ("magnet:?xt=urn:btih:" + "\u0661" * 40, "40 characters"),
        ("magnet:?xt=urn:btih:" + "ı" * 40, "40 characters"),
        (f"{LINK}&xt=urn:btih:{'0' * 40}", "several torrents"),
        (f"{LINK}&dn={'a' * MAX_LINK_LENGTH}", "at most 65536 characters"),
    ],
)
def test_a_link_without_use_is_refused_with_the_reason(link: str, says: str) -> None:
    with pytest.raises(MagnetError, match=says) as caught:
        parse_magnet(link)
    assert str(caught.value).isprintable()


def test_trackers_and_peers_are_bounded() -> None:
    trackers = "".join(f"&tr=http://a/{n}" for n in range(100))
    peers = "".join(f"&x.pe=10.0.0.1:{n + 1}" for n in range(100))
    magnet = parse_magnet(LINK + trackers + peers)
    assert magnet.trackers == tuple(f"http://a/{n}" for n in range(MAX_TRACKERS))
    assert magnet.peers == tuple(("10.0.0.1", n + 1) for n in range(MAX_LINK_PEERS))


@given(
    st.builds(
        Magnet,
        st.binary(min_size=20, max_size=20),
        st.text(max_size=100).map(lambda text: sanitize(text).strip()),
        st.lists(st.sampled_from(["http://a/announce?k=1&l=2#x", "udp://[::1]:1", "ü"]), unique=True).map(
            tuple
        ),
        st.lists(
            st.tuples(
                st.sampled_from(["10.0.0.1", "192.0.2.255", "2001:db8::1", "::1"]), st.integers(1, 65535)
            ),
            max_size=MAX_LINK_PEERS,
            unique=True,
        ).map(tuple),
    )
)
def test_a_link_that_is_written_is_read_back(magnet: Magnet) -> None:
    link = format_magnet(magnet)
    assert link.isascii() and " " not in link
    assert parse_magnet(link) == magnet


@given(
    st.lists(st.sampled_from([*"magnet:?xt=urn:btih:&dn.0%", LINK, HEX, "&tr=", "&x.pe=[", "%F"]) | st.text())
)
def test_any_text_is_a_magnet_or_refused(parts: list[str]) -> None:
    for text in ("".join(parts), LINK + "".join(parts)):
        try:
            magnet = parse_magnet(text)
        except MagnetError:
            continue
        assert parse_magnet(format_magnet(magnet)) == magnet
