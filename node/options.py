"""The node's command line: words in, Options out. None: not given, so the setting decides."""

from __future__ import annotations

import argparse
import ipaddress
import re
import sys
from collections.abc import Container, Sequence
from pathlib import Path
from textwrap import indent
from typing import Any

from common.addresses import http_url, split_http_url
from common.errors import PluginError
from node.chunk_udp.congestion import CONTROLLERS
from node.commands import NOTES, USAGES, Command
from node.plugins import Plugin, load

LOOPBACK = "127.0.0.1"
SMALLEST_RATE, LARGEST_RATE = 16_000, 10**12  # bytes a second; a lower rate could not pay for one datagram
MAX_TRACKERS = 8  # processes of one tracker
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_PATH_AFTER = {"-setMode": 2, "--set-mode": 2, "--setMode": 2, "-d": 1, "--dir": 1}  # words
_TRACKER_PATHS = ("", "/", "/announce", "/tracker")


class Options(argparse.Namespace):
    """The options that were given."""

    node_id: int
    trackers: tuple[str, ...] | None
    host: str | None
    command: Command | None  # None: read commands from the prompt or a pipe
    folder: Path | None
    congestion_control: str | None
    use: list[Plugin] | None
    up: int | None  # bytes a second; 0: no limit
    down: int | None  # bytes a second; 0: no limit
    progress: bool
    verbose: bool
    json: bool


class _SetMode(argparse.Action):
    """``-setMode send|download FILE`` as a command."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, name: Any = None
    ) -> None:
        mode, file = values
        if mode.casefold() not in ("send", "download") or not file:
            parser.error(f"-setMode wants send FILE or download FILE.torrent, not {mode!r} {file!r}")
        namespace.command = Command(mode.casefold(), file)


def parse_options(argv: Sequence[str] | None) -> Options:
    """Options of ``argv`` (sys.argv without it); wrong usage is one line and the usage on stderr, exit 2."""
    parser = _parser()
    words = list(sys.argv[1:] if argv is None else argv)
    known = {name for action in parser._actions for name in action.option_strings}
    given = parser.parse_args(_shielded(words, known), Options())
    kinds = [each.kind for each in given.use or ()]
    if len(kinds) > len(set(kinds)):
        parser.error("argument -use: one class of each kind, please")
    return given


def _shielded(words: list[str], known: Container[str]) -> list[str]:
    """``words`` with ``./`` before a path that begins with a dash: argparse would take it for an option."""
    words = [word for word in words if word != "--"]
    for at, word in enumerate(words):
        path = at + _PATH_AFTER.get(word, 0)
        if at < path < len(words) and words[path].startswith("-") and words[path] not in known:
            words[path] = f"./{words[path]}"
    return words


def _parser() -> argparse.ArgumentParser:
    commands = "\n".join([*(f"{each.command:<40}{each.meaning}" for each in USAGES), NOTES])
    parser = argparse.ArgumentParser(
        prog="TorrentClient.py",
        description="A node: shares files and fetches files. Without -setMode it asks for commands.",
        epilog=f"commands:\n{indent(commands, '  ')}\n\n"
        "exit codes: 0 all went well, 1 it failed (with a reason), 2 wrong usage",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("-node_id", "--node-id", required=True, type=node_id, metavar="N", help="this node's unique number")
    add(
        *("-tracker", "--tracker"),
        dest="trackers",
        type=tracker_urls,
        metavar="URL",
        help="http://HOST:PORT of the tracker; several processes of one tracker separated by commas",
    )
    add("-host", "--host", type=listening_host, metavar="ADDR", help="IPv4 address to listen on and announce")
    add(
        *("-setMode", "--set-mode"),
        dest="command",
        action=_SetMode,
        nargs=2,
        metavar=("send|download", "FILE"),
        help="no prompt: share FILE until stopped, or fetch what a torrent describes",
    )
    add("--setMode", dest="command", action=_SetMode, nargs=2, help=argparse.SUPPRESS)
    add(
        *("-d", "--dir"),
        dest="folder",
        type=folder,
        metavar="DIR",
        help="folder of this node's files (node_files/node<N>)",
    )
    _add_transfer_options(parser)
    return parser


def _add_transfer_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-up", "--up", type=rate, metavar="RATE", help="upload limit per second, like 4MB or 500kB; or none")
    add("-down", "--down", type=rate, metavar="RATE", help="download limit per second")
    add(*("-cc", "--cc"), dest="congestion_control", choices=sorted(CONTROLLERS), help="congestion control")
    add(
        *("-use", "--use"),
        action="append",
        type=plugin,
        metavar="FILE.py:Class",
        help="use your own congestion control, piece order or owner ranking; may be given for each",
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("-progress", "--progress", action="store_true", help="print the progress of downloads")
    shown.add_argument("-verbose", "--verbose", action="store_true", help="print every event as a line")
    add("-json", "--json", action="store_true", help="print every event as a JSON object, for programs")


def folder(text: str) -> Path:
    """A folder; ``~`` is the user's home."""
    if not text:
        raise argparse.ArgumentTypeError("a folder has a name")
    return Path(text).expanduser()


def plugin(text: str) -> Plugin:
    """The part of a node that ``FILE.py:Class`` names."""
    try:
        return load(text)
    except PluginError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


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
