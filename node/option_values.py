"""The values of options and settings: text in, a value out. Pure.

Each function raises argparse.ArgumentTypeError, one line long, for a text that is no value.
"""

from __future__ import annotations

import argparse
import ipaddress
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from common.addresses import http_url, split_host_port, split_http_url, unicast_host
from common.errors import CommandError
from faults.spec import FaultSpec
from node.message_faults import parse_node_faults

LOOPBACK = "127.0.0.1"
SMALLEST_RATE, LARGEST_RATE = 16_000, 10**12  # bytes a second; a lower rate could not pay for one datagram
MAX_TRACKERS = 8  # processes of one tracker
MAX_FILE_NUMBER = 1_000_000  # largest number of a file in a selection
TRANSPORTS = ("udp", "tcp")  # the classroom's transport, and BitTorrent's peer wire
ENCRYPTIONS = ("prefer", "require", "off")
SWITCH = ("on", "off")
MAX_PEERS = 1000  # TCP connections of one torrent
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_TRACKER_PATHS = ("", "/", "/announce", "/tracker")


def folder(text: str) -> Path:
    """A folder; ``~`` is the user's home."""
    if not text:
        raise argparse.ArgumentTypeError("a folder has a name")
    return Path(text).expanduser()


def file(text: str) -> Path:
    """A file; ``~`` is the user's home."""
    if not text:
        raise argparse.ArgumentTypeError("a file has a name")
    return Path(text).expanduser()


def tracker_url(text: str) -> str:
    """``http://HOST:PORT`` of ``text``, which may end in ``/announce`` or ``/tracker`` or lack the scheme.

    Raises argparse.ArgumentTypeError.
    """
    try:
        host, port, rest = split_http_url(text if "://" in text else f"http://{text}")
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a tracker's URL: {error}") from None
    if not port or rest not in _TRACKER_PATHS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a tracker's URL; it looks like http://{LOOPBACK}:12345"
        )
    return http_url(host, port)


def tracker_urls(text: str) -> tuple[str, ...]:
    """``URL[,URL...]``, each once; raises argparse.ArgumentTypeError."""
    urls = tuple(dict.fromkeys(tracker_url(part.strip()) for part in text.split(",")))
    if len(urls) > MAX_TRACKERS:
        raise argparse.ArgumentTypeError(f"{len(urls)} trackers are more than {MAX_TRACKERS}")
    return urls


def swarm_key(text: str) -> str:
    """A key that an HTTP header can carry; "" for ``none``. The ArgumentTypeError does not show the key."""
    if text == "none":
        return ""
    if not re.fullmatch(r"[!-~]{1,128}", text):
        raise argparse.ArgumentTypeError("a key has 1 to 128 ASCII characters, no spaces")
    return text


def rate(text: str) -> int:
    """Bytes a second of ``4MB``, ``1.5MB``, ``500kB``, ``64KiB`` or ``20000``; 0 of ``none``: no limit.

    Raises argparse.ArgumentTypeError.
    """
    if text in ("none", "0"):
        return 0
    found = re.fullmatch(r"([0-9]{1,13}(?:\.[0-9]{1,9})?)([kMG]i?B|KiB|B)?", text)
    if found is None or (found[2] or "B") not in _UNITS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a rate; it looks like 4MB or 500kB (bytes a second), or none"
        )
    amount = float(found[1]) * _UNITS[found[2] or "B"]
    if not SMALLEST_RATE <= amount <= LARGEST_RATE:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate from 16kB to 1000GB a second")
    return int(amount)


def listening_host(text: str) -> str:
    """An IPv4 address of this machine that other nodes can reach; raises argparse.ArgumentTypeError."""
    if text == "localhost":
        return LOOPBACK
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an IPv4 address") from None
    if address.is_unspecified or address.is_multicast or str(address) == "255.255.255.255":
        raise argparse.ArgumentTypeError(
            f"{text!r} cannot be an address that others send to; name one address of this machine"
        )
    return str(address)


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """The function that parses a whole number from ``low`` to ``high``."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return parse


node_id = whole_number(0, 2**31 - 1)


def peer_address(text: str) -> tuple[str, int]:
    """The numeric host and the port of ``HOST:PORT``, as in ``127.0.0.1:6881`` or ``[::1]:6881``."""
    try:
        host, port = split_host_port(text)
        if not port:
            raise ValueError("port 0 is no port of a peer")
        return unicast_host(host), port
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a peer's address: {error}") from None


def transports(text: str) -> tuple[str, ...]:
    """``udp,tcp``, each once, the preferred one first."""
    names = tuple(text.split(","))
    if len(set(names)) < len(names) or not set(names) <= set(TRANSPORTS):
        raise argparse.ArgumentTypeError(f"{text!r} is not udp, tcp, or both separated by a comma")
    return names


def word_of(words: Iterable[str]) -> Callable[[str], str]:
    """The function that accepts one of ``words``."""
    known = sorted(words)

    def parse(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(known)}")
        return text

    return parse


def file_numbers(text: str) -> frozenset[int]:
    """The numbers of files in ``1,3-5``. The first file of a torrent is number 1."""
    numbers: set[int] = set()
    for part in text.split(","):
        found = re.fullmatch(r"([0-9]{1,7})(?:-([0-9]{1,7}))?", part.strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 1 <= first <= last <= MAX_FILE_NUMBER:
            raise argparse.ArgumentTypeError(f"{text!r} selects no files; a selection looks like 1,3-5")
        numbers.update(range(first, last + 1))
    return frozenset(numbers)


def faults(text: str) -> FaultSpec:
    """Faults of this node's messages, as ``faults.spec`` describes them."""
    try:
        return parse_node_faults(text)
    except CommandError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
