"""The storage over SQLite where the disk decides what may be answered: full, failed, or good again."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import StorageFault, StorageFull, StorageReadOnly
from common.messages import OwnedFile
from tests.tracker.storage.notebook import state_in
from tests.tracker.storage.requests import StorageTracker
from tracker.model import Caller, Receipt, Rules
from tracker.storage import group_commit, json_files
from tracker.storage.group_commit import GroupCommit
from tracker.storage.memory import MemoryStorage
from tracker.storage.sqlite import is_in_use

A, B = Caller(1, ("127.0.0.1", 4001)), Caller(2, ("127.0.0.1", 4002))
F, G = OwnedFile("f", "ab" * 20, 9), OwnedFile("g")
SMALL = 1 << 20  # bytes of the small file system


class Opened:
    """A tracker on a folder, and its parts."""

    def __init__(self, folder: Path) -> None:
        self.durability = GroupCommit(folder, 3600.0)
        self.storage = MemoryStorage(Rules(), self.durability)
        self.tracker = StorageTracker(self.storage)
        self.tracker.open()

    @property
    def connection(self) -> sqlite3.Connection:
        assert self.durability._database is not None
        return self.durability._database.connection

    def fill(self) -> None:
        """Let the database have no room for more than it has."""
        (pages,) = self.connection.execute("PRAGMA page_count").fetchone()
        self.connection.execute(f"PRAGMA max_page_count={pages}")

    def make_room(self) -> None:
        self.connection.execute("PRAGMA max_page_count=1000000")

    def own_until_full(self) -> list[OwnedFile]:
        """Files of node 1 that were answered, until one is refused."""
        owned: list[OwnedFile] = []
        with pytest.raises(StorageFull):
            while True:
                more = [OwnedFile(f"{len(owned)}-{number}" + "x" * 200) for number in range(20)]
                self.tracker.own(A, more)
                owned += more
        return owned


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    made = Opened(tmp_path)
    yield made
    made.tracker.close()


def fail(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """As SQLite reports a disk that failed."""

    def failing(*arguments: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(opened.durability._database, "_execute", failing)


def test_on_a_full_disk_writes_are_refused_and_all_else_goes_on(opened: Opened) -> None:
    tracker = opened.tracker
    tracker.own(A, [F])
    opened.fill()
    opened.own_until_full()
    for refused in (
        lambda: tracker.register(B),
        lambda: tracker.own(B, [F]),
        lambda: tracker.update(A, Receipt("f")),
        lambda: tracker.exit(A),
    ):
        with pytest.raises(StorageFull):
            refused()
    assert tracker.need(B, "f", None, 9).total == 1
    assert tracker.counts().nodes == 1 and "no room" in tracker.health()
    opened.make_room()
    opened.durability.retry()
    assert not tracker.health()
    assert tracker.register(B).known is False


def test_a_repetition_of_what_could_not_be_kept_is_no_success(opened: Opened, tmp_path: Path) -> None:
    tracker = opened.tracker
    tracker.own(B, [F])
    opened.fill()
    opened.own_until_full()
    for _ in range(3):
        with pytest.raises(StorageFull):
            tracker.own(A, [G])
        with pytest.raises(StorageFull):
            tracker.register(A)
    assert tracker.register(B).known  # a heartbeat of a node with durable records
    assert tracker.own(B, [F]).news == ()
    opened.make_room()
    opened.durability.retry()
    assert tracker.own(A, [G]).known
    tracker.close()
    again = Opened(tmp_path)
    assert again.tracker.need(A, "g", None, 9).total == 1
    assert state_in(again.storage)[1] == state_in(opened.storage)[1]
    again.tracker.close()


def test_after_a_disk_failed_nothing_is_written_and_all_that_was_can_be_read(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = opened.tracker
    tracker.own(A, [F])
    with monkeypatch.context() as patch:
        fail(opened, patch)
        with pytest.raises(StorageReadOnly):
            tracker.own(A, [G])
    with pytest.raises(StorageReadOnly):
        tracker.exit(A)
    assert tracker.need(A, "f", None, 9).total == 1
    assert "disk failed" in tracker.health()
    tracker.close()
    again = Opened(tmp_path)
    assert (again.tracker.need(A, "f", None, 9).total, again.tracker.need(A, "g", None, 9).total) == (1, 0)
    again.tracker.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not remove open files")
@pytest.mark.parametrize("replaced", [False, True])
def test_a_database_removed_under_the_tracker_ends_the_writes_with_one_line(
    opened: Opened, tmp_path: Path, replaced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker, lines = opened.tracker, list[str]()
    monkeypatch.setattr(group_commit, "log", lines.append)
    tracker.own(A, [F])
    assert not tracker.health()
    for path in tmp_path.iterdir():
        path.unlink()
    if replaced:
        (tmp_path / "tracker.db").touch()
    opened.durability._work()
    with pytest.raises(StorageReadOnly, match="removed under the running tracker"):
        tracker.own(A, [G])
    with pytest.raises(StorageReadOnly):
        tracker.exit(A)
    opened.durability._work()
    assert "start the tracker again" in tracker.health()
    assert tracker.need(B, "f", None, 9).total == 1
    tracker.close()
    assert len(lines) == 1 and "removed under" in lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["tracker.db"] * replaced  # no JSON files


def test_a_folder_is_in_use_while_a_tracker_has_its_database_open(tmp_path: Path) -> None:
    assert not is_in_use(tmp_path) and list(tmp_path.iterdir()) == []
    opened = Opened(tmp_path)
    opened.tracker.own(A, [F])
    assert is_in_use(tmp_path)
    copy = tmp_path / "after kill -9"  # the files of a tracker that had no time to close them
    copy.mkdir()
    for path in tmp_path.glob("tracker.db*"):
        shutil.copy(path, copy)
    assert not is_in_use(copy)
    again = Opened(copy)
    assert again.tracker.need(B, "f", None, 9).total == 1
    again.tracker.close()
    opened.tracker.close()
    assert not is_in_use(tmp_path)
    (tmp_path / "tracker.db").write_bytes(b"damaged" * 999)
    assert not is_in_use(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not remove open files")
def test_a_removed_folder_is_seen_by_the_health_page_at_once(opened: Opened, tmp_path: Path) -> None:
    opened.tracker.own(A, [F])
    shutil.rmtree(tmp_path)
    assert "removed under" in opened.tracker.health()


def test_requests_that_wait_at_the_same_time_are_committed_together(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = opened.durability._database
    assert database is not None
    groups: list[int] = []
    begun, go_on = threading.Event(), threading.Event()
    commit = database.commit

    def slow(transactions: list[object]) -> None:
        groups.append(len(transactions))
        begun.set()
        go_on.wait(20)
        commit(transactions)  # type: ignore[arg-type]

    monkeypatch.setattr(database, "commit", slow)
    threads = [
        threading.Thread(target=opened.tracker.own, args=(Caller(n, ("127.0.0.1", 4000 + n)), [F]))
        for n in range(1, 9)
    ]
    threads[0].start()
    assert begun.wait(20)
    for thread in threads[1:]:
        thread.start()
    while opened.durability._appended < 8:
        begun.wait(0.001)
    go_on.set()
    for thread in threads:
        thread.join()
    assert groups == [1, 7]


def test_the_background_thread_survives_any_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = MemoryStorage(Rules(), GroupCommit(tmp_path, 0.01, durable=False))
    storage.open()
    failed = threading.Event()

    def export(*arguments: object) -> None:
        failed.set()
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(json_files, "export", export)
        StorageTracker(storage).register(A)
        assert failed.wait(20)
    StorageTracker(storage).register(B)
    deadline = time.monotonic() + 20
    while not (tmp_path / "nodes.json").exists():
        assert time.monotonic() < deadline
        failed.wait(0.001)
    storage.close()


def test_a_folder_in_use_is_named_with_its_setting(opened: Opened, tmp_path: Path) -> None:
    with pytest.raises(StorageFault, match="in use by another tracker.*TRACKER_DB_DIR"):
        Opened(tmp_path)


def test_what_is_no_database_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "tracker.db").write_bytes(b"something else" * 1000)
    with pytest.raises(StorageFault, match=r"tracker\.db is damaged.*check --repair"):
        Opened(tmp_path)


def test_a_database_of_a_later_version_is_not_touched(opened: Opened, tmp_path: Path) -> None:
    opened.connection.execute("PRAGMA user_version=99")
    opened.tracker.close()
    before = (tmp_path / "tracker.db").read_bytes()
    with pytest.raises(StorageFault, match="another version"):
        Opened(tmp_path)
    assert (tmp_path / "tracker.db").read_bytes() == before


def test_a_crash_before_the_first_records_are_in_loses_none(tmp_path: Path) -> None:
    (tmp_path / "nodes.json").write_text('{"7": {"addr": ["127.0.0.1", 4007]}}', encoding="utf-8")
    sqlite3.connect(tmp_path / "tracker.db").execute("CREATE TABLE nodes(node_id)").connection.close()
    (tmp_path / "tracker.db").unlink()
    (tmp_path / "tracker.db").touch()  # as SQLite makes it, before anything is written
    again = Opened(tmp_path)
    assert [node.node_id for node in again.tracker.nodes(9)] == [7]
    again.tracker.close()


# ---- a real small file system


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of SMALL bytes; skips where it cannot be mounted."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system needs Linux and root")
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_fills_up_loses_nothing_that_was_answered(small_disk: Path) -> None:
    opened = Opened(small_disk)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (SMALL // 4))
    opened.tracker.register(B)
    owned = opened.own_until_full()
    assert len(owned) > 100
    with pytest.raises(StorageFull):
        opened.tracker.exit(B)
    assert opened.tracker.register(B).known
    ballast.unlink()
    opened.durability.retry()
    assert opened.tracker.exit(B)
    opened.tracker.close()
    again = Opened(small_disk)
    files = {file.filename for file in state_in(again.storage)[1].values()}
    assert files >= {file.filename for file in owned}
    assert [node.node_id for node in again.tracker.nodes(9)] == [1]
    again.tracker.close()
