"""An unfinished folder among links, other programs and bad disks: nothing leaves it or is overwritten."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import DiskFull, FileFault
from node.content.finished_files import FinishedFiles
from node.content.part_folder import PartFolder
from tests.node.content.content_case import LENGTH, Case, expected, tree

FILES: list[tuple[str | None, int]] = [("a", 40_000), ("sub/b", 20_000), ("sub/deep/c", 9_000), ("z", 3)]

Raising = Callable[[int], Callable[..., Any]]
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX file systems only")


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    folder = tmp_path / "downloads"
    folder.mkdir()
    made = Case(FILES, folder)
    yield made
    made.content.close()
    made.open_files.close()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder that belongs to the user."""
    folder = tmp_path / "outside"
    (folder / "deep").mkdir(parents=True)
    (folder / "b").write_bytes(b"private")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@posix
@pytest.mark.parametrize("where", ["sub", "sub/deep"])
def test_a_link_inside_leads_nowhere(case: Case, outside: Path, where: str) -> None:
    before = contents(outside)
    link = case.folder / "N.part" / where
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    with pytest.raises(FileFault, match="a link or a file is in the way"):
        case.fill()
    assert contents(outside) == before


@posix
def test_a_link_that_appears_meanwhile_leads_nowhere(case: Case, outside: Path) -> None:
    before = contents(outside)
    case.content.open_part()
    (case.folder / "N.part" / "sub").symlink_to(outside)
    with pytest.raises(FileFault, match="a link or a file is in the way"):
        case.content.write(0, [case.data])
    assert contents(outside) == before


@posix
def test_a_link_in_the_place_of_a_file(case: Case, outside: Path) -> None:
    part = case.folder / "N.part"
    part.mkdir()
    (part / "a").symlink_to(outside / "b")
    with pytest.raises(FileFault, match="a link or a file is in the way"):
        case.fill()
    assert (outside / "b").read_bytes() == b"private"


@posix
def test_a_hard_link_to_a_file_outside(case: Case, outside: Path) -> None:
    part = case.folder / "N.part"
    part.mkdir()
    (outside / "large").write_bytes(bytes(40_000))
    os.link(outside / "large", part / "a")
    with pytest.raises(FileFault, match="is also another file"):
        case.fill()
    assert (outside / "large").read_bytes() == bytes(40_000)


@posix
def test_a_pipe_in_the_place_of_a_file(case: Case) -> None:
    part = case.folder / "N.part"
    part.mkdir()
    os.mkfifo(part / "a")
    with pytest.raises(FileFault):
        case.fill()


@posix
def test_the_part_itself_is_a_link(case: Case, outside: Path) -> None:
    (case.folder / "N.part").symlink_to(outside)
    with pytest.raises(FileFault, match="a link or a file is in the way"):
        case.content.open_part()
    assert sorted(contents(outside)) == ["b"]


def test_the_part_is_a_file(case: Case) -> None:
    (case.folder / "N.part").write_bytes(b"mine")
    with pytest.raises(FileFault):
        case.content.open_part()
    assert (case.folder / "N.part").read_bytes() == b"mine"


@posix
def test_finished_files_are_not_read_through_links(case: Case, outside: Path) -> None:
    case.fill()
    case.content.finish()
    real = case.folder / "N" / "sub"
    shutil.move(real, outside / "moved")
    real.symlink_to(outside / "moved")
    with pytest.raises(FileFault, match="a link or a file is in the way"):
        FinishedFiles.find(case.info, case.folder / "N", case.open_files)
    with pytest.raises(FileFault, match="a link or a file is in the way"):
        case.read(40_000, 40_010)


@pytest.mark.parametrize("change", ["deleted", "replaced", "shorter"])
def test_a_file_that_another_program_changes_is_not_finished(case: Case, change: str) -> None:
    case.fill()
    path = case.folder / "N.part" / "a"
    if change == "deleted":
        path.unlink()
    elif change == "replaced":
        path.rename(case.folder / "kept")
        path.write_bytes(bytes(40_000))
    else:
        os.truncate(path, 5)
        case.content._part.parts._open.clear()  # type: ignore[union-attr]  # as if many files were used since
    with pytest.raises(FileFault, match=f"was {change} while|became shorter"):
        case.content.finish()
    assert not (case.folder / "N").exists()


def test_a_file_of_another_length_is_left_alone(case: Case) -> None:
    path = case.folder / "N.part" / "a"
    path.parent.mkdir()
    path.write_bytes(b"mine")
    with pytest.raises(FileFault, match="has 4 bytes, not 40000: move it away"):
        case.fill()
    assert path.read_bytes() == b"mine"


def test_files_that_are_there_are_used_and_only_the_missing_ones_arrive(case: Case) -> None:
    """NAME has two of the files. The piece that they share with a missing file is fetched and compared."""
    for name, start, end in (("a", 0, 40_000), ("z", 69_000, 69_003)):
        path = case.folder / "N" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(case.data[start:end])
    assert not case.content.is_in_place
    assert list(case.check()) == [0, 1]
    for piece in range(2, case.info.geometry.piece_count):
        start, end = case.info.geometry.piece_range(piece)
        case.content.write(start, [case.data[start:end]])
        assert case.read(start, end) == case.data[start:end]
        case.content.mark_verified(piece)
    case.content.finish()
    assert tree(case.folder) == expected(case.info, case.data)


def test_a_file_that_is_there_and_is_another_one(case: Case) -> None:
    """Its first pieces are right. The last piece is fetched, and shows that the file differs."""
    path = case.folder / "N" / "a"
    path.parent.mkdir()
    path.write_bytes(case.data[:39_999] + b"!")
    assert list(case.check()) == [0, 1]
    case.content.write(2 * LENGTH, [case.data[2 * LENGTH : 3 * LENGTH]])
    with pytest.raises(FileFault, match="a exists and is another file; it is not overwritten"):
        case.content.mark_verified(2)
    assert path.read_bytes() == case.data[:39_999] + b"!"


def test_a_wrong_piece_inside_a_file_that_is_there(case: Case) -> None:
    path = case.folder / "N" / "a"
    path.parent.mkdir()
    path.write_bytes(bytes(40_000))
    with pytest.raises(FileFault, match="a exists and is another file"):
        case.check()


def test_a_file_of_the_name_of_the_folder(case: Case) -> None:
    (case.folder / "N").write_bytes(b"mine")
    with pytest.raises(FileFault, match="exists and is no folder; it is not overwritten"):
        case.content.open_part()


def test_a_process_that_ended_in_the_middle_of_moving_files(case: Case) -> None:
    """The file has both names: the second one goes."""
    case.fill()
    case.again()
    (case.folder / "N").mkdir()
    os.link(case.folder / "N.part" / "a", case.folder / "N" / "a")
    assert case.check().all()
    case.content.finish()
    assert tree(case.folder) == expected(case.info, case.data)
    assert not (case.folder / "N.part").exists()


def test_an_empty_folder_of_the_final_name_is_used(case: Case) -> None:
    (case.folder / "N").mkdir()
    case.fill()
    case.content.finish()
    assert tree(case.folder) == expected(case.info, case.data)


def test_a_side_file_of_another_torrent_is_left_alone(case: Case) -> None:
    (case.folder / "N.side").write_bytes(b"my other side")
    with pytest.raises(FileFault, match="belongs to another torrent; move it away"):
        case.content.open_part()
    assert (case.folder / "N.side").read_bytes() == b"my other side"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room(case: Case, monkeypatch: pytest.MonkeyPatch, number: int, raising: Raising) -> None:
    case.content.open_part()
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", raising(number))
        with pytest.raises(DiskFull) as caught:
            case.content.write(0, [case.data])
    assert str(caught.value) == f"no room left on {case.folder}; N.part is kept"
    case.content.write(0, [case.data])
    assert case.read(0, len(case.data)) == case.data


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.ENODEV])
def test_a_disk_that_fails(
    case: Case, monkeypatch: pytest.MonkeyPatch, number: int, raising: Raising
) -> None:
    case.content.open_part()
    case.content.write(0, [case.data[:LENGTH]])
    case.content.mark_verified(0)
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", raising(number))
        with pytest.raises(FileFault) as caught:
            case.content.write(LENGTH, [case.data[LENGTH:]])
    path = case.folder / "N.part" / "a"
    assert str(caught.value) == f"{path} cannot be written: {os.strerror(number)}"
    assert list(case.content.have) == [0]


def test_a_read_only_disk(case: Case, monkeypatch: pytest.MonkeyPatch, raising: Raising) -> None:
    monkeypatch.setattr(os, "mkdir", raising(errno.EROFS))
    with pytest.raises(FileFault, match=r"N.part cannot be written: Read-only file system"):
        case.content.open_part()


def test_a_folder_that_was_deleted_in_the_middle(case: Case) -> None:
    case.content.open_part()
    case.content.write(0, [case.data[:LENGTH]])
    shutil.rmtree(case.folder / "N.part")
    with pytest.raises(FileFault, match="cannot be written: No such file or directory"):
        case.content.write(50_000, [case.data[50_000:]])
    for piece in range(case.info.geometry.piece_count):
        case.content.mark_verified(piece)
    with pytest.raises(FileFault, match="was deleted while it was downloaded"):
        case.content.finish()


def test_a_fault_that_somebody_keeps_does_not_keep_the_lock(case: Case) -> None:
    part = case.folder / "N.part"
    case.content.open_part()
    (part / "a").symlink_to("elsewhere")
    with pytest.raises(FileFault, match="a link or a file is in the way") as kept:
        case.content.write(0, [case.data[:LENGTH]])
    case.content.close()
    (part / "a").unlink()
    case.content.open_part()
    assert kept.value.__traceback__ is not None


def test_a_part_that_could_not_be_opened_is_not_locked(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = case.folder / "N" / "a"
    wrong.parent.mkdir()
    wrong.write_bytes(b"of another length")
    with pytest.raises(FileFault, match="another file") as kept:
        case.content.open_part()
    wrong.unlink()

    def fail(part: PartFolder, selected: object) -> None:
        raise DiskFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr(PartFolder, "select", fail)
        with pytest.raises(DiskFull) as also_kept:
            case.content.open_part()
    case.content.open_part()
    assert kept.value.__traceback__ is not None and also_kept.value.__traceback__ is not None
