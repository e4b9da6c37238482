"""Tracker URLs: which are asked, and which are not, out of caution."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import MessageError
from node.discovery.announce_url import AnnounceUrl, caution, is_inside, parse_announce_url


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port", "rest"),
    [
        ("http://t.example/announce", "http", "t.example", 80, "/announce"),
        ("https://t.example/a?passkey=x", "https", "t.example", 443, "/a?passkey=x"),
        ("udp://t.example:6969", "udp", "t.example", 6969, ""),
        ("UDP://T.Example:6969/announce", "udp", "t.example", 6969, "/announce"),
        ("udp://[2001:db8::1]:6969/announce", "udp", "2001:db8::1", 6969, "/announce"),
    ],
)
def test_the_parts_of_a_url(text: str, scheme: str, host: str, port: int, rest: str) -> None:
    assert parse_announce_url(text) == AnnounceUrl(text, scheme, host, port, rest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "t.example",
        "wss://t.example",
        "dht://abc",
        "file:///etc/passwd",
        "http://",
        "http://t.example:0/announce",
        "http://t.example:99999/announce",
        "http://user:password@t.example/announce",
        "http://t.example/announce\r\nX: y",
        "http://t.example/a b",
        "http://t.exämple/announce",
        "http://t.example/" + "x" * 2100,
        "http://t.example/announce?info_hash=x",
        "http://t.example/announce?a=b&port=22",
    ],
)
def test_what_is_not_asked(text: str) -> None:
    with pytest.raises(MessageError, match="tracker"):
        parse_announce_url(text)


@given(st.text() | st.text().map(lambda rest: "udp://" + rest))
def test_any_text_is_a_url_or_the_named_error(text: str) -> None:
    try:
        url = parse_announce_url(text)
    except MessageError:
        return
    assert url.host
    assert 0 < url.port < 65536


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.9.9.9", "10.1.2.3", "192.168.0.1", "172.16.0.1", "::1"])
def test_inside_only_the_path_announce_is_requested(ip: str) -> None:
    for path in ("/announce", "/announce.php", "/announce/0123abcd", "/announce?passkey=1"):
        assert caution(parse_announce_url(f"http://t.example{path}"), ip) == ""
    for path in ("", "/", "/admin", "/announcement", "/announce/../admin", "/announce/%2e%2e/admin"):
        assert "inside this network" in caution(parse_announce_url(f"http://t.example{path}"), ip)
    assert caution(parse_announce_url("udp://t.example:1"), ip) == ""


def test_outside_any_path_is_requested() -> None:
    assert caution(parse_announce_url("http://t.example/x/announce"), "8.8.8.8") == ""


@pytest.mark.parametrize(
    "ip", ["169.254.169.254", "fe80::1%eth0", "::ffff:127.0.0.1", "0.0.0.0", "224.0.0.1"]
)
def test_addresses_that_are_inside(ip: str) -> None:
    assert is_inside(ip)
