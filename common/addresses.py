"""Hosts and ports: the one parser and the one spelling for both programs. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Container
from functools import lru_cache
from urllib.parse import urlsplit

Addr = tuple[str, int]
"""A numeric IPv4 or IPv6 address and a port, 1..65535."""

MAX_HOST_LENGTH = 64  # characters; the longest numeric address has 45

_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?\Z")


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


def split_http_url(url: str, schemes: Container[str] = ("http",)) -> tuple[str, int | None, str]:
    """Host, port (None if there is none), and path with query of a URL with one of ``schemes``.

    An IPv6 address stands in brackets in the URL, and without them in the result. ValueError for another
    scheme, a user name, or a host that is neither a name nor a numeric address.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    if parts.scheme not in schemes or parts.username is not None:
        raise ValueError("an http:// address without a user name wanted")
    if "[" in parts.netloc:
        host = str(ipaddress.IPv6Address(host))
    elif not _HOST_NAME.match(host):
        raise ValueError(f"{host!r} names no machine")
    return host, port, f"{parts.path}?{parts.query}" if parts.query else parts.path


def split_host_port(text: str) -> Addr:
    """The host and the port of ``HOST:PORT``, or ``[HOST]:PORT`` for IPv6; ValueError otherwise."""
    try:
        host, port, rest = split_http_url(f"http://{text}")
    except ValueError:
        host, port, rest = "", None, ""
    if not host or port is None or rest:
        raise ValueError("HOST:PORT wanted, an IPv6 address in brackets like [::1]:12345")
    return host, port


def join_host_port(host: str, port: int) -> str:
    """``HOST:PORT``, or ``[HOST]:PORT`` for IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def http_url(host: str, port: int) -> str:
    """``http://HOST:PORT``; "localhost" is 127.0.0.1."""
    return f"http://{join_host_port('127.0.0.1' if host == 'localhost' else host, port)}"
