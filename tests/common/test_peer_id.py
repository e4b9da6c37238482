"""Peer ids: ours is in Azureus style, and other clients' names are read from theirs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.peer_id import client_name, new_peer_id


def test_our_peer_ids_differ_and_name_us() -> None:
    first, second = new_peer_id(), new_peer_id()
    assert len(first) == 20 and first.startswith(b"-CS0100-")
    assert first != second
    assert client_name(first) == "classroom swarm 0.1.0"


@pytest.mark.parametrize(
    ("peer_id", "name"),
    [
        (b"-qB5100-abcdefghijkl", "qBittorrent 5.1.0"),
        (b"-LT20B0-abcdefghijkl", "libtorrent 2.0.11"),
        (b"-TR410Z-abcdefghijkl", "Transmission 4.1.0"),
        (b"-UT355S-abcdefghijkl", "uTorrent 3.5.5"),
        (b"A2-1-36-0-abcdefghij", "aria2 1.36.0"),
        (b"-XX1234-abcdefghijkl", "XX 1.2.3"),
        (b"M7-9-2--abcdefghijkl", "unknown client"),
        (b"", "unknown client"),
    ],
)
def test_the_client_behind_a_peer_id(peer_id: bytes, name: str) -> None:
    assert client_name(peer_id) == name


@given(st.binary(max_size=20) | st.from_regex(rb"-[a-zA-Z0-9]{6}-.*", fullmatch=True))
def test_any_peer_id_has_a_printable_name(peer_id: bytes) -> None:
    name = client_name(peer_id)
    assert name and name.isascii() and name.isprintable()
