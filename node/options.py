"""The node's command line: words in, Options out. None: not given, so the setting decides.

With ``-node_id`` the program is a node of a classroom. Without it, it is a standard peer of one torrent.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Container, Sequence
from pathlib import Path
from textwrap import indent
from typing import Any

from common.errors import PluginError
from common.filenames import TORRENT_SUFFIX
from faults.spec import FaultSpec
from node import option_values as values
from node.chunk_udp.congestion import CONTROLLERS
from node.commands import NOTES, USAGES, Command
from node.personas import PERSONAS
from node.plugins import Plugin, load
from node.scheduling.piece_order import PIECE_ORDERS

# Words that a path stands behind, and how far.
_PATH_AFTER = {"-setMode": 2, "--set-mode": 2, "--setMode": 2} | dict.fromkeys(
    ("-d", "--dir", "-s", "--share", "-pcap", "--pcap"), 1
)
# Options that need -node_id.
_CLASSROOM = {"trackers": "-tracker", "congestion_control": "-cc", "report": "-report"}


class Options(argparse.Namespace):
    """The options that were given."""

    node_id: int | None  # None: a standard peer
    torrent: str | None  # a path, or a magnet link
    content: Path | None  # the torrent's finished file or folder, to be served
    seed: bool  # go on serving after completion
    trackers: tuple[str, ...] | None
    host: str | None
    port: int | None
    peers: list[tuple[str, int]] | None
    transports: tuple[str, ...] | None  # the preferred one first
    encryption: str | None
    max_peers: int | None
    order: str | None
    select: frozenset[int] | None  # numbers of files, from 1
    command: Command | None  # None: read commands from the prompt or a pipe
    folder: Path | None
    congestion_control: str | None
    use: list[Plugin] | None
    report: str | None  # "on" or "off"
    up: int | None  # bytes a second; 0: no limit
    down: int | None  # bytes a second; 0: no limit
    progress: bool
    verbose: bool
    json: bool
    pcap: Path | None
    faults: FaultSpec | None
    persona: str | None


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
    mistake = _mistake(given)
    if mistake:
        parser.error(mistake)
    if given.torrent is not None:
        given.command = _command_of(given.torrent, given.content)
    return given


def _shielded(words: list[str], known: Container[str]) -> list[str]:
    """``words`` with ``./`` before a path that begins with a dash: argparse would take it for an option."""
    words = [word for word in words if word != "--"]
    for at, word in enumerate(words):
        path = at + _PATH_AFTER.get(word, 0)
        if at < path < len(words) and words[path].startswith("-") and words[path] not in known:
            words[path] = f"./{words[path]}"
    return words


def _mistake(given: Options) -> str:
    """The fault of the options together; "" if nothing is."""
    kinds = [each.kind for each in given.use or ()]
    if len(kinds) > len(set(kinds)):
        return "argument -use: one class of each kind, please"
    if given.torrent is not None and given.command is not None:
        return f"-setMode and {given.torrent!r}: one of them, please"
    if given.torrent is not None and not is_torrent(given.torrent):
        return f"{given.torrent!r} is no torrent; X.torrent or magnet:... is wanted"
    if given.content is not None and (given.torrent is None or given.torrent.startswith("magnet:")):
        return "-s PATH wants a torrent: X.torrent -s PATH"
    return "" if given.node_id is not None else _mistake_of_a_standard_peer(given)


def _mistake_of_a_standard_peer(given: Options) -> str:
    if given.torrent is None:
        return "-node_id N is wanted, or a torrent: X.torrent or magnet:..."
    for field, option in _CLASSROOM.items():
        if getattr(given, field) is not None:
            return f"{option} needs -node_id: it is for the classroom's nodes"
    if "udp" in (given.transports or ()):
        return "--transports udp needs -node_id: it is the classroom's transport"
    return ""


def is_torrent(text: str) -> bool:
    """True if ``text`` can name a torrent: a magnet link, or a file."""
    return text.startswith("magnet:") or text.endswith(TORRENT_SUFFIX) or os.path.isfile(text)


def _command_of(torrent: str, content: Path | None) -> Command:
    return Command("download", torrent) if content is None else Command("serve", torrent, str(content))


# ---- the parser


def _parser() -> argparse.ArgumentParser:
    commands = "\n".join([*(f"{each.command:<40}{each.meaning}" for each in USAGES), NOTES])
    parser = argparse.ArgumentParser(
        prog="TorrentClient.py",
        description="Shares files and fetches files. With -node_id: a node of a classroom, which asks\n"
        "for commands without -setMode. Without: a standard peer, which fetches or serves one\n"
        "torrent. For torrent files: TorrentClient.py create, show, verify or magnet, with --help.",
        epilog=f"commands:\n{indent(commands, '  ')}\n\n"
        "exit codes: 0 all went well, 1 it failed (with a reason), 2 wrong usage, 3 a class of yours failed",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_work(parser)
    _add_network(parser)
    _add_transfer(parser)
    _add_shown(parser)
    return parser


def _add_work(parser: argparse.ArgumentParser) -> None:
    """What to do, and where."""
    add = parser.add_argument
    add("torrent", nargs="?", metavar="X.torrent|magnet:...", help="fetch it, and exit once it is verified")
    add(
        *("-s", "--share"),
        dest="content",
        type=values.folder,
        metavar="PATH",
        help="verify PATH, the torrent's file or folder, and serve it until stopped",
    )
    add("-seed", "--seed", action="store_true", help="go on serving after the download")
    add(
        *("-d", "--dir"),
        dest="folder",
        type=values.folder,
        metavar="DIR",
        help="folder for downloads (node_files/node<N>; without -node_id this folder)",
    )
    add("-select", "--select", type=values.file_numbers, metavar="1,3-5", help="fetch these files only")
    add("-node_id", "--node-id", type=values.node_id, metavar="N", help="this node's unique number")
    add(
        *("-setMode", "--set-mode"),
        dest="command",
        action=_SetMode,
        nargs=2,
        metavar=("send|download", "FILE"),
        help="no prompt: share FILE until stopped, or fetch what a torrent describes",
    )
    add("--setMode", "-setmode", dest="command", action=_SetMode, nargs=2, help=argparse.SUPPRESS)


def _add_network(parser: argparse.ArgumentParser) -> None:
    """The address to listen on, and the trackers to ask."""
    add = parser.add_argument
    add(
        *("-tracker", "--tracker"),
        dest="trackers",
        type=values.tracker_urls,
        metavar="URL",
        help="http://HOST:PORT of the tracker; several processes of one tracker separated by commas",
    )
    host, port = values.listening_host, values.whole_number(0, 65535)
    add("-host", "--host", type=host, metavar="ADDR", help="IPv4 address to listen on and announce")
    add("-port", "--port", type=port, metavar="P", help="TCP port to listen on; 0: any")
    add(
        *("-peer", "--peer"),
        dest="peers",
        action="append",
        type=values.peer_address,
        metavar="HOST:PORT",
        help="connect to this peer over TCP; may be given several times",
    )
    add(
        *("-transports", "--transports"),
        type=values.transports,
        metavar="udp,tcp",
        help="udp (the classroom's), tcp (BitTorrent's) or both, the preferred one first",
    )
    add("-encryption", "--encryption", choices=values.ENCRYPTIONS, help="encryption of TCP connections")
    peers = values.whole_number(1, values.MAX_PEERS)
    add("-max-peers", "--max-peers", type=peers, metavar="N", help="TCP connections of one torrent")


def _add_transfer(parser: argparse.ArgumentParser) -> None:
    """How bytes move."""
    add, rate = parser.add_argument, values.rate
    add("-up", "--up", type=rate, metavar="RATE", help="upload limit per second, like 4MB or 500kB; or none")
    add("-down", "--down", type=rate, metavar="RATE", help="download limit per second")
    add("-order", "--order", choices=sorted(PIECE_ORDERS), help="order of the pieces")
    add(*("-cc", "--cc"), dest="congestion_control", choices=sorted(CONTROLLERS), help="congestion control")
    add(
        *("-use", "--use"),
        action="append",
        type=plugin,
        metavar="FILE.py:Class",
        help="use your own congestion control, piece order, owner ranking or choker; may be given for each",
    )


def _add_shown(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        *("-report", "--report"),
        choices=values.SWITCH,
        help="report what happens to the tracker, for its page and log (default: on)",
    )
    parser.add_argument(
        *("-faults", "--faults"),
        type=values.faults,
        metavar="SPEC",
        help='faults of this node: loss=5%%,delay=40ms,seed=7, or: drop "DATA 2" once',
    )
    parser.add_argument(
        *("-persona", "--persona"),
        choices=sorted(PERSONAS),
        help="misbehave on purpose, for a lesson: " + ", ".join(sorted(PERSONAS)),
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("-progress", "--progress", action="store_true", help="print the progress of downloads")
    shown.add_argument("-verbose", "--verbose", action="store_true", help="print every event as a line")
    parser.add_argument(
        *("-pcap", "--pcap"),
        type=values.file,
        metavar="FILE",
        help="write all messages to FILE, a capture for Wireshark; this makes transfers slower",
    )
    parser.add_argument(
        "-json", "--json", action="store_true", help="print every event as a JSON object, for programs"
    )


def plugin(text: str) -> Plugin:
    """The part of a node that ``FILE.py:Class`` names."""
    try:
        return load(text)
    except PluginError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
