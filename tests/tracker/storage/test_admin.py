"""check, export and import, as people call them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.messages import OwnedFile
from tests.tracker.storage.notebook import State, state_in
from tests.tracker.storage.requests import StorageTracker
from tracker.model import Caller, Receipt, Rules
from tracker.storage.admin import main
from tracker.storage.group_commit import GroupCommit
from tracker.storage.memory import MemoryStorage

A, B = ("127.0.0.1", 4001), ("127.0.0.1", 4002)
S = "5e" * 32


def opened(folder: Path) -> MemoryStorage:
    storage = MemoryStorage(Rules(), GroupCommit(folder, 3600.0), clock=lambda: 1000.0)
    storage.open()
    return storage


def state(folder: Path) -> State:
    storage = opened(folder)
    storage.close()
    nodes, owned, totals = state_in(storage)
    return {n: node._replace(score=0.0) for n, node in nodes.items()}, owned, totals


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Records of two nodes."""
    storage = opened(tmp_path / "db")
    tracker = StorageTracker(storage)
    tracker.own(Caller(1, A), [OwnedFile("f", "ab" * 20, 9)])
    tracker.own(Caller(2, B, S), [OwnedFile("f"), OwnedFile("g")])
    tracker.update(Caller(1, A), Receipt("f"))
    tracker.update(Caller(2, B, S), Receipt("f", 1, "ab" * 20, 4, number=3))
    storage.close()
    return tmp_path / "db"


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    return (captured.out + captured.err).splitlines()


def damage(folder: Path) -> bytes:
    """Overwrite a page of the database."""
    path = folder / "tracker.db"
    data = bytearray(path.read_bytes())
    data[4096:8192] = b"\xa5" * 4096
    path.write_bytes(data)
    return bytes(data)


def test_check_says_what_there_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"], folder) == 0
    assert said(capsys) == [f"{folder} holds 2 nodes and 3 ownerships of 2 file names", "sound"]


def test_check_names_damage_and_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = damage(folder)
    assert main(["check"], folder) == 1
    lines = said(capsys)
    assert str(folder / "tracker.db") in lines[0] and "--repair" in lines[-1]
    assert (folder / "tracker.db").read_bytes() == damaged


def test_repair_sets_the_database_aside_and_uses_the_json_files(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = state(folder)
    damaged = damage(folder)
    assert main(["check", "--repair"], folder) == 0
    assert any(f"{folder / 'tracker.db'} is kept as tracker.db.corrupt-1" in line for line in said(capsys))
    assert (folder / "tracker.db.corrupt-1").read_bytes() == damaged
    assert main(["check"], folder) == 0
    assert state(folder) == before


def test_repair_of_what_is_no_database_works_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "tracker.db").write_bytes(b"junk" * 5000)
    assert main(["check"], folder) == 1
    assert main(["check", "--repair"], folder) == 0
    assert said(capsys)[-1] == "repaired" and len(state(folder)[0]) == 2


def test_what_is_exported_can_be_imported_elsewhere(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported, other = tmp_path / "records.json", tmp_path / "other"
    assert main(["export", str(exported)], folder) == 0
    assert sorted(json.loads(exported.read_text(encoding="utf-8"))) == ["files", "format", "nodes"]
    assert main(["import", str(exported)], other) == 0
    assert state(other) == state(folder)
    assert main(["import", str(exported)], other) == 1
    assert "--replace" in said(capsys)[-1]
    assert main(["import", "--replace", str(exported)], other) == 0
    assert main(["check"], other) == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 1}',
        '{"format": 1, "nodes": {}, "files": {"f": [{"node_id": 1}]}}',
        '{"format": 1, "nodes": {"1": {"addr": ["x", 1]}}, "files": {}}',
        '{"format": 2, "nodes": {}, "files": {}}',
    ],
)
def test_what_is_no_export_is_not_imported(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    assert main(["import", "--replace", str(tmp_path / "x.json")], folder) == 1
    assert len(lines := said(capsys)) == 1 and "x.json" in lines[0]
    assert main(["check"], folder) == 0


def test_a_folder_in_use_or_missing_is_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    storage = opened(folder)
    (folder.parent / "x").write_text('{"format": 1, "nodes": {}, "files": {}}', encoding="utf-8")
    for words in (["check"], ["check", "--repair"], ["export", "x"], ["import", str(folder.parent / "x")]):
        assert main(words, folder) == 1
        assert "in use by another tracker" in said(capsys)[-1]
    storage.close()
    missing = folder.parent / "missing"
    assert main(["check"], missing) == 1
    assert "there are no records" in said(capsys)[-1] and not missing.exists()
