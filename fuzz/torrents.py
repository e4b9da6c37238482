"""What a torrent or a link says to be stored or fetched: accepted safely, or refused with the named error."""

from __future__ import annotations

import unicodedata

from common.errors import MagnetError, MetainfoError
from common.filenames import check_component
from common.magnet import format_magnet, parse_magnet
from common.peer_id import client_name
from common.safe_paths import MAX_PATH_BYTES, safe_paths
from common.text import sanitize
from fuzz.target import Target, outcome

HEX = bytes(range(20)).hex().encode()
LINK = b"magnet:?xt=urn:btih:" + HEX


def run_magnet(data: bytes) -> str:
    """``parse_magnet``, and back; a peer id's name is printable."""
    assert client_name(data[:20]).isprintable()
    try:
        magnet = parse_magnet(data.decode("utf-8", "surrogateescape"))
    except MagnetError as error:
        assert str(error).isprintable()
        return outcome(error)
    assert sanitize(magnet.name) == magnet.name
    assert parse_magnet(format_magnet(magnet)) == magnet, "written and read again it is another link"
    return f"{len(magnet.trackers)} trackers, {len(magnet.peers)} peers"


def run_paths(data: bytes) -> str:
    """``safe_paths`` of lines: each name is safe, and no two paths are one on any disk."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    paths = [("torrent", *line.split("\t")) for line in lines]
    try:
        stored = safe_paths(paths)
    except MetainfoError as error:
        return outcome(error)
    for path in stored:
        assert all(check_component(name) for name in path)
        assert len("/".join(path).encode()) <= MAX_PATH_BYTES
    seen = {unicodedata.normalize("NFC", "/".join(path)).lower() for path in stored}
    assert len(seen) == len(stored), "two files of one path"
    assert safe_paths(stored) == stored, "a stored path is stored elsewhere"
    return f"{sum(old != new for old, new in zip(paths, stored, strict=True))} of {len(paths)} renamed"


TARGETS = [
    Target(
        "magnet",
        run_magnet,
        [
            LINK,
            LINK + b"&dn=a+b%20c&tr=http%3A%2F%2Fa%2Fannounce&x.pe=127.0.0.1:6881&x.pe=[::1]:1",
            b"magnet:?xt=urn:btih:" + b"AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT",
            b"magnet:?xt=urn:btmh:1220" + HEX,
            b"-qB5100-abcdefghijkl",
            b"A2-1-36-0-abcdefghij",
        ],
        4,
        None,
        [
            b"magnet:?",
            b"xt=",
            b"&dn=",
            b"&tr=",
            b"&x.pe=",
            b"urn:btih:",
            b"urn:btmh:",
            b"%",
            b"&amp;",
            HEX,
            b"[::1]:",
        ],
    ),
    Target(
        "paths",
        run_paths,
        [
            b"a\nb\tc\nb\td",
            b"a\nA\nb\tB\nB\tb",
            b"..\t..\tetc\tpasswd",
            b"CON\nnul.txt\na.\na ",
            "é\ne\u0301\nÉ".encode(),
            b"x" * 300
            + b".txt\n"
            + b"y" * 200
            + b"\t"
            + b"y" * 200
            + b"\t"
            + b"y" * 200
            + b"\t"
            + b"y" * 200,
        ],
        4,
        None,
        [
            b"\n",
            b"\t",
            b"..",
            b"CON",
            b"~",
            b".",
            b" ",
            b"?",
            b"\xff",
            b"\xcc\x81",
            b"\xe2\x80\xae",
            b"x" * 100,
            b"A",
            b"a",
        ],
    ),
]
