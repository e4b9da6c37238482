"""Tracker URLs of the standard protocols, and the caution about where they lead. Pure.

A torrent comes from anywhere, and its trackers' URLs make this node send requests. A hostile torrent could
aim them at a service that only this machine or this network reaches: a router's page, a printer. So, as
libtorrent does: at a loopback or private address only the path ``/announce`` is requested over HTTP, a URL
brings no parameters that look like an announce's own, and no redirect leads from outside to inside. UDP needs
no such rule: its requests are binary, and begin with a handshake that no other service completes.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from common.addresses import split_http_url
from common.errors import MessageError
from common.text import sanitize

DEFAULT_PORTS = {"http": 80, "https": 443, "udp": 80}
MAX_URL = 2048  # characters

_SHOWN = 200  # characters of a wrong URL that a message repeats
_INSIDE_PATH = re.compile(r"/announce(\.php)?(/[\w-]+)*/?\Z", re.ASCII)  # private trackers append a passkey
_OWN_PARAMETERS = frozenset(
    ["info_hash", "peer_id", "port", "uploaded", "downloaded", "left", "event", "numwant", "key", "ip"]
    + ["compact", "no_peer_id", "trackerid"]
)


@dataclass(frozen=True)
class AnnounceUrl:
    """The parts of a tracker's URL."""

    text: str
    scheme: str  # "http", "https" or "udp"
    host: str  # a name, or a numeric address without brackets
    port: int
    request: str  # path and query

    @property
    def is_udp(self) -> bool:
        return self.scheme == "udp"

    @property
    def path(self) -> str:
        return self.request.partition("?")[0]


def parse_announce_url(text: str, may_set_parameters: bool = False) -> AnnounceUrl:
    """The parts of ``text``; MessageError if no tracker can be asked there.

    ``may_set_parameters``: True for a redirect, which repeats the parameters of the announce.
    """
    scheme = text.partition(":")[0].lower()
    try:
        if len(text) > MAX_URL or not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError
        host, port, request = split_http_url(text, tuple(DEFAULT_PORTS))
        if port == 0:
            raise ValueError
    except ValueError:
        shown = sanitize(text)[:_SHOWN]
        raise MessageError(f"tracker {shown!r} is no http, https or udp address", "announce") from None
    if not may_set_parameters and (forged := _forged(text)):
        raise MessageError(
            f"tracker {text[:_SHOWN]!r} is not asked: its URL sets {min(forged)}, which the announce sets",
            "announce",
        )
    return AnnounceUrl(text, scheme, host, DEFAULT_PORTS[scheme] if port is None else port, request)


def caution(url: AnnounceUrl, ip: str) -> str:
    """Why ``url`` is not requested from a server at the numeric address ``ip``; "" if it may be."""
    if url.is_udp or not is_inside(ip) or _INSIDE_PATH.match(url.path):
        return ""
    return f"it leads to {ip}, inside this network, and its path is not /announce"


def is_inside(ip: str) -> bool:
    """True for addresses that the internet does not reach: loopback, private, link-local."""
    address = ipaddress.ip_address(ip.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    return not address.is_global or address.is_multicast


def _forged(text: str) -> frozenset[str]:
    """The parameters of the URL that an announce sets itself."""
    given = parse_qsl(urlsplit(text).query, keep_blank_values=True)
    return _OWN_PARAMETERS.intersection(name for name, _ in given)
