"""Compact lists of peers, as trackers send them (BEP 23; for IPv6, BEP 7). Pure.

    IPv4    6 bytes a peer    4 of the address, 2 of the port
    IPv6   18 bytes a peer   16 of the address, 2 of the port

All numbers are big-endian. Nothing separates two entries.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable

from common.addresses import Addr, unicast_host
from common.errors import TrackerPacketError

MAX_ENTRIES = 2000  # entries of one list that are read; a tracker may send more
ENTRY_SIZE = {4: 6, 6: 18}  # bytes of an entry, by IP version

_PORT = struct.Struct("!H")


def encode_peer(addr: Addr) -> bytes:
    """The entry of one peer: 6 bytes for an IPv4 address, 18 for IPv6. ValueError for any other host."""
    host, port = addr
    return ipaddress.ip_address(host).packed + _PORT.pack(port)


def encode_peers(addrs: Iterable[Addr], version: int = 4) -> bytes:
    """The list of the peers in ``addrs`` with an address of this IP version; the rest is left out."""
    size = ENTRY_SIZE[version]
    return b"".join(entry for entry in map(encode_peer, addrs) if len(entry) == size)


def decode_peers(data: bytes, version: int = 4, limit: int = MAX_ENTRIES) -> list[Addr]:
    """The peers of a list, at most the first ``limit``.

    Left out are port 0, and addresses that no single host has (0.0.0.0, multicast). An IPv4 address in
    IPv6 form becomes IPv4. TrackerPacketError if the length is no multiple of an entry's.
    """
    size = ENTRY_SIZE[version]
    if len(data) % size:
        raise TrackerPacketError(f"a list of IPv{version} peers of {len(data)} bytes, no multiple of {size}")
    found = []
    for start in range(0, min(len(data), limit * size), size):
        end = start + size - _PORT.size
        (port,) = _PORT.unpack_from(data, end)
        if port and (host := _host(data[start:end])):
            found.append((host, port))
    return found


def _host(packed: bytes) -> str:
    """The canonical spelling of an address; "" if no single host has it."""
    try:
        return unicast_host(str(ipaddress.ip_address(packed)))
    except ValueError:
        return ""
