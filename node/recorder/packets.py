"""IP packets as they would have been, around payloads that this program sees: for a capture file. Pure.

The system makes the real headers, and no program sees them without special rights. These have the same
addresses, ports, lengths and checksums. Window, identification and time to live are made up.
"""

from __future__ import annotations

import ipaddress
import struct
from functools import lru_cache

from node.tap import Address

UDP, TCP = 17, 6  # numbers of the protocols in an IP header
SYN, FIN, PUSH, ACK = 0x02, 0x01, 0x08, 0x10  # flags of a TCP header
MAX_TCP_PAYLOAD = 1 << 15  # bytes in one made-up TCP segment
TTL = 64  # hops; made up
TCP_WINDOW = 65_535  # bytes; made up
_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")
_UDP = struct.Struct("!HHHH")
_TCP = struct.Struct("!HHIIBBHHH")
_DO_NOT_FRAGMENT = 0x4000
_TCP_HEADER_WORDS = _TCP.size // 4


def checksum(data: bytes) -> int:
    """The Internet checksum of ``data`` (RFC 1071), as in a header. An odd last byte counts as a high one.

    2¹⁶ is 1 modulo 2¹⁶-1. So the sum of all 16-bit words, with every carry added, is the remainder of the
    whole number. That is one division in C in place of a loop.
    """
    number = int.from_bytes(data, "big")
    if len(data) % 2:
        number <<= 8
    remainder = number % 0xFFFF
    return 0xFFFF - (remainder or (0xFFFF if number else 0))


def udp_packet(payload: bytes, source: Address, target: Address) -> bytes:
    """A whole IP packet with one datagram."""
    size = _UDP.size + len(payload)
    start = _pseudo_header(source, target, UDP, size)
    header = _UDP.pack(source[1], target[1], size, 0)
    sum_ = checksum(start + header + payload) or 0xFFFF  # 0 would mean: none
    return _ip_header(source, target, UDP, size) + _UDP.pack(source[1], target[1], size, sum_) + payload


def tcp_packet(
    payload: bytes, source: Address, target: Address, flags: int, sequence: int, acknowledged: int
) -> bytes:
    """A whole IP packet with one TCP segment, without options. Numbers count modulo 2³²."""
    size = _TCP.size + len(payload)
    ports_and_numbers = (source[1], target[1], sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF)
    fields = (*ports_and_numbers, _TCP_HEADER_WORDS << 4, flags, TCP_WINDOW)
    sum_ = checksum(_pseudo_header(source, target, TCP, size) + _TCP.pack(*fields, 0, 0) + payload)
    return _ip_header(source, target, TCP, size) + _TCP.pack(*fields, sum_, 0) + payload


def _ip_header(source: Address, target: Address, protocol: int, size: int) -> bytes:
    here, there = _packed(source[0]), _packed(target[0])
    if len(here) != 4:
        return _IPV6.pack(6 << 28, size, protocol, TTL, here, there)
    fields = (0x45, 0, _IPV4.size + size, 0, _DO_NOT_FRAGMENT, TTL, protocol)
    sum_ = checksum(_IPV4.pack(*fields, 0, here, there))
    return _IPV4.pack(*fields, sum_, here, there)


def _pseudo_header(source: Address, target: Address, protocol: int, size: int) -> bytes:
    """The pseudo header, which UDP and TCP checksums cover, too (RFC 768, RFC 8200 section 8.1)."""
    here, there = _packed(source[0]), _packed(target[0])
    if len(here) != 4:
        return here + there + struct.pack("!II", size, protocol)
    return here + there + struct.pack("!HH", protocol, size)


@lru_cache(maxsize=1024)
def _packed(host: str) -> bytes:
    return ipaddress.ip_address(host.partition("%")[0]).packed
