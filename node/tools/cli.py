"""The command line of ``create``, ``show``, ``verify`` and ``magnet``: words in, an exit code out."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from common.errors import SwarmError
from common.text import sanitize
from common.torrent_fields import as_url
from node.shell.signals import stop_on_signals
from node.show.output import PlainOutput
from node.tools.create import Create
from node.tools.magnet import show_magnet
from node.tools.show import show_torrents
from node.tools.verify import Verify

SMALLEST_PIECE, LARGEST_PIECE = 16 << 10, 128 << 20  # bytes of a piece that -piece may choose
_UNITS = {"": 1, "k": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mib": 1 << 20}
_SCHEMES = ("http://", "https://", "udp://")
_PROGRAM = "TorrentClient.py"
_EPILOG = "exit codes: 0 all went well, 1 it failed (with a reason), 2 wrong usage"


def main(argv: Sequence[str]) -> int:
    """Run the command ``argv[0]``. The exit code: 0 all went well, 1 it failed, 2 wrong usage."""
    given = _parser().parse_args(argv)
    cancelled = threading.Event()
    stop_on_signals(cancelled)
    out = PlainOutput(sys.stdout)
    try:
        code = _run(given, out, cancelled)
    except SwarmError as error:
        out.flush()
        print(sanitize(error), file=sys.stderr)
        code = 1
    out.flush()
    return code


def _run(given: argparse.Namespace, out: PlainOutput, cancelled: threading.Event) -> int:
    if given.verb == "create":
        tiers = tuple(given.trackers or ())
        create = Create(given.path, given.out, tiers, given.piece, given.private, given.comment)
        return create.run(out, given.json, cancelled)
    if given.verb == "show":
        return show_torrents(given.torrents, out, given.json)
    if given.verb == "verify":
        return Verify(given.torrent, given.path).run(out, given.json, cancelled)
    return show_magnet(given.torrent, out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_PROGRAM, description="Commands about torrents.", epilog=_EPILOG)
    verbs = parser.add_subparsers(dest="verb", required=True)
    _add_create(verbs.add_parser("create", help="write a torrent of a file or folder", epilog=_EPILOG))
    show = verbs.add_parser("show", help="print the fields of torrents", epilog=_EPILOG)
    show.add_argument("torrents", nargs="+", metavar="X", help="a .torrent file")
    _add_json(show, "print one JSON object a line")
    verify = verbs.add_parser("verify", help="check a file or folder against a torrent", epilog=_EPILOG)
    verify.add_argument("torrent", metavar="X", help="a .torrent file")
    verify.add_argument("path", type=path, metavar="PATH", help="its file or folder")
    _add_json(verify, "print a JSON object: pieces, right, wrong, missing")
    magnet = verbs.add_parser("magnet", help="print the magnet link of a torrent", epilog=_EPILOG)
    magnet.add_argument("torrent", metavar="X", help="a .torrent file")
    return parser


def _add_create(create: argparse.ArgumentParser) -> None:
    add = create.add_argument
    add("path", type=path, metavar="PATH", help="the file or folder")
    add(
        *("-o", "--out"),
        dest="out",
        type=path,
        metavar="OUT",
        help="the torrent to write, or a folder for it (NAME.torrent in this folder)",
    )
    add(
        *("-tracker", "--tracker"),
        dest="trackers",
        action="append",
        type=tier,
        metavar="URL",
        help="http://, https:// or udp:// announce URL; repeat it for trackers to fall back to; "
        "trackers of one tier separated by commas",
    )
    add("-piece", "--piece", type=piece_length, metavar="SIZE", help="piece length, like 256KiB or 1MiB")
    add("--private", "-private", action="store_true", help="peers may come only from the trackers (BEP 27)")
    add("--comment", "-comment", default="", metavar="TEXT", help="a text for people")
    _add_json(create, "print a JSON object with the fields of show")


def _add_json(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--json", "-json", action="store_true", help=text)


def path(text: str) -> Path:
    """A path; ``~`` is the user's home."""
    if not text:
        raise argparse.ArgumentTypeError("a path has a name")
    return Path(text).expanduser()


def piece_length(text: str) -> int:
    """Bytes of ``256KiB``, ``1MiB``, ``512k`` or ``65536``: a power of two from 16 KiB to 128 MiB."""
    digits = text.rstrip("kKmMiIbB")
    factor = _UNITS.get(text[len(digits) :].lower())
    is_number = digits.isascii() and digits.isdigit() and len(digits) < 12
    length = int(digits) * factor if is_number and factor else 0
    if not SMALLEST_PIECE <= length <= LARGEST_PIECE or length & (length - 1):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a piece length: a power of two from 16KiB to 128MiB, like 256KiB or 1MiB"
        )
    return length


def tier(text: str) -> tuple[str, ...]:
    """``URL[,URL...]``, trackers of one tier (BEP 12)."""
    urls = [as_url(part.encode("utf-8", "surrogateescape")) for part in text.split(",")]
    for url, part in zip(urls, text.split(","), strict=True):
        if not url or not url.lower().startswith(_SCHEMES) or len(url) < 9:
            raise argparse.ArgumentTypeError(
                f"{part!r} is not an announce URL; it looks like http://HOST:PORT/announce"
            )
    return tuple(url for url in urls if url)
