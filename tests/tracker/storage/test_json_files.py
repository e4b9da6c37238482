"""The JSON files: readable, always parseable, set aside when broken; a disk that says no."""

from __future__ import annotations

import errno
import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import StorageFault
from common.messages import OwnedFile
from tracker.storage import json_files
from tracker.storage.former import DropNode, NodeRecord, SaveNode, SaveOwner
from tracker.storage.json_files import JsonFiles

PATIENCE = 20.0  # seconds
HASH = "ab" * 20
NODE = NodeRecord(1, ("127.0.0.1", 4001), 3, 1.5)
Open = Callable[..., JsonFiles]


@pytest.fixture
def open_files(tmp_path: Path) -> Iterator[Open]:
    """Opens storages in ``tmp_path/db``; all are closed in the end."""
    opened: list[JsonFiles] = []

    def open_one(save_interval: float = 0.01) -> JsonFiles:
        opened.append(JsonFiles(tmp_path / "db", save_interval))
        return opened[-1]

    yield open_one
    for storage in opened:
        storage.close()


def read(tmp_path: Path, name: str) -> Any:
    return json.loads((tmp_path / "db" / name).read_text(encoding="utf-8"))


def test_the_files_are_plain_to_read(open_files: Open, tmp_path: Path) -> None:
    storage = open_files()
    storage.load()
    assert read(tmp_path, "nodes.json") == read(tmp_path, "files.json") == {}
    files = (OwnedFile("Übung.pdf", HASH, 9, False), OwnedFile("g"))
    assert storage.wait(storage.record([SaveNode(NODE), SaveOwner(1, files)]), PATIENCE)
    assert read(tmp_path, "nodes.json") == {"1": {"addr": ["127.0.0.1", 4001], "uploads": 3, "rate": 1.5}}
    assert read(tmp_path, "files.json") == {
        "Übung.pdf": [{"node_id": 1, "info_hash": HASH, "size": 9, "complete": False}],
        "g": [{"node_id": 1, "complete": True}],
    }
    assert '"Übung.pdf": [' in (tmp_path / "db" / "files.json").read_text(encoding="utf-8")


def test_whoever_reads_while_they_are_rewritten_finds_json(open_files: Open, tmp_path: Path) -> None:
    storage = open_files()
    storage.load()
    done = threading.Event()

    def rewrite() -> None:
        for number in range(150):
            file = OwnedFile(f"{number}-" + "x" * 200)
            storage.record([SaveNode(NodeRecord(number, NODE.addr, 0, 0.0)), SaveOwner(number, (file,))])
            storage.wait(storage.record([DropNode(number - 50)]), PATIENCE)
        done.set()

    writer = threading.Thread(target=rewrite)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(len(read(tmp_path, "nodes.json")))
        read(tmp_path, "files.json")
    writer.join()
    assert len(read(tmp_path, "nodes.json")) == len(read(tmp_path, "files.json")) == 50
    assert len(seen) > 3  # it did read while they changed


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"1": ',
        b"\xff\xfe",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"1": {"uploads": NaN',
        b"\x00" * 50,
    ],
)
@pytest.mark.parametrize("name", ["nodes.json", "files.json"])
def test_a_broken_file_is_named_and_set_aside(
    open_files: Open, tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / "db" / name
    path.parent.mkdir()
    for number in (1, 2):
        path.write_bytes(content)
        storage = open_files()
        records = storage.load()
        storage.close()
        assert path.with_name(f"{name}.corrupt-{number}").read_bytes() == content
        (remark,) = records.remarks
        assert str(path) in remark and f"{name}.corrupt-{number}" in remark and "\n" not in remark
        assert read(tmp_path, name) == {}


def test_of_a_file_with_a_bad_entry_the_good_ones_are_taken_over(open_files: Open, tmp_path: Path) -> None:
    folder = tmp_path / "db"
    folder.mkdir()
    good = {"addr": ["127.0.0.1", 4001], "uploads": 3, "rate": 1.5}
    bad: list[Any] = [5, {}, {**good, "uploads": -1}, {**good, "addr": ["x", 1]}, {**good, "rate": "much"}]
    nodes = {"1": good, "x": good, "-1": good, "٣": good, **{str(n): entry for n, entry in enumerate(bad, 2)}}
    (folder / "nodes.json").write_text(json.dumps(nodes), encoding="utf-8")
    files = {
        "f": [{"node_id": 1}, {"node_id": True}, 5],
        "": [{"node_id": 1}],
        "g": 7,
        "h": [{"node_id": 99}],
    }
    (folder / "files.json").write_text(json.dumps(files), encoding="utf-8")
    records = open_files().load()
    assert records.nodes == (NODE,)
    assert records.owned == ((1, OwnedFile("f")),)
    assert [remark.partition(" ")[0] for remark in records.remarks] == [
        str(folder / "nodes.json"),
        str(folder / "files.json"),
        "1",  # owner is left out, for nodes.json does not know it
    ]
    assert json.loads((folder / "nodes.json.corrupt-1").read_text(encoding="utf-8")) == nodes


def test_two_trackers_do_not_share_a_folder(open_files: Open, tmp_path: Path) -> None:
    first = open_files()
    first.load()
    with pytest.raises(StorageFault, match="in use by another tracker.*TRACKER_DB_DIR"):
        open_files().load()
    first.close()
    open_files().load()


def test_a_folder_that_cannot_be_one_is_a_fault_at_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageFault, match="file"):
        JsonFiles(tmp_path / "file", 1.0).load()
    (tmp_path / "db" / "nodes.json").mkdir(parents=True)
    with pytest.raises(StorageFault, match="nodes.json"):
        JsonFiles(tmp_path / "db", 1.0).load()


def test_a_full_disk_is_told_once_and_all_is_saved_when_there_is_room(
    open_files: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    storage = open_files()
    storage.load()
    swarm = logging.getLogger("swarm")
    monkeypatch.setattr(swarm, "propagate", True)
    caplog.set_level(logging.INFO, "swarm")
    full = threading.Event()
    full.set()
    real = json_files.replace_file

    def replace_file(path: Path, content: bytes) -> None:
        if full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, content)

    monkeypatch.setattr(json_files, "replace_file", replace_file)
    for uploads in (1, 2, 3):
        ticket = storage.record([SaveNode(NodeRecord(1, NODE.addr, uploads, 0.0))])
        assert storage.wait(ticket, PATIENCE) is False
    assert [record.getMessage().count("No space left") for record in caplog.records] == [1]
    assert read(tmp_path, "nodes.json") == {}  # the old text, whole
    full.clear()
    ticket = storage.record([], urgent=True)
    assert storage.wait(ticket, PATIENCE) is True
    assert read(tmp_path, "nodes.json")["1"]["uploads"] == 3
    assert "works again" in caplog.records[-1].getMessage()


def test_the_disk_is_tried_again_without_being_asked(
    open_files: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    storage = open_files()
    storage.load()
    tries: list[int] = []
    saved = threading.Event()
    real = json_files.replace_file

    def replace_file(path: Path, content: bytes) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, content)
        saved.set()

    monkeypatch.setattr(json_files, "replace_file", replace_file)
    storage.record([SaveNode(NODE)])
    assert saved.wait(PATIENCE)
    assert read(tmp_path, "nodes.json")["1"]["uploads"] == 3


def test_changes_that_come_while_it_writes_share_the_next_save(
    open_files: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_files()
    storage.load()
    writing, go_on, saves = threading.Event(), threading.Event(), []
    real = json_files.replace_file

    def replace_file(path: Path, content: bytes) -> None:
        saves.append(path.name)
        writing.set()
        assert go_on.wait(PATIENCE)
        real(path, content)

    monkeypatch.setattr(json_files, "replace_file", replace_file)
    storage.record([SaveNode(NODE)])
    assert writing.wait(PATIENCE)
    tickets = [storage.record([SaveNode(NodeRecord(n, NODE.addr, 0, 0.0))]) for n in range(2, 100)]
    go_on.set()
    assert all(storage.wait(ticket, PATIENCE) for ticket in tickets)
    assert saves == ["nodes.json", "nodes.json"]


def test_a_wait_ends_though_the_disk_does_not_answer(
    open_files: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_files()
    storage.load()
    hang = threading.Event()
    monkeypatch.setattr(json_files, "replace_file", lambda path, content: hang.wait(PATIENCE))
    assert storage.wait(storage.record([SaveNode(NODE)]), 0.01) is False
    hang.set()
