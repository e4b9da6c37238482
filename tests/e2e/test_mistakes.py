"""Mistakes of a user: one line names the mistake and its place, and the node continues."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from common import bencode


def complaints(node: Any, *commands: str) -> list[str]:
    """The answers to ``commands``: exactly one error a command, and the node still runs."""
    before = len(node.seen("error"))
    node.type(*commands)
    node.wait_for("error", before + len(commands))
    node.ask("status")
    errors = [event["error"] for event in node.seen("error")[before:]]
    assert len(errors) == len(commands)
    assert all(error.isprintable() and "Traceback" not in error for error in errors)
    return errors


def test_commands_that_mean_nothing(swarm: Any) -> None:
    wrong = {
        "torent -status": ["'torent'", "did you mean 'torrent'?"],
        "fly me to the moon": ["'fly'", "help"],
        "torrent": ["-setMode", "help"],
        "torrent -setmod send x": ["'-setmod'", "-setMode"],
        "torrent -setMode": ["send FILE"],
        "torrent -setMode sned x": ["'sned'", "send"],
        "torrent -setMode send": ["wants a file", "torrent -setMode send FILE"],
        "torrent -setMode download": ["wants a file", "FILE.torrent"],
        "torrent -setMode send ''": ["wants a file"],
        "torrent -setMode send my file.txt": ["quote", '"my file.txt"'],
        'torrent -setMode send "my file.txt': ["quote"],
        "torrent -status now": ["nothing more", "'now'"],
        "sned x.bin": ["'sned'", "send"],
        "torrent -setMode send \x1b[31mred": ["control characters"],
        "x" * 70_000: ["65536"],
    }
    node = swarm.node()
    for error, words in zip(complaints(node, *wrong), wrong.values(), strict=True):
        assert all(word in error for word in words), error


def test_a_hint_can_be_typed_as_it_stands(swarm: Any) -> None:
    path = swarm.file("a name with spaces that is so long that nobody wants to type it twice.bin", 10)
    node = swarm.node()
    (error,) = complaints(node, f"torrent -setMode send {path}")
    node.type(error.partition("quote names with spaces: ")[2])
    node.wait_for("sharing")


def test_files_that_cannot_be_shared(swarm: Any, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "x.part").write_bytes(b"x")
    (tmp_path / "tab\there").write_bytes(b"x")
    (tmp_path / "NUL").write_bytes(b"x")
    wrong = {
        "torrent -setMode send nothing.bin": ["nothing.bin", "no such file"],
        "torrent -setMode send folder": ["folder", "has no files"],
        "torrent -setMode send folder/nothing": ["folder/nothing", "no such file"],
        "torrent -setMode send pipe": ["pipe", "no plain file"],
        "torrent -setMode send link": ["link", "a link that leads to no file"],
        f"torrent -setMode send {'x' * 300}": ["x" * 300],
        "torrent -setMode send x.part": ["x.part", "unfinished"],
        "torrent -setMode send NUL": ["NUL", "Windows"],
        "torrent -setMode download nothing.torrent": ["nothing.torrent", "no such file"],
        "torrent -setMode download folder": ["folder", "a file is wanted"],
    }
    node = swarm.node()
    for error, words in zip(complaints(node, *wrong), wrong.values(), strict=True):
        assert all(word in error for word in words), error
    assert node.files() == []


def test_a_file_that_may_not_be_read(swarm: Any, tmp_path: Path) -> None:
    before: list[str] = []
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("root may read every file, and setpriv, which could change that, is not here")
        before = [setpriv, "--bounding-set=-dac_override,-dac_read_search"]
    for name in ("secret.bin", "secret.torrent"):
        (tmp_path / name).write_bytes(b"x")
        (tmp_path / name).chmod(0)
    (tmp_path / "closed").mkdir(mode=0)
    node = swarm.node(before=before)
    errors = complaints(node, "torrent -setMode send secret.bin", "torrent -setMode download secret.torrent")
    for error, name in zip(errors, ("secret.bin", "secret.torrent"), strict=True):
        assert name in error and "permission denied" in error
    assert node.files() == []


def torrent_of(name: bytes = b"x.bin", **changes: bencode.Value) -> bytes:
    info: dict[bytes, bencode.Value] = {
        b"name": name,
        b"length": 40_000,
        b"piece length": 32768,
        b"pieces": bytes(40),
    }
    info.update({key.replace("_", " ").encode(): value for key, value in changes.items()})
    return bencode.encode({b"announce": b"http://127.0.0.1:9/announce", b"info": info})


BROKEN = {
    "empty": (b"", "not a torrent"),
    "text": (b"this is no torrent", "not a torrent"),
    "cut": (torrent_of()[:-9], "the file is cut off"),
    "longer": (torrent_of() + b"\nx", "after the end"),
    "minus zero": (torrent_of().replace(b"i40000e", b"i-0e"), "canonical integer"),
    "deep": (b"d4:info" + b"l" * 200_000, "nested"),
    "negative": (torrent_of(length=-1), "length -1"),
    "huge": (torrent_of(length=10**30), "length 1000"),
    "no pieces": (torrent_of(piece_length=0), "piece length 0"),
}


def test_torrents_that_are_none(swarm: Any, tmp_path: Path) -> None:
    for name, (content, _) in BROKEN.items():
        (tmp_path / f"{name}.torrent").write_bytes(content)
    node = swarm.node()
    node.wait_for("started")
    before = sorted(tmp_path.rglob("*"))
    errors = complaints(node, *(f"torrent -setMode download '{name}.torrent'" for name in BROKEN))
    for error, (name, (_, why)) in zip(errors, BROKEN.items(), strict=True):
        assert f"{name}.torrent" in error and why in error, error
    assert sorted(tmp_path.rglob("*")) == before


def test_single_commands_that_fail_say_why_in_one_line(swarm: Any, tmp_path: Path) -> None:
    (tmp_path / "cut.torrent").write_bytes(torrent_of()[:-9])
    (tmp_path / "folder").mkdir()
    for mode, file in (("download", "cut.torrent"), ("download", "nothing"), ("send", "folder")):
        node = swarm.node("-setMode", mode, file, json=False)
        assert node.end() == 1
        assert len(node.errors) == 1 and file in node.errors[0]


def test_a_folder_that_cannot_be_made_and_an_address_of_nobody(swarm: Any, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    elsewhere = swarm.node("-host", "192.0.2.1", json=False)  # an address for examples, never in use
    assert elsewhere.end() == 1
    (error,) = elsewhere.errors
    assert "192.0.2.1" in error and "NODE_HOST" in error
    node = swarm.node("-d", str(tmp_path / "taken" / "x"), json=False)
    assert node.end() == 1
    (error,) = node.errors
    assert "taken" in error
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "a file"


@pytest.mark.skipif(sys.platform == "darwin", reason="file names on macOS are always valid UTF-8")
def test_a_name_that_is_no_utf_8(swarm: Any, tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9")).write_bytes(b"x")
    node = swarm.node()
    before = len(node.seen("error"))
    node.process.stdin.write(b"torrent -setMode send caf\xe9\n")
    node.type("torrent -status")
    error = node.wait_for("error", before + 1)["error"]
    assert "caf" in error and "UTF-8" in error
    node.wait_for("status")
