"""Hosts and ports: accepted and refused spellings, the same for tracker and node."""

from __future__ import annotations

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.addresses import join_host_port, split_host_port, unicast_host
from common.errors import MessageError
from node.discovery import tracker_url as announce
from node.option_values import tracker_url


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("localhost:12345", "localhost", 12345),
        ("Tracker.School:80", "tracker.school", 80),
        ("[::1]:12345", "::1", 12345),
        ("[0:0::1]:1", "::1", 1),
    ],
)
def test_a_host_and_a_port(text: str, host: str, port: int) -> None:
    assert split_host_port(text) == (host, port)
    assert split_host_port(join_host_port(host, port)) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        ":1",
        "h:",
        "h:x",
        "h:70000",
        "::1:12345",
        "::1",
        "[::1]",
        "[x]:1",
        "h:1/",
        "h:1?q",
        "u@h:1",
        "a b:1",
    ],
)
def test_what_is_no_host_and_port(text: str) -> None:
    with pytest.raises(ValueError, match=r"\[::1\]:12345"):
        split_host_port(text)


@pytest.mark.parametrize("host", ["::1", "127.0.0.1", "tracker.school"])
def test_setting_option_and_torrent_read_one_spelling(host: str) -> None:
    text = join_host_port(host, 4711)
    assert split_host_port(text) == (host, 4711)
    assert tracker_url(text) == tracker_url(f"http://{text}/announce") == f"http://{text}"
    assert announce.tracker_url(f"http://{text}/announce") == f"http://{text}"


@pytest.mark.parametrize("host", ["::1", "a b", "[x]", ""])
def test_setting_option_and_torrent_refuse_the_same(host: str) -> None:
    text = f"{host}:4711"
    with pytest.raises(ValueError):
        split_host_port(text)
    with pytest.raises(argparse.ArgumentTypeError):
        tracker_url(text)
    with pytest.raises(MessageError):
        announce.tracker_url(f"http://{text}/announce")


@given(st.ip_addresses())
def test_a_canonical_address_is_canonical(ip: object) -> None:
    try:
        host = unicast_host(str(ip))
    except ValueError:
        return
    assert unicast_host(host) == host
    assert split_host_port(join_host_port(host, 1)) == (host, 1)
