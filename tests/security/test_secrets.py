"""The recipients of a node's secret and of the class's key: real nodes, and trackers that the test plays."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.metainfo import encode_metainfo

KEY = "blue-whale-7"
Play = Callable[[], Any]


def torrent_of(folder: Path, *announce: str, name: str = "x.bin") -> Path:
    """A stranger's torrent that names these trackers."""
    path = folder / "stranger.torrent"
    listed = announce if len(announce) > 1 else ()
    path.write_bytes(encode_metainfo(name, 9, 32768, bytes(20), announce[0], announce_list=listed))
    return path


def secret_of(node: Any, tracker: Any) -> str:
    """The secret that the node's file has for this tracker."""
    (file,) = node.process_folder.glob(".claims-*.json")
    return str(json.loads(file.read_text())["trackers"][tracker.url])


@pytest.fixture
def start(start_node: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """``start(number, own tracker, ...)``: a node that knows the key."""

    def run(number: int, tracker: Any, *words: str, **settings: str) -> Any:
        every = ("-node_id", str(number), "-tracker", getattr(tracker, "url", tracker), "--json")
        node = start_node(*every, *words, SWARM_KEY=KEY, OWNER_SEARCH_LIMIT="1", **settings)
        node.process_folder = tmp_path / "files" / f"node{number}"
        return node

    return run


def test_a_tracker_that_a_torrent_names_sees_neither_key_nor_anothers_secret(
    start: Callable[..., Any], play_tracker: Play, tmp_path: Path
) -> None:
    own, stranger = play_tracker(), play_tracker()
    node = start(21, own)
    node.type(f"torrent -setMode download '{torrent_of(tmp_path, stranger.url + '/announce')}'")
    node.wait_for("failed")
    secrets = {secret_of(node, own), secret_of(node, stranger)}
    node.type("exit")
    assert node.end() == 0
    assert len(secrets) == 2
    assert own.heard and all(headers["X-Swarm-Key"] == KEY for _, _, headers in own.heard)
    shown = {headers["Authorization"] for _, _, headers in stranger.heard}
    assert len(shown) == 1 and shown.isdisjoint(headers["Authorization"] for _, _, headers in own.heard)
    assert not any(KEY in str(heard) for heard in stranger.heard)


def test_a_torrent_that_names_our_tracker_first_does_not_lead_our_secret_to_the_next(
    start: Callable[..., Any], play_tracker: Play, tmp_path: Path
) -> None:
    own, stranger = play_tracker(), play_tracker()
    torrent = torrent_of(tmp_path, own.url, stranger.url)
    node = start(22, own)
    node.wait_for("started")
    own.refuse(503)
    node.type(f"torrent -setMode download '{torrent}'")
    node.wait_for("failed")
    node.type("exit")
    assert node.end() == 0
    secret = own.heard[0][2]["Authorization"]
    assert not any(KEY in str(heard) or secret in str(heard) for heard in stranger.heard)


def test_nothing_that_a_node_writes_or_is_called_with_holds_them(
    start: Callable[..., Any], play_tracker: Play, tmp_path: Path
) -> None:
    """Also if the tracker repeats them in its errors."""
    own = play_tracker()
    told: list[str] = []

    def repeat(mode: int, fields: dict[str, Any]) -> Any:
        told.append(own.heard[-1][2]["Authorization"].removeprefix("Bearer "))
        if len(told) > 1:
            return 403, {"error": f"is it {told[-1]} or {KEY}?"}, {}
        return 200, {"status": "ok", "interval": 0.2, "known": False, "claimed": True}, {}

    own.answer = repeat
    node = start(23, own)
    node.wait_for("tracker_lost")
    node.type("torrent -peers", "torrent -status")
    node.wait_for("status")
    command = Path(f"/proc/{node.process.pid}/cmdline")
    called = command.read_bytes().decode() if command.exists() else ""
    node.type("exit")
    node.end()
    logs = "".join(path.read_text("utf-8") for path in (tmp_path / "logs").iterdir())
    assert "is it ... or ...?" in logs
    for text in (*node.lines, *node.errors, logs, called):
        assert KEY not in text and told[0] not in text


def test_its_file_is_not_shared_by_any_name(
    start: Callable[..., Any], play_tracker: Play, tmp_path: Path
) -> None:
    node = start(24, play_tracker())
    node.wait_for("started")
    file = node.process_folder / ".claims-24.json"
    names = [".claims-24.json", str(file), ".claims-24.lock"]
    if os.name == "posix":
        (tmp_path / "soft").symlink_to(file)
        os.link(file, tmp_path / "hard")
        names += ["soft", "hard"]
    for count, name in enumerate(names, 1):
        node.type(f"torrent -setMode send {shlex.quote(name)}")
        assert "holds a node's secrets; it is not shared" in node.wait_for("error", count)["error"]
    assert node.ask("files")["files"] == []


def test_no_download_takes_its_place(start: Callable[..., Any], play_tracker: Play, tmp_path: Path) -> None:
    node = start(25, play_tracker())
    torrent = torrent_of(tmp_path, "http://127.0.0.1:9", name=".claims-25.json")
    node.type(f"torrent -setMode download '{torrent}'")
    assert "a node's secrets have such a name" in node.wait_for("error")["error"]
