"""Numeric addresses of hosts, in the one spelling that every part of the program compares."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

Addr = tuple[str, int]
"""A numeric IPv4 or IPv6 address and a port, 1..65535."""

MAX_HOST_LENGTH = 64  # characters; the longest numeric address has 45


@lru_cache(8192)  # parsing takes as long as all else that a heartbeat costs the tracker
def unicast_host(text: str) -> str:
    """The canonical spelling of a numeric address that one host can have; "localhost" is 127.0.0.1.

    An IPv4 address mapped to IPv6 (``::ffff:1.2.3.4``) becomes the IPv4 address. ValueError otherwise.
    """
    if text == "localhost":
        return "127.0.0.1"
    if "%" in text:
        raise ValueError("the host must be without a zone")
    try:
        ip = ipaddress.ip_address(text[:MAX_HOST_LENGTH])
    except ValueError:
        raise ValueError("the host must be a numeric IP address or localhost") from None
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_unspecified or ip.is_multicast or str(ip) == "255.255.255.255":
        raise ValueError(f"{ip} is not the address of one host")
    return str(ip)
