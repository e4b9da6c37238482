"""check, export and import, as people call them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.messages import OwnedFile
from tests.tracker.storage.swarm import history, node, opened, state_of
from tracker.model import FilesOwned, NodeJoined
from tracker.storage.disk import SystemDisk
from tracker.storage.reading import read_folder
from tracker.upkeep import main

DISK = SystemDisk()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Records of two nodes, after a crash: a snapshot, and a journal with more than it."""
    keeper, swarm, _ = opened(DISK, tmp_path / "db")
    keeper._source = swarm
    keeper.wait(swarm.apply([NodeJoined(node(1, 3)), FilesOwned(1, (OwnedFile("f"),))], keeper))
    keeper.save()
    keeper.wait(swarm.apply([NodeJoined(node(2)), FilesOwned(2, (OwnedFile("f"), OwnedFile("g")))], keeper))
    keeper._journal.close()
    keeper._release()
    return tmp_path / "db"


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    return (captured.out + captured.err).splitlines()


def test_check_says_what_there_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"], folder) == 0
    assert said(capsys) == [f"{folder} holds 2 nodes and 3 ownerships of 2 file names", "sound"]


def test_check_names_damage_and_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "files.json").write_bytes(b"{")
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert main(["check"], folder) == 1
    lines = said(capsys)
    assert str(folder / "files.json") in lines[0] and "--repair" in lines[-1]
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_repair_sets_aside_what_is_damaged(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = max(folder.glob("journal-*.log"), key=lambda path: int(path.stem.partition("-")[2]))
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], b"what?\n", *lines[1:]]))
    assert main(["check"], folder) == 1
    assert main(["check", "--repair"], folder) == 0
    assert any(f"{journal} is kept as {journal.name}.corrupt-1" in line for line in said(capsys))
    assert main(["check"], folder) == 0
    contents = read_folder(DISK, folder)
    assert [node.node_id for node in contents.nodes] == [1, 2] and not contents.damage


def test_what_is_exported_can_be_imported_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keeper, swarm, _ = opened(DISK, tmp_path / "db")
    for changes in history(40):
        keeper.wait(swarm.apply(changes, keeper))
    keeper.close()
    exported, other = tmp_path / "records.json", tmp_path / "other"
    assert main(["export", str(exported)], tmp_path / "db") == 0
    assert sorted(json.loads(exported.read_text(encoding="utf-8"))) == ["files", "format", "nodes"]
    assert main(["import", str(exported)], other) == 0
    assert state_of(read_folder(DISK, other)) == swarm.state
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
    release = DISK.lock(folder)
    for words in (["check"], ["check", "--repair"], ["export", "x"], ["import", "x"]):
        assert main(words, folder) == 1
    release()
    missing = folder.parent / "missing"
    assert main(["check"], missing) == 1
    assert "there are no records" in said(capsys)[-1] and not missing.exists()
