"""The node's command line: words in, Options out. What is not given stays open for the settings to say."""

from __future__ import annotations

import argparse
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from urllib.parse import urlsplit

from node.commands import HELP, Download, Send

CONGESTION_CONTROLS = ("bbr", "cubic", "fixed", "ledbat", "reno")
LOOPBACK = "127.0.0.1"
SMALLEST_RATE, LARGEST_RATE = 16_000, 10**12  # bytes a second; below, one datagram would be too much at once
MAX_TRACKERS = 8  # processes of one tracker
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_TRACKER_PATHS = ("", "/", "/announce", "/tracker")


@dataclass(frozen=True)
class Options:
    """What the user asked for; None means: as the settings say."""

    node_id: int
    trackers: tuple[str, ...] | None
    host: str | None
    command: Send | Download | None  # None: ask at the prompt
    folder: Path | None
    congestion_control: str | None
    up: int | None  # bytes a second; 0: no limit
    down: int | None  # the same
    progress: bool
    verbose: bool
    json: bool


def parse_options(argv: Sequence[str] | None) -> Options:
    """Options of ``argv`` (sys.argv without it); wrong usage is one line and the usage on stderr, exit 2."""
    parser = _parser()
    given = parser.parse_args(argv)
    command: Send | Download | None = None
    if given.mode is not None:
        mode, file = given.mode
        if mode.casefold() not in ("send", "download") or not file:
            parser.error(f"-setMode wants send FILE or download FILE.torrent, not {mode!r} {file!r}")
        command = Send(file) if mode.casefold() == "send" else Download(file)
    return Options(
        node_id=given.node_id,
        trackers=given.tracker,
        host=given.host,
        command=command,
        folder=given.dir,
        congestion_control=given.cc,
        up=given.up,
        down=given.down,
        progress=given.progress,
        verbose=given.verbose,
        json=given.json,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="TorrentClient.py",
        description="A node: shares files and fetches files. Without -setMode it asks for commands.",
        epilog=f"commands:\n{indent(HELP, '  ')}\n\nexit codes: 0 well, 1 with a reason, 2 wrong usage",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _who_and_where(parser)
    _what(parser)
    _how(parser)
    return parser


def _who_and_where(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "-node_id",
        "--node-id",
        required=True,
        type=node_id,
        metavar="N",
        help="this node's number, one of a kind",
    )
    add(
        "-tracker",
        "--tracker",
        type=tracker_urls,
        metavar="URL",
        help="http://HOST:PORT of the tracker; several processes of it with commas, the preferred one first",
    )
    add(
        "-host",
        "--host",
        type=listening_host,
        metavar="ADDR",
        help="IPv4 address to listen on and to announce",
    )


def _what(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "-setMode",
        "--set-mode",
        dest="mode",
        nargs=2,
        metavar=("send|download", "FILE"),
        help="only this: share FILE until stopped, or fetch what it describes",
    )
    add("--setMode", dest="mode", nargs=2, help=argparse.SUPPRESS)
    add("-d", "--dir", type=Path, metavar="DIR", help="folder of its files (node_files/node<N>)")


def _how(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-up", "--up", type=rate, metavar="RATE", help="upload limit, like 4MB or 500kB, a second; or none")
    add("-down", "--down", type=rate, metavar="RATE", help="download limit")
    add("-cc", "--cc", choices=CONGESTION_CONTROLS, help="congestion control")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("-progress", "--progress", action="store_true", help="show how far downloads are")
    shown.add_argument("-verbose", "--verbose", action="store_true", help="print every event as a line")
    add("-json", "--json", action="store_true", help="print every event as a JSON object, for programs")


def node_id(text: str) -> int:
    """An integer in [0, 2**31); raises argparse.ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 2**31):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {2**31 - 1}")
    return int(text)


def tracker_url(text: str) -> str:
    """``http://HOST:PORT`` of ``text``, which may end in ``/announce`` or ``/tracker`` or lack the scheme.

    Raises argparse.ArgumentTypeError.
    """
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a tracker's URL: {error}") from None
    if parts.scheme != "http" or not host or not port or parts.path not in _TRACKER_PATHS or parts.query:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a tracker's URL; it looks like http://{LOOPBACK}:12345"
        )
    if not all(character.isascii() and (character.isalnum() or character in ".-_:") for character in host):
        raise argparse.ArgumentTypeError(f"{text!r} is not a tracker's URL: {host!r} names no machine")
    host = LOOPBACK if host == "localhost" else host
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def tracker_urls(text: str) -> tuple[str, ...]:
    """``URL[,URL...]``, each once; raises argparse.ArgumentTypeError."""
    urls = tuple(dict.fromkeys(tracker_url(part.strip()) for part in text.split(",")))
    if len(urls) > MAX_TRACKERS:
        raise argparse.ArgumentTypeError(f"{len(urls)} trackers are more than {MAX_TRACKERS}")
    return urls


def swarm_key(text: str) -> str:
    """What a header can carry, or "" of ``none``; argparse.ArgumentTypeError, without the key in it."""
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
    """An IPv4 address of this machine that others can be told; raises argparse.ArgumentTypeError."""
    if text == "localhost":
        return LOOPBACK
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an IPv4 address") from None
    if address.is_unspecified or address.is_multicast or str(address) == "255.255.255.255":
        raise argparse.ArgumentTypeError(f"{text!r} is nothing that others could send to; name one address")
    return str(address)
