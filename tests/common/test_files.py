"""Files are replaced whole or not at all. A file system without a feature costs a warning, not the file."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from common import files
from common.files import atomic_write, lock_file, sync_folder, try_lock

posix = pytest.mark.skipif(os.name != "posix", reason="a POSIX call")
MISSING = sorted({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK})


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(files, "log", lines.append)
    monkeypatch.setattr(files, "_warned", set())
    return lines


def failing(number: int, when: Callable[[int], bool] = lambda _: True) -> Callable[..., None]:
    def call(descriptor: int, *_: object) -> None:
        if when(descriptor):
            raise OSError(number, os.strerror(number))

    return call


def is_folder(descriptor: int) -> bool:
    return os.path.isdir(f"/proc/self/fd/{descriptor}") if os.path.isdir("/proc/self/fd") else True


def test_a_new_file_and_a_replaced_one(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    atomic_write(path, b"old")
    atomic_write(path, (part for part in (b"ne", b"w")))
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


@posix
def test_the_mode_is_that_of_the_first_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    monkeypatch.setattr(files, "sync_file", lambda number: modes.append(os.fstat(number).st_mode & 0o777))
    atomic_write(tmp_path / "secret", b"s", mode=0o600)
    assert modes == [0o600] and (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_readers_see_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "x"
    contents = [bytes([letter]) * 100_000 for letter in b"ab"]
    atomic_write(path, contents[0])
    done = threading.Event()
    seen: list[bytes] = []

    def read() -> None:
        while not done.is_set():
            seen.append(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(50):
        atomic_write(path, contents[turn % 2], sync=False)
    done.set()
    reader.join()
    assert seen and set(seen) <= set(contents)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_the_longest_name_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / ("\N{SMILING FACE WITH SUNGLASSES}" * 63)  # 252 bytes
    atomic_write(path, b"x")
    assert path.read_bytes() == b"x"


@posix
@pytest.mark.parametrize("number", [*MISSING, errno.EBADF])
def test_folders_that_cannot_be_synced_cost_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: list[str], number: int
) -> None:
    monkeypatch.setattr(os, "fsync", failing(number, is_folder))
    for _ in range(3):
        atomic_write(tmp_path / "x", b"content")
    assert (tmp_path / "x").read_bytes() == b"content"
    assert len(warnings) == 1 and "cannot sync folders" in warnings[0]


@posix
def test_a_folder_that_fails_to_sync_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: list[str]
) -> None:
    assert sync_folder(tmp_path)
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError):
        sync_folder(tmp_path)
    assert warnings == []


@posix
@pytest.mark.parametrize("number", MISSING)
def test_a_file_system_without_locks_grants_them_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: list[str], number: int
) -> None:
    monkeypatch.setattr("fcntl.flock", failing(number))
    for _ in range(2):
        lock = lock_file(tmp_path / "lock")
        assert lock is not None
        lock.release()
    assert len(warnings) == 1 and "cannot lock files" in warnings[0]


def test_one_process_at_a_time_has_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = lock_file(path)
    assert lock is not None and lock_file(path) is None
    program = "import sys; from pathlib import Path; from common.files import lock_file; "
    program += "sys.exit(0 if lock_file(Path(sys.argv[1])) is None else 1)"
    assert subprocess.run([sys.executable, "-c", program, str(path)], timeout=60).returncode == 0
    lock.release()
    lock.release()
    assert not path.exists()
    again = lock_file(path)
    assert again is not None
    again.release()


def test_a_lock_ends_with_its_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "part"
    first, second = (os.open(path, os.O_RDWR | os.O_CREAT) for _ in range(2))
    assert try_lock(first) and not try_lock(second)
    os.close(first)
    assert try_lock(second)
    os.close(second)


@posix
def test_a_lock_on_a_file_that_lost_its_name_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    real = files.try_lock
    tries: list[int] = []

    def lose_the_name_first(descriptor: int) -> bool:
        tries.append(descriptor)
        if len(tries) == 1:
            path.unlink()  # another process releases its lock just now
        return real(descriptor)

    monkeypatch.setattr(files, "try_lock", lose_the_name_first)
    lock = lock_file(path)
    assert lock is not None and len(tries) == 2 and path.exists()
    lock.release()
