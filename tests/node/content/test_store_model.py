"""A folder's content against a plain model: bytes, places, selection, restarts, in any order.

Drawn values and the choice of rules depend on the model alone, so each run is the same.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from common.bitfield import Bitfield
from node.content.part_folder import PartFolder
from tests.node.content.content_case import FOLDERS, LENGTH, Case

FILES: list[tuple[str | None, int]] = [
    ("a", 20_000),
    ("sub/b", 7),
    ("empty", 0),
    ("sub/c", 30_000),
    (None, 9_145),
    ("d", 16_384),
    ("e/f/g", 1),
    ("e/f/h", 40_000),
]
STORED = [index for index, (name, _) in enumerate(FILES) if name is not None]
PIECES = 8


class FolderMachine(RuleBasedStateMachine):
    """``self.verified``: the pieces that were written right and marked; the bytes of all are known."""

    def __init__(self) -> None:
        super().__init__()
        shm = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(dir=shm if shm.is_dir() else None))
        self.case = Case(FILES, self.folder)
        assert self.case.info.geometry.piece_count == PIECES
        self.verified: set[int] = set()
        self.selected = set(STORED)
        self.done: set[int] = set()  # files that got their final names

    def teardown(self) -> None:
        self.case.content.close()
        self.case.open_files.close()
        shutil.rmtree(self.folder)

    @initialize(numbers=st.sets(st.integers(1, len(STORED)), min_size=1))
    def begin(self, numbers: set[int]) -> None:
        self._select(numbers)
        self._open()

    def _select(self, numbers: set[int]) -> None:
        self.case.content.select(numbers)
        self.selected = {STORED[number - 1] for number in numbers}

    def _open(self, exactly: bool = True) -> None:
        content = self.case.content
        if content.is_in_place:
            files = content.find_finished()
            assert content.trusted_pieces(files.stored()).all()
            content.adopt_files(files, record=True)
            return
        part = content.open_part()
        assert set(content.trusted) <= self.verified
        assert not exactly or set(content.trusted) == self.verified
        held = content.trusted.copy()
        for piece in self.verified:
            held.set(piece)  # hashing finds it
        content.set_verified(held)
        content.keep_record(part.stored())

    def _missing(self) -> list[int]:
        """The pieces of selected files that were not fetched yet."""
        wanted: set[int] = set()
        start = 0
        for index, (_, length) in enumerate(FILES):
            if index in self.selected and length:
                wanted |= set(range(start // LENGTH, (start + length - 1) // LENGTH + 1))
            start += length
        return sorted(wanted - self.verified)

    def _is_finished(self) -> bool:
        return self.done == set(STORED)

    @precondition(lambda self: self._missing())
    @rule(choice=st.integers(0, PIECES - 1), part=st.integers(0, LENGTH))
    def fetch(self, choice: int, part: int) -> None:
        missing = self._missing()
        piece = missing[choice % len(missing)]
        start, end = self.case.info.geometry.piece_range(piece)
        middle = min(start + part, end)
        for first, last in ((middle, end), (start, middle)):
            self.case.content.write(first, [self.case.data[first:last]])
        self.case.content.mark_verified(piece)
        self.verified.add(piece)

    @precondition(lambda self: self._missing())
    @rule(choice=st.integers(0, PIECES - 1))
    def write_wrong_bytes(self, choice: int) -> None:
        missing = self._missing()
        start, end = self.case.info.geometry.piece_range(missing[choice % len(missing)])
        self.case.content.write(start, [bytes(end - start)])

    @precondition(lambda self: not self._is_finished())
    @rule(numbers=st.sets(st.integers(1, len(STORED)), min_size=1))
    def select(self, numbers: set[int]) -> None:
        self._select(numbers)

    @precondition(lambda self: not self._missing() and not self._is_finished())
    @rule()
    def finish(self) -> None:
        self.case.content.finish()
        self.done |= self.selected
        assert self.case.content.is_satisfied
        if not self.case.content.is_finished:
            self.case.content.keep_record()

    @rule(all_again=st.booleans(), how=st.sampled_from(["closed", "killed", "killed while it writes"]))
    def restart(self, all_again: bool, how: str) -> None:
        selected = {STORED.index(file) + 1 for file in self.selected}
        if how == "closed":
            self.case.again()
        else:
            self.case.kill(settled=how == "killed")
        self._select(set(range(1, len(STORED) + 1)) if all_again else selected)
        self._open(exactly=how != "killed while it writes")

    @invariant()
    def it_knows_what_is_left(self) -> None:
        content = self.case.content
        assert sorted(set(content.wanted) - self.verified) == self._missing()
        assert content.has_wanted == (not self._missing())
        assert content.is_finished == self._is_finished()

    @invariant()
    def verified_pieces_read_right(self) -> None:
        assert set(self.case.content.have) == self.verified
        for piece in self.verified:
            start, end = self.case.info.geometry.piece_range(piece)
            assert self.case.read(start, end) == self.case.data[start:end]

    @invariant()
    def finished_files_are_right_and_nothing_else_is_there(self) -> None:
        start, expected = 0, {}
        for index, entry in enumerate(self.case.info.files):
            if index in self.done:
                expected["/".join(entry.path[1:])] = self.case.data[start : start + entry.length]
            start += entry.length
        folder = self.folder / "N"
        here = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        assert here == expected

    @invariant()
    def nothing_is_left_behind(self) -> None:
        names = set(os.listdir(self.folder))
        assert names <= {"N", "N.part", "N.side", "N.resume"}
        if self.case.content.is_finished:
            assert "N.part" not in names and "N.side" not in names


FolderMachine.TestCase.settings = settings(stateful_step_count=25)
TestFolderMachine = FolderMachine.TestCase


def test_a_file_that_is_not_selected_is_not_created(tmp_path: Path) -> None:
    case = Case(FILES, tmp_path)
    case.content.select({1})
    part = case.content.open_part()
    assert isinstance(part, PartFolder)
    case.content.keep_record(part.stored())
    assert list(case.content.wanted) == [0, 1]
    for piece in (0, 1):
        start, end = case.info.geometry.piece_range(piece)
        case.content.write(start, [case.data[start:end]])
        case.content.mark_verified(piece)
    case.content.finish()
    assert case.content.is_satisfied and not case.content.is_finished
    assert [path.name for path in (tmp_path / "N").rglob("*")] == ["a"]
    assert (tmp_path / "N.side").stat().st_size < 2 * 16_384 + 100
    assert case.read(0, 2 * 16_384) == case.data[: 2 * 16_384]
    case.content.close()
    assert not (tmp_path / "N.part").exists()
    case.open_files.close()


def test_sizes_are_those_of_the_selected_files(tmp_path: Path) -> None:
    case = Case(FOLDERS["a folder"], tmp_path)
    content, have = case.content, Bitfield(case.info.geometry.piece_count)
    assert content.selected_size == case.info.size
    content.select({2, 3})
    assert (content.selected_size, content.selected_verified) == (9_001, 0)
    have.set(0)
    have.set(2)  # the bytes from 32_768 to 49_152
    content.set_verified(have)
    assert content.selected_verified == 9_001
    content.select({1})
    assert (content.selected_size, content.selected_verified) == (40_000, LENGTH + 40_000 - 2 * LENGTH)
    content.select(None)
    assert content.selected_verified == content.verified_size


def test_a_file_selected_at_the_last_moment_is_not_finished_with_the_others(tmp_path: Path) -> None:
    case = Case(FILES, tmp_path)
    case.content.select({1})
    case.content.open_part()
    for piece in (0, 1):
        start, end = case.info.geometry.piece_range(piece)
        case.content.write(start, [case.data[start:end]])
        case.content.mark_verified(piece)
    case.content.select({1, 4})
    case.content.finish()
    assert not case.content.is_satisfied
    assert [path.name for path in (tmp_path / "N").rglob("*")] == ["a"]
    case.content.close()
    case.open_files.close()
