"""From which of this machine's addresses a tracker is asked.

A tracker lists a peer at the address that the request came from. So an announce comes from the address where
the peer listens. That fails if this address cannot reach the tracker: loopback reaches loopback only.
"""

from __future__ import annotations

import ipaddress
import socket

from common.addresses import Addr


def source_address(host: str, tracker_host: str, tracker_port: int) -> str:
    """``host`` if a tracker by that name should be asked from there; "": the system chooses.

    Looks the name up. An unknown name is no error here; the connection reports it.
    """
    try:
        found = resolve(tracker_host, tracker_port)
    except OSError:
        return ""
    return host if any(source_for(host, ip) for ip, _ in found) else ""


def source_for(host: str, ip: str) -> str:
    """``host`` if the tracker at the numeric address ``ip`` should be asked from there; else ""."""
    if not host:
        return ""
    ours, theirs = ipaddress.ip_address(host), ipaddress.ip_address(ip)
    suits = ours.version == theirs.version and ours.is_loopback == theirs.is_loopback
    return host if suits and not ours.is_unspecified else ""


def resolve(name: str, port: int) -> list[Addr]:
    """The numeric addresses of a name, in the system's order. OSError if there is none."""
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((str(addr[0]).partition("%")[0], port) for *_, addr in found))
