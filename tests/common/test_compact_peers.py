"""Compact peers: encoding and decoding are inverse, and unusable addresses are left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.addresses import Addr, unicast_host
from common.compact_peers import ENTRY_SIZE, decode_peers, encode_peer, encode_peers
from common.errors import TrackerPacketError

PORTS = st.integers(1, 65535)


def is_unicast(host: str) -> bool:
    try:
        return unicast_host(host) == host
    except ValueError:
        return False


V4 = st.tuples(st.ip_addresses(v=4).map(str).filter(is_unicast), PORTS)
V6 = st.tuples(st.ip_addresses(v=6).map(str).filter(is_unicast), PORTS)


def test_the_bytes_of_bep_23_and_bep_7() -> None:
    assert encode_peer(("1.2.3.4", 0x1AE1)) == b"\x01\x02\x03\x04\x1a\xe1"
    assert encode_peer(("2001:db8::1", 1)) == bytes.fromhex("20010db8000000000000000000000001 0001")


@given(st.lists(V4, max_size=8), st.lists(V6, max_size=8))
def test_each_version_comes_back_in_its_order(v4: list[Addr], v6: list[Addr]) -> None:
    mixed = [*v6, *v4]
    assert decode_peers(encode_peers(mixed, 4), 4) == v4
    assert decode_peers(encode_peers(mixed, 6), 6) == v6


@given(st.binary(max_size=200), st.sampled_from([4, 6]))
def test_any_bytes_are_usable_peers_or_the_named_error(data: bytes, version: int) -> None:
    if len(data) % ENTRY_SIZE[version]:
        with pytest.raises(TrackerPacketError, match="no multiple"):
            decode_peers(data, version)
        return
    for host, port in decode_peers(data, version):
        assert unicast_host(host) == host
        assert 0 < port < 65536


def test_port_0_and_hosts_that_no_client_has_are_left_out() -> None:
    hosts = [("0.0.0.0", 5), ("224.0.0.1", 5), ("255.255.255.255", 5), ("10.0.0.1", 0), ("10.0.0.2", 7)]
    assert decode_peers(encode_peers(hosts)) == [("10.0.0.2", 7)]


def test_an_ipv4_address_in_ipv6_form_becomes_ipv4() -> None:
    assert decode_peers(encode_peer(("::ffff:10.0.0.2", 7)), 6) == [("10.0.0.2", 7)]


def test_a_list_of_ten_thousand_is_read_to_the_limit() -> None:
    data = encode_peers([("10.0.0.1", port) for port in range(1, 10_001)])
    assert len(data) == 60_000
    assert decode_peers(data, limit=50) == [("10.0.0.1", port) for port in range(1, 51)]
    assert len(decode_peers(data)) < 10_000


def test_a_name_is_no_peer() -> None:
    with pytest.raises(ValueError, match="host.example"):
        encode_peer(("host.example", 1))
