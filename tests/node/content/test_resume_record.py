"""Records that are trusted after a restart, and records that are not."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.bitfield import Bitfield
from node.content import resume_record
from node.content.resume_format import WRITE_SECONDS, Entry, Seen
from node.content.resume_record import PROMISE_SECONDS, ResumeRecord, read_record
from tests.node.content.content_case import FOLDERS, LENGTH, Case

SECOND = 10**9  # ns
PROMISE = int(PROMISE_SECONDS * SECOND)


@pytest.fixture(params=["one file", "a folder", "padding"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    made = Case(FOLDERS[request.param], tmp_path)
    yield made
    made.content.close()
    made.open_files.close()


def begin(case: Case) -> None:
    """Open the content as a download does."""
    part = case.content.open_part()
    case.content.set_verified(case.content.trusted)
    case.content.keep_record(part.stored())


def fetch(case: Case, *pieces: int) -> None:
    for piece in pieces:
        start, end = case.info.geometry.piece_range(piece)
        case.content.write(start, [case.data[start:end]])
        case.content.mark_verified(piece)


def believed(case: Case) -> list[int]:
    case.content.open_part()
    pieces = list(case.content.trusted)
    case.drop_part()
    return pieces


def stored_path(case: Case, index: int) -> Path:
    """Where file ``index`` is while it is unfinished."""
    path = case.folder / "N.part"
    return path if case.info.is_single_file else path.joinpath(*case.info.files[index].path[1:])


def largest(case: Case) -> int:
    lengths = [entry.length * (not entry.padding) for entry in case.info.files]
    return lengths.index(max(lengths))


def pieces_of(case: Case, index: int) -> set[int]:
    start = sum(entry.length for entry in case.info.files[:index])
    return set(case.info.geometry.pieces_touched(start, start + case.info.files[index].length))


def test_every_verified_piece_is_believed_after_a_kill(case: Case) -> None:
    begin(case)
    fetch(case, 0, 2)
    case.content.write(LENGTH, [b"half of a piece"])
    case.kill()
    assert believed(case) == [0, 2]
    begin(case)
    fetch(case, 1)
    case.kill()
    assert believed(case) == [0, 1, 2]


def test_without_a_record_nothing_is_believed(case: Case) -> None:
    begin(case)
    fetch(case, 0, 1, 2)
    case.kill()
    (case.folder / "N.resume").unlink()
    assert believed(case) == []


def changes() -> list[str]:
    return ["later", "earlier", "shorter", "longer", "replaced", "deleted"]


@pytest.mark.parametrize("change", changes())
def test_a_file_that_is_not_the_same_is_hashed(case: Case, change: str) -> None:
    begin(case)
    everything = range(case.info.geometry.piece_count)
    fetch(case, *everything)
    case.kill()
    index = largest(case)
    path = stored_path(case, index)
    status = path.stat()
    if change in ("later", "earlier"):
        by = 1 if change == "later" else -1
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + by))
    elif change == "replaced":
        copy = path.with_name("copy")
        shutil.copy2(path, copy)
        os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.replace(copy, path)
    elif change == "deleted":
        path.unlink()
    else:
        os.truncate(path, status.st_size + (1 if change == "longer" else -1))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    if change in ("shorter", "longer"):
        entry = read_record(case.folder / "N.resume", case.info)
        assert entry is not None
        seen = Seen(path.stat().st_ino, path.stat().st_size, status.st_mtime_ns)
        assert not entry.entries[index].explains(seen, case.info.files[index].length)
    else:
        assert set(believed(case)) == set(everything) - pieces_of(case, index)


def test_a_write_that_the_kill_interrupted_explains_its_time_but_no_later_one() -> None:
    slack = int(WRITE_SECONDS * SECOND)
    entry = Entry(7, 100 * SECOND, 105 * SECOND)
    for modified, explained in [
        (100 * SECOND, True),
        (105 * SECOND + slack, True),
        (105 * SECOND + slack + 1, False),
        (100 * SECOND - 1, False),
    ]:
        assert entry.explains(Seen(7, 5, modified), 5) is explained
    assert not entry.explains(Seen(8, 5, 100 * SECOND), 5)
    assert not entry.explains(None, 5) and Entry().explains(None, 5)


def test_an_interrupted_write(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are in the file, and the entry still marks a write in progress."""
    begin(case)
    fetch(case, 0)
    with monkeypatch.context() as patched:
        patched.setattr(ResumeRecord, "end", lambda *arguments: None)
        case.content.write(LENGTH, [case.data[LENGTH : 2 * LENGTH]])
    case.kill()
    assert believed(case) == [0]
    path = stored_path(case, largest(case))
    os.utime(path, ns=(0, time.time_ns() + SECOND))
    assert not set(believed(case)) & pieces_of(case, largest(case))


def test_writes_that_follow_each_other_closely_are_recorded_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(None, tmp_path)
    record = ResumeRecord(tmp_path / "r", case.info)
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now)
    record.begin_record([], Bitfield(4))

    def entry() -> Entry:
        state = read_record(tmp_path / "r", case.info)
        assert state is not None
        return state.entries[0]

    assert record.begin(0, 7)  # the first one: its time will be known
    assert entry().writing == now
    assert record.begin(0, 7) is False  # another thread, at the same time
    promised = entry().writing
    assert promised == now + PROMISE
    record.end(0, 0)
    record.end(0, now)
    assert entry().writing == promised  # only ``settle`` ends the promise
    now += PROMISE // 2
    assert not record.begin(0, 7) and entry().writing == promised
    record.end(0, 0)
    record.settle(lambda file: Seen(7, 5, now))
    assert entry().writing == promised  # a write may begin that is covered by it
    now += PROMISE
    record.settle(lambda file: Seen(7, 5, now - 5))
    assert entry() == Entry(7, now - 5, 0)
    now += 10 * PROMISE
    assert record.begin(0, 7)
    record.end(0, now)
    assert entry() == Entry(7, now, 0)
    record.begin(0, 7)
    record.settle(lambda file: Seen(7, 5, 1))
    assert entry().writing  # it is written at this moment
    record.close()


def test_verified_pieces_are_written_when_there_are_many_and_when_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(None, tmp_path)
    record = ResumeRecord(tmp_path / "r", case.info)
    monkeypatch.setattr(resume_record, "MOST_UNWRITTEN", 2)
    record.begin_record([], Bitfield(4))

    def recorded() -> list[int]:
        state = read_record(tmp_path / "r", case.info)
        assert state is not None
        return list(state.verified)

    record.mark_verified(0)
    record.begin(0, 7)
    assert recorded() == []
    record.mark_verified(2)
    assert recorded() == []  # without a call of the system
    record.begin(0, 7)
    assert recorded() == [0, 2]
    record.mark_verified(1)
    record.settle(lambda file: None)
    assert recorded() == [0, 1, 2]
    record.close()


def test_a_kill_in_the_middle_of_writing_believes_no_piece_too_many(case: Case) -> None:
    begin(case)
    fetch(case, 0, 1, 2)
    case.kill(settled=False)
    assert set(believed(case)) <= {0, 1, 2}


def test_only_the_record_of_this_torrent_folder_and_boot_counts(
    case: Case, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begin(case)
    fetch(case, 0, 1)
    case.kill()
    path, other = case.folder / "N.resume", tmp_path / "other"
    assert read_record(path, case.info) is not None
    other.mkdir()
    shutil.copy2(path, other / "N.resume")
    assert read_record(other / "N.resume", case.info) is None
    data = path.read_bytes()
    for wrong in (data[:-1], data + b"x", b"", data[:50], os.urandom(len(data))):
        path.write_bytes(wrong)
        assert read_record(path, case.info) is None
    path.write_bytes(data)
    different = Case([("x", 3 * LENGTH + 7)], tmp_path / "other")
    assert read_record(path, different.info) is None
    for digest in (bytes(16), b"1" * 16):
        monkeypatch.setattr(resume_record, "boot_digest", lambda digest=digest: digest)
        assert read_record(path, case.info) is None
    monkeypatch.undo()
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now - 3600 * SECOND)
    assert read_record(path, case.info) is None


def test_after_a_clean_end_it_counts_after_a_reboot_too(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(case)
    fetch(case, 0, 1)
    case.content.close()
    monkeypatch.setattr(resume_record, "boot_digest", lambda: b"1" * 16)
    case.again()
    assert believed(case) == [0, 1]
    begin(case)
    fetch(case, 2)
    case.kill()
    monkeypatch.setattr(resume_record, "boot_digest", lambda: b"2" * 16)
    assert believed(case) == []


def test_a_damaged_record_makes_nothing_right(case: Case) -> None:
    begin(case)
    fetch(case, 0, 2)
    case.kill()
    path = case.folder / "N.resume"
    data = path.read_bytes()
    stored = case.content.open_part().stored()
    with path.open("r+b", buffering=0) as record:
        for at, byte in enumerate(data):
            for damaged in (byte ^ 0x01, byte ^ 0x80, byte ^ 0xFF, byte):  # in the end as it was
                record.seek(at)
                record.write(bytes([damaged]))
                assert set(case.content.trusted_pieces(stored)) <= {0, 2}
    assert path.read_bytes() == data


def test_a_users_file_of_that_name_is_left_alone(case: Case) -> None:
    path = case.folder / "N.resume"
    path.write_bytes(b"my resume")
    begin(case)
    fetch(case, 0)
    case.content.close()
    assert path.read_bytes() == b"my resume"


def test_a_record_that_cannot_be_written_is_given_up(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(case)
    fetch(case, 0)

    read_only = os.open(os.devnull, os.O_RDONLY)
    os.dup2(read_only, case.content._record._number)
    os.close(read_only)
    later = time.time_ns() + 2 * PROMISE  # so that the next write is recorded by itself
    with monkeypatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: later)
        fetch(case, 1, 2)
    assert list(case.content.have) == [0, 1, 2]
    case.drop_part()
    case.again()
    assert set(believed(case)) <= ({0} if case.info.files[-1].length == 3 else set())


def test_finished_files_are_believed_by_the_next_run(case: Case) -> None:
    begin(case)
    fetch(case, *range(case.info.geometry.piece_count))
    case.content.finish()
    content = case.again()
    assert content.trusted_pieces(content.find_finished().stored()).all()
    index = largest(case)
    path = case.folder.joinpath(*case.info.files[index].path)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    missing = set(content.trusted_pieces(content.find_finished().stored()).missing())
    assert missing == pieces_of(case, index)


def test_nothing_is_written_while_nothing_happens(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(case)
    fetch(case, 0)
    before = (case.folder / "N.resume").stat()
    assert case.content.have.count == 1
    after = (case.folder / "N.resume").stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
