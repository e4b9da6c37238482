"""The obligations of ``node.content.base.Content``, for one file and for folders: the same tests for all."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from common.errors import FileFault
from node.content.base import Content
from node.content.store import ContentStore
from node.download.checking import check_existing
from tests.node.content.content_case import FOLDERS, Case, expected, tree


@pytest.fixture(params=list(FOLDERS), ids=str)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    made = Case(FOLDERS[request.param], tmp_path)
    yield made
    made.content.close()
    made.open_files.close()


def test_it_is_a_content(case: Case) -> None:
    content: Content = case.content
    assert content.have.count == 0


def test_from_the_first_byte_to_the_finished_files(case: Case, tmp_path: Path) -> None:
    case.fill()
    assert case.content.path == tmp_path / "N.part" and not case.content.is_finished
    assert case.content.finish() == tmp_path / "N" == case.content.path
    assert case.content.is_finished and case.content.is_satisfied and case.content.have.all()
    assert tree(tmp_path) == expected(case.info, case.data)
    assert case.read(5, len(case.data)) == case.data[5:]
    case.content.check_unchanged()


def test_any_range_in_any_order(case: Case) -> None:
    case.content.open_part()
    size, rng = len(case.data), Random(8)
    cuts = sorted({0, size, *(rng.randrange(size) for _ in range(20))})
    ranges = list(zip(cuts, cuts[1:], strict=False))
    rng.shuffle(ranges)
    for start, end in ranges:
        middle = (start + end) // 2
        case.content.write(start, [case.data[start:middle], memoryview(case.data)[middle:end]])
        assert case.read(start, end) == case.data[start:end]
    assert case.read(0, size) == case.data


def test_bytes_that_were_never_written_are_zeros_and_holes(case: Case) -> None:
    part = case.content.open_part()
    assert case.read(0, len(case.data)) == bytes(len(case.data))
    if hasattr(os, "SEEK_DATA"):
        assert part.is_hole(0, len(case.data)) and not part.is_hole(5, 5)


def test_ranges_outside(case: Case) -> None:
    case.content.open_part()
    size = len(case.data)
    for start, end in ((-1, 1), (size, size + 1), (0, size + 1)):
        with pytest.raises(ValueError):
            case.read(start, end)
        with pytest.raises(ValueError):
            case.content.write(start, [bytes(end - start)])
    case.read(size, size)


def test_the_next_run_finds_the_right_pieces(case: Case) -> None:
    case.content.open_part()
    case.content.write(0, [case.data])
    wrong = case.info.geometry.piece_count - 1
    start, end = case.info.geometry.piece_range(wrong)
    case.content.write(end - 1, [bytes([case.data[end - 1] ^ 1])])
    case.again()
    assert list(case.check().missing()) == [wrong]
    case.content.write(start, [case.data[start:end]])
    case.content.mark_verified(wrong)
    case.content.finish()
    assert tree(case.folder) == expected(case.info, case.data)


def test_finished_files_are_adopted_by_the_next_run(case: Case) -> None:
    case.fill()
    case.content.finish()
    content = case.again()
    assert content.is_in_place
    files = content.find_finished()
    assert check_existing(files, case.info, 1, lambda done, size: None, threading.Event()).all()
    content.adopt_files(files)
    assert content.is_finished and case.read(0, len(case.data)) == case.data
    sender, receiver = socket.socketpair()
    with sender, receiver:
        sender.settimeout(10)
        sent, got = 0, b""
        while sent < len(case.data):
            sent += content.send_to(sender, sent, min(len(case.data) - sent, 9_999))
            while len(got) < sent:
                got += receiver.recv(1 << 16)
    assert got == case.data


def test_a_download_in_another_process_is_kept_out(case: Case) -> None:
    case.content.open_part()
    other = ContentStore(case.info, case.folder, case.open_files)
    with pytest.raises(FileFault, match="in use by another download"):
        other.open_part()


def test_nothing_is_replaced_at_the_end(case: Case, tmp_path: Path) -> None:
    case.fill()
    entry = case.info.files[-1]
    path = tmp_path.joinpath(*entry.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"mine")
    with pytest.raises(FileFault, match="not overwritten"):
        case.content.finish()
    assert path.read_bytes() == b"mine"


def test_a_finished_file_that_changes_is_noticed(case: Case, tmp_path: Path) -> None:
    case.fill()
    case.content.finish()
    entry = max(case.info.files, key=lambda entry: entry.length * (not entry.padding))
    path = tmp_path.joinpath(*entry.path)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))
    with pytest.raises(FileFault, match="changed"):
        case.content.check_unchanged()
    with pytest.raises(FileFault, match="changed"):
        case.read(0, len(case.data))


def test_closed_content_fails_and_keeps_its_bytes(case: Case) -> None:
    case.fill()
    case.content.close()
    assert case.content.have.count == 0
    with pytest.raises(FileFault):
        case.read(0, 1)
    with pytest.raises(FileFault):
        case.content.write(0, [b"x"])
    case.again()
    assert case.check().all()


def test_readers_go_on_while_the_content_is_finished(case: Case) -> None:
    case.fill()
    stop, failures = threading.Event(), []

    def read_on() -> None:
        while not stop.is_set():
            try:
                assert case.read(0, len(case.data)) == case.data
            except BaseException as error:
                failures.append(error)
                return
            stop.wait(0.001)  # let the interpreter run the thread that finishes

    threads = [threading.Thread(target=read_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    case.content.finish()
    case.read(0, 9)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert failures == []


def test_open_descriptors_are_bounded(tmp_path: Path) -> None:
    case = Case([(f"d{number % 7}/f{number}", 300) for number in range(2_000)], tmp_path)
    before = len(os.listdir("/dev/fd"))
    case.fill()
    assert len(os.listdir("/dev/fd")) <= before + 20
    case.content.finish()
    assert case.read(0, len(case.data)) == case.data
    assert len(os.listdir("/dev/fd")) <= before + 70
    assert tree(tmp_path) == expected(case.info, case.data)
    case.open_files.close()


def test_a_piece_whose_neighbours_share_its_blocks_is_a_hole(tmp_path: Path) -> None:
    """Pieces of a folder begin anywhere in a file. A neighbour's bytes in the same block are not its own."""
    if not hasattr(os, "SEEK_DATA"):
        pytest.skip("this system does not tell holes")
    case = Case([("a", 5_000), ("b", 80_000), ("c", 10)], tmp_path)
    part = case.content.open_part()
    for piece in (0, 2):
        start, end = case.info.geometry.piece_range(piece)
        case.content.write(start, [case.data[start:end]])
    holes = [part.is_hole(*case.info.geometry.piece_range(piece)) for piece in range(6)]
    assert holes == [False, True, False, True, True, True]
    case.content.close()
    case.open_files.close()
