"""Packets that the emulator damages still arrive."""

from __future__ import annotations

import struct

import pytest

from bench.network.packets import IP_HEADER, UDP_HEADERS, checksum, damaged_packet, packed, payload
from node.chunk_udp import wire

SOURCE, TARGET = packed("10.77.0.2"), packed("10.77.0.1")


def packet(protocol: int, body: bytes) -> bytes:
    """An IPv4 packet with a good header."""
    header = bytearray(struct.pack("!BBHHHBBH", 0x45, 0, IP_HEADER + len(body), 7, 0, 64, protocol, 0))
    header += SOURCE + TARGET
    header[10:12] = checksum(header).to_bytes(2, "big")
    return bytes(header) + body


def udp(data: bytes) -> bytes:
    return packet(17, struct.pack("!HHHH", 4000, 5000, 8 + len(data), 0xABCD) + data)


def data_segment(size: int) -> bytes:
    check = struct.pack("!I", 0)
    return bytes([wire.MAGIC, wire.VERSION, wire.DATA]) + bytes(wire.HEADER_SIZE - 7) + check + bytes(size)


def test_payload_is_what_our_own_segments_carry_and_nothing_else() -> None:
    assert payload(udp(data_segment(1440))) == 1440
    assert payload(udp(data_segment(0))) == 0
    assert payload(udp(bytes(1440))) == 0
    assert payload(packet(6, bytes(8) + data_segment(1440))) == 0
    assert payload(b"") == 0


@pytest.mark.parametrize("where", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("how", [0.0, 0.2, 0.3, 0.999])
def test_a_damaged_datagram_is_handed_over_by_the_system_and_is_not_what_it_was(
    where: float, how: float
) -> None:
    whole = udp(bytes(range(200)))
    got = damaged_packet(whole, where, how)
    assert got != whole
    assert got[UDP_HEADERS:] != whole[UDP_HEADERS:]
    assert checksum(got[:IP_HEADER]) == 0  # the sum over a valid header
    assert int.from_bytes(got[2:4], "big") == len(got)
    assert got[12:20] == SOURCE + TARGET
    source, target, length, check = struct.unpack_from("!HHHH", got, IP_HEADER)
    assert (source, target, length, check) == (4000, 5000, len(got) - IP_HEADER, 0)


def test_damaged_tcp_is_as_long_as_it_was_and_keeps_its_ip_header() -> None:
    whole = packet(6, bytes(range(100)))
    for number in range(100):
        got = damaged_packet(whole, number / 100, number / 100)
        assert got[:IP_HEADER] == whole[:IP_HEADER]
        assert sum(a != b for a, b in zip(got, whole, strict=True)) == 1


def test_what_has_no_body_cannot_be_damaged() -> None:
    assert damaged_packet(udp(b""), 0.5, 0.5) == udp(b"")
