"""From options and settings to a node's settings and its screen."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import SettingError
from configs import CFG
from node import cli, events
from node.cli_settings import settings_for
from node.options import parse_options
from node.scheduling.piece_order import PIECE_ORDERS
from node.settings import PeerWireSettings
from node.show.screen import JsonScreen, TextScreen
from node.show.terminal import TerminalOutput

ROOT = Path(__file__).resolve().parents[2]


class FakeTerminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, object], None]:
    """``setting(name, value)`` changes one for this test."""
    return lambda name, value: monkeypatch.setitem(CFG["constants"], name, value)


def test_settings_are_the_defaults(
    setting: Callable[[str, object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CFG["directory"], "node_files_dir", "some/where/")
    setting("TRACKER_ADDR", ["localhost", 4711])
    setting("NODE_HOST", "localhost")
    setting("MAX_SPLITTNES_RATE", 5)
    setting("AVAILABLE_PORTS_RANGE", [2000, 3000])
    setting("CONGESTION_CONTROL", "fixed")
    setting("MAX_UDP_SEGMENT_DATA_SIZE", 9000)
    setting("BUFFER_SIZE", 4096)
    setting("UPLOAD_LIMIT", "4MB")
    setting("SWARM_KEY", "blue-whale")
    settings = settings_for(parse_options(["-node_id", "7"]))
    assert settings.swarm_key == "blue-whale" and "blue-whale" not in repr(settings)
    assert settings.folder == Path("some/where/node7")
    assert settings.trackers == ("http://127.0.0.1:4711",)
    assert settings.host == "127.0.0.1"
    assert settings.max_owners == 5
    assert settings.port_range == (2000, 3000)
    assert settings.transfer.congestion_control == "fixed"
    assert (settings.transfer.upload_limit, settings.transfer.download_limit) == (4_000_000, None)
    assert (settings.transfer.max_datagram, settings.transfer.datagram_limit) == (9000, 4096)


def test_several_trackers_are_a_setting(setting: Callable[[str, object], None]) -> None:
    setting("TRACKERS", "localhost:1, http://10.0.0.2:2")
    settings = settings_for(parse_options(["-node_id", "7"]))
    assert settings.trackers == ("http://127.0.0.1:1", "http://10.0.0.2:2")
    settings = settings_for(parse_options(["-node_id", "7", "-tracker", "h:3,h:4"]))
    assert settings.trackers == ("http://h:3", "http://h:4")


def test_options_win(tmp_path: Path, setting: Callable[[str, object], None]) -> None:
    setting("UPLOAD_LIMIT", "4MB")
    setting("DOWNLOAD_LIMIT", "4MB")
    words = [
        "-node_id",
        "7",
        "-d",
        str(tmp_path),
        "-tracker",
        "http://10.0.0.1:1/tracker",
        "-host",
        "10.0.0.2",
    ]
    settings = settings_for(parse_options([*words, "-cc", "fixed", "-up", "none", "-down", "500kB"]))
    assert settings.folder == tmp_path
    assert settings.trackers == ("http://10.0.0.1:1",)
    assert settings.host == "10.0.0.2"
    assert (settings.transfer.upload_limit, settings.transfer.download_limit) == (None, 500_000)
    assert settings.transfer.congestion_control == "fixed"


def test_a_standard_peer_downloads_here_and_knows_no_classroom() -> None:
    settings = settings_for(parse_options(["x.torrent"]))
    assert (settings.node_id, settings.folder, settings.trackers) == (None, Path(), ())
    assert settings.transports == ("tcp",) and not settings.seeds
    assert settings_for(parse_options(["x.torrent", "--seed"])).seeds


def test_options_of_the_peer_wire_win(setting: Callable[[str, object], None]) -> None:
    setting("TCP_PORT", 6881)
    setting("MAX_PEERS", 9)
    setting("ENCRYPTION", "off")
    setting("PIECE_ORDER", "random")
    settings = settings_for(parse_options(["x.torrent"]))
    assert settings.peer_wire == PeerWireSettings(6881, 9, "off")
    assert settings.piece_order is PIECE_ORDERS["random"]
    words = "x.torrent --port 0 --max-peers 3 --encryption require --order rarest --peer 127.0.0.2:1"
    settings = settings_for(parse_options(words.split()))
    assert settings.peer_wire == PeerWireSettings(0, 3, "require")
    assert settings.piece_order is None and settings.peers == (("127.0.0.2", 1),)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENCRYPTION", "always"),
        ("PIECE_ORDER", "newest"),
        ("TRACKER_ADDR", ["127.0.0.1", 0]),
        ("NODE_HOST", "0.0.0.0"),
        ("CONGESTION_CONTROL", "vegas"),
        ("UPLOAD_LIMIT", "fast"),
        ("TRACKERS", "h:1,nowhere"),
        ("SWARM_KEY", "two words"),
    ],
)
def test_a_setting_that_cannot_be_is_named(
    setting: Callable[[str, object], None], name: str, value: object
) -> None:
    setting(name, value)
    with pytest.raises(SettingError, match=f"^setting {name}"):
        settings_for(parse_options(["-node_id", "7"]))


@pytest.mark.parametrize(
    ("words", "at_prompt", "terminal", "drawn"),
    [
        ("", True, True, True),
        ("", False, True, False),  # commands from a pipe
        ("", False, False, False),
        ("-setMode send x", False, True, True),
        ("-setMode send x", False, False, False),
    ],
)
def test_the_screen_fits(
    words: str, at_prompt: bool, terminal: bool, drawn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", FakeTerminal() if terminal else io.StringIO())
    screen = cli.choose_screen(parse_options(["-node_id", "7", *words.split()]), at_prompt)
    assert isinstance(screen, TextScreen)
    assert isinstance(screen._out, TerminalOutput) is drawn
    as_json = cli.choose_screen(parse_options(["-node_id", "7", *words.split(), "--json"]), at_prompt)
    assert isinstance(as_json, JsonScreen)


def test_sizes_that_no_terminal_has_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, kept in [("0", False), ("", False), ("wide", False), ("-1", False), ("100", True)]:
        monkeypatch.setenv("COLUMNS", text)
        cli.ignore_impossible_sizes()
        assert ("COLUMNS" in os.environ) is kept


def test_what_few_nodes_need_is_imported_for_those_only() -> None:
    """Each costs about the time or memory of all our modules together. A class of thirty would notice."""
    rare = {"prompt_toolkit", "rich.console", "requests", "urllib3", "cryptography"}
    question = f"import sys, node.cli; print(sorted({rare} & set(sys.modules)))"
    command = [sys.executable, "-c", question]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    assert said.stdout.strip() == "[]"


def test_events_that_would_not_be_shown_are_not_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    def ignored(words: str, at_prompt: bool = False) -> set[type[events.Event]]:
        return set(cli.ignored_events(parse_options(["-node_id", "7", *words.split()]), at_prompt))

    monkeypatch.setattr(sys, "stdout", io.StringIO())
    often: set[type[events.Event]] = {events.Piece, events.PeerChanged}
    moving = {events.Progress, events.Hashing, *often}
    assert ignored("--json") == set()
    assert ignored("--json -setMode download x") == set()
    assert ignored("") == ignored("", True) == moving
    assert ignored("--verbose") == set()
    assert ignored("--progress") == often
    assert ignored("-setMode download x") == moving | {events.Failed, events.FilesNotShared, events.Sharing}
    assert ignored("-setMode send x") == moving | {events.Failed, events.FilesNotShared}
    monkeypatch.setattr(sys, "stdout", FakeTerminal())
    assert ignored("-setMode download x") == {*often, events.Failed, events.FilesNotShared, events.Sharing}


@pytest.mark.parametrize(
    ("words", "shown"), [([], "-node_id"), (["-node_id", "1", "-setMode", "fetch", "x"], "'fetch'")]
)
def test_wrong_usage_is_2(words: list[str], shown: str, tmp_path: Path) -> None:
    """More of it: ``test_options.py``, and ``test_configs.py`` for settings."""
    run = subprocess.run(
        [sys.executable, str(ROOT / "TorrentClient.py"), *words],
        env={"PATH": "", "SYSTEMROOT": "C:\\Windows"},
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    assert run.stdout == b""
    lines = run.stderr.decode().splitlines()
    assert shown in lines[-1]
    assert len(lines) == 1 or lines[0].startswith("usage: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("host", "tracker", "out_of_reach"),
    [
        ("127.0.0.1", "http://127.0.0.1:12345", False),
        ("127.0.0.1", "http://[::1]:12345", False),
        ("127.0.0.1", "http://192.168.1.5:12345", True),
        ("127.0.0.1", "http://tracker.example:12345", True),
        ("192.168.1.7", "http://192.168.1.5:12345", False),
    ],
)
def test_a_node_that_others_cannot_reach_is_warned(host: str, tracker: str, out_of_reach: bool) -> None:
    assert cli.is_out_of_reach(host, tracker) is out_of_reach
