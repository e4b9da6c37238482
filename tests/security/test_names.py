"""Names and reasons from elsewhere reach terminal, log, tables and JSON without a harmful character."""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from rich.console import Console

from common import bencode
from common.errors import CommandError, MessageError, MetainfoError
from common.logs import log, open_log
from common.messages import OwnedFile
from common.metainfo import decode_metainfo
from common.text import sanitize
from node import events
from node.commands import parse_command
from node.events import DownloadStatus, FileStatus, PeerStatus, SourceProgress, TrackerStatus
from node.shell.completion import CommandCompleter
from node.show.output import PlainOutput
from node.show.screen import JsonScreen, TextScreen
from node.show.terminal import LiveBars, TerminalOutput
from node.show.toolbar import Toolbar

# Characters that move a cursor, colour, ring, start a line, turn or hide text, or are half a character.
HARMFUL = {
    "escape": "\x1b[31m",
    "window title": "\x1b]0;owned\x07",
    "clear": "\x1b[2J\x1b[H",
    "8-bit CSI": "\x9b31m",
    "newline": "a\n[00:00:00]  EXIT node 7",
    "carriage return": "a\rb",
    "next line": "a\x85b",
    "line separator": "a\u2028b",
    "backspace": "a\x08b",
    "NUL": "a\x00b",
    "delete": "a\x7fb",
    "right-to-left override": "\u202egpj.exe",
    "isolate": "\u2067gpj.exe",
    "right-to-left mark": "a\u200fb",
    "arabic letter mark": "a\u061cb",
    "zero width space": "a\u200bb",
    "joiner": "a\u200db",
    "word joiner": "a\u2060b",
    "byte order mark": "a\ufeffb",
    "soft hyphen": "a\xadb",
    "hangul filler": "a\u3164b",
    "tag": "a\U000e0041b",
    "half a character": "a\ud800b",
}
EVIL = " ".join(HARMFUL.values())
HASH = "ab" * 20
SOURCE = SourceProgress(2, ("127.0.0.1", 4002), 600_000, 2e6, "lost", EVIL)
each = pytest.mark.parametrize("text", HARMFUL.values(), ids=HARMFUL.keys())


def harm_in(text: str, lines: bool = True) -> list[str]:
    """The characters of ``text`` that no terminal should get; ``lines``: it may have ends of lines."""
    return [
        character
        for character in text
        if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs")
        and not (lines and character == "\n")
    ]


def all_events() -> list[events.Event]:
    """One of each kind, with evil in every text of it."""
    made: list[events.Event] = []
    values: dict[str, Any] = {
        "str": EVIL,
        "int": 5,
        "int | None": None,
        "float": 1.0,
        "float | None": None,
        "bool": True,
        "tuple[int, ...]": (1, 2),
        "tuple[str, ...]": (EVIL, EVIL),
        "tuple[int | None, ...]": (1, None),
        "tuple[str, int]": ("127.0.0.1", 4000),
        "tuple[SourceProgress, ...]": (SOURCE,),
    }
    for kind in events.Event.__subclasses__():
        fields = {field.name: values[str(field.type)] for field in dataclasses.fields(kind)}
        made.append(kind(**fields))
    assert len(made) >= 14
    return made


STATUS = [
    DownloadStatus(EVIL, HASH, state, 100, 50, 50, 1.0, 3.0, EVIL, (SOURCE,))
    for state in ("fetching", "failed")
]
FILES = [FileStatus(EVIL, HASH, 100, True, EVIL, 0, f"stopped: {EVIL}")]
PEERS = [PeerStatus(2, ("127.0.0.1", 4002), EVIL, "from", 5, 1.0, "lost", EVIL)]


def use(screen: Any) -> None:
    """Every call of a screen."""
    for event in all_events():
        screen.event(event)
    screen.say(EVIL)
    screen.error(EVIL)
    screen.answer("status", downloads=STATUS, uploads=PEERS)
    screen.answer("files", files=FILES)
    screen.answer("peers", peers=PEERS, trackers=[TrackerStatus(EVIL, (EVIL,), False)])
    screen.close()


@each
def test_clean_leaves_nothing_of_it(text: str) -> None:
    assert harm_in(sanitize(text), lines=False) == []


def test_clean_knows_every_character_that_unicode_calls_control_or_format() -> None:
    """But for the Arabic and Kaithi number signs and the like, which are visible."""
    visible = {0x600, 0x601, 0x602, 0x603, 0x604, 0x605, 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    left = [
        hex(code)
        for code in range(0x110000)
        if harm_in(chr(code), lines=False) and sanitize(chr(code)) == chr(code) and code not in visible
    ]
    # Egyptian hieroglyphs', shorthand's and music's layout: they join signs of their own scripts
    assert [c for c in left if not 0x13430 <= int(c, 16) <= 0x1D17A] == []


def test_plain_output_is_clean() -> None:
    out, err = io.StringIO(), io.StringIO()
    use(TextScreen(PlainOutput(out), PlainOutput(err), verbose=True, progress=True))
    assert len(out.getvalue()) > 1000
    assert harm_in(out.getvalue() + err.getvalue()) == []


def test_an_event_is_one_line_however_many_its_name_has() -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = TextScreen(PlainOutput(out), PlainOutput(err), verbose=True)
    for event in all_events():
        screen.event(event)
    screen.close()
    assert (out.getvalue() + err.getvalue()).count("\n") == len(all_events())
    assert not any(line.startswith("[00:00:00]") for line in out.getvalue().split("\n"))


@pytest.mark.parametrize("live", [False, True])
def test_a_terminal_gets_no_escape_code_of_a_strangers(live: bool) -> None:
    """Without colours, so that every escape code there is would be the name's; with bars where ``live``."""
    stream = io.StringIO()
    console = Console(
        file=stream, width=200, force_terminal=False, highlight=False, color_system=None, legacy_windows=False
    )
    output = TerminalOutput(console)
    use(TextScreen(output, output, verbose=True, bars=LiveBars(console) if live else None))
    assert "�" in stream.getvalue()
    assert harm_in(stream.getvalue()) == []


def test_json_is_ascii_in_lines_of_its_own() -> None:
    out = io.StringIO()
    use(JsonScreen(PlainOutput(out), PlainOutput(io.StringIO())))
    text = out.getvalue()
    assert text.isascii() and harm_in(text) == []
    for line in text.splitlines():
        assert isinstance(json.loads(line), dict)


def test_the_toolbar_is_clean() -> None:
    toolbar = Toolbar(1)
    for event in all_events():
        toolbar.event(event)
        shown = toolbar.text(STATUS, PEERS, width=120)
        assert harm_in(shown) == [] and shown.count("\n") <= 6


@each
def test_a_log_line_is_one_line_and_clean(text: str, tmp_path: Path) -> None:
    handler = open_log(tmp_path / "node.log", 10_000)
    try:
        log(f"file {text} shared")
        logging.getLogger("swarm").info("file %s lost", text.replace("\ud800", "\x1b"))  # past ``log``
    finally:
        logging.getLogger("swarm").removeHandler(handler)
        logging.getLogger("swarm").propagate = True  # as it was, for other tests
        handler.close()
    written = (tmp_path / "node.log").read_bytes().decode("utf-8")
    assert written.count("\n") == 2
    assert harm_in(written) == []


def torrent(name: str) -> bytes:
    info = {b"length": 1, b"name": name.encode("utf-8", "surrogatepass"), b"piece length": 32_768}
    return bencode.encode({b"info": {**info, b"pieces": bytes(20)}})  # type: ignore[dict-item]  # int and bytes


@each
def test_a_torrents_name_is_refused_or_shown_clean(text: str) -> None:
    try:
        metainfo = decode_metainfo(torrent(text))
    except MetainfoError as error:
        assert harm_in(str(error), lines=False) == []
    else:
        assert harm_in(sanitize(metainfo.name), lines=False) == []


@pytest.mark.parametrize("what", ["escape", "newline", "NUL", "half a character", "right-to-left override"])
def test_a_torrents_name_that_controls_is_replaced(what: str) -> None:
    name = decode_metainfo(torrent(HARMFUL[what])).name
    assert name.isprintable() and harm_in(name, lines=False) == []


@each
def test_a_command_with_it_is_answered_cleanly(text: str) -> None:
    for line in (f"torrent -setMode send {text!s} x y", f"torrent {text}", text):
        with pytest.raises(CommandError) as raised:
            parse_command(line)
        assert harm_in(str(raised.value), lines=False) == []


@each
def test_a_tracker_takes_no_name_that_controls(text: str) -> None:
    """Accepted text (a joiner may be part of a word) is clean in the log."""
    try:
        taken = OwnedFile.from_json({"filename": text})
    except MessageError as error:
        assert harm_in(str(error), lines=False) == []
    else:
        assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in taken.filename)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Files of all the names that this file system takes."""
    for number, name in enumerate(HARMFUL.values()):
        try:
            (tmp_path / f"f{number}{name}.torrent".replace("/", "")).touch()
        except (OSError, ValueError):
            continue
    (tmp_path / "fine.torrent").touch()
    yield tmp_path


def test_names_that_are_offered_at_the_prompt_are_shown_clean(folder: Path) -> None:
    line = "torrent -setMode download f"
    offered = list(CommandCompleter(folder).get_completions(Document(line), CompleteEvent()))
    assert "fine.torrent" in [completion.display_text for completion in offered]
    assert len(list(folder.iterdir())) > 5
    for completion in offered:
        assert harm_in(completion.display_text, lines=False) == []
        assert harm_in(completion.text, lines=False) == [], "typed into the line, it would reach the terminal"
