"""The emulator's view of IPv4 packets. Pure."""

from __future__ import annotations

import ipaddress
import struct

from faults.link import damaged
from node.chunk_udp.wire import DATA, HEADER_SIZE, MAGIC

TCP, UDP = 6, 17  # IP protocol numbers
IP_HEADER = 20  # bytes, without options, which are not used here
UDP_HEADERS = IP_HEADER + 8
_UDP = struct.Struct("!HHHH")  # source port, target port, length, checksum


def packed(address: str) -> bytes:
    """A numeric address as it stands in a packet."""
    return ipaddress.IPv4Address(address).packed


def payload(packet: bytes) -> int:
    """Bytes of file that a segment of our own transport carries; 0 for any other packet."""
    if len(packet) <= UDP_HEADERS + HEADER_SIZE or packet[9] != UDP:
        return 0
    ours = packet[UDP_HEADERS] == MAGIC and packet[UDP_HEADERS + 2] == DATA
    return len(packet) - UDP_HEADERS - HEADER_SIZE if ours else 0


def damaged_packet(packet: bytes, where: float, how: float) -> bytes:
    """``packet`` as a link corrupts it, so that it still arrives where it should.

    A UDP datagram is changed or cut behind its header, and its checksum field is 0 (no checksum). So the
    system delivers it, and only the receiving program can detect the damage. TCP keeps its checksum, which
    now is wrong: the system drops it, as it does on a real link.
    """
    if len(packet) <= UDP_HEADERS:
        return packet
    if packet[9] != UDP:
        return packet[:IP_HEADER] + _flipped(packet[IP_HEADER:], where, how)
    body = damaged(packet[UDP_HEADERS:], where, how)
    source, target, _, _ = _UDP.unpack_from(packet, IP_HEADER)
    datagram = _UDP.pack(source, target, 8 + len(body), 0) + body
    header = bytearray(packet[:IP_HEADER])
    header[2:4] = (IP_HEADER + len(datagram)).to_bytes(2, "big")
    header[10:12] = bytes(2)
    header[10:12] = checksum(header).to_bytes(2, "big")
    return bytes(header) + datagram


def _flipped(data: bytes, where: float, how: float) -> bytes:
    at = int(where * len(data))
    return data[:at] + bytes([data[at] ^ (1 + int(how * 255))]) + data[at + 1 :]


def checksum(header: bytes | bytearray) -> int:
    """The internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
