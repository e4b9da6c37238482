"""A part file leaves other files alone, and other nodes leave it alone."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.errors import FileFault
from common.metainfo import Metainfo
from node.content import atomic_rename
from node.content.part_file import PartFile
from node.content.shared_file import SharedFile

SIZE = 100_000
ROOT = Path(__file__).parents[3]

MakeMetainfo = Callable[..., Metainfo]
Raising = Callable[[int], Callable[..., Any]]

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX file systems only")


@pytest.mark.parametrize("size", [1, SIZE - 1, SIZE + 1])
def test_a_part_of_another_torrent_is_refused_untouched(
    tmp_path: Path, size: int, metainfo_of: MakeMetainfo
) -> None:
    (tmp_path / "x.bin.part").write_bytes(b"!" * size)
    with pytest.raises(FileFault, match="belongs to another torrent; move it away"):
        PartFile.open(tmp_path, metainfo_of())
    assert (tmp_path / "x.bin.part").read_bytes() == b"!" * size


def test_a_part_that_is_still_empty_is_gone_on_with(tmp_path: Path, metainfo_of: MakeMetainfo) -> None:
    """As a crash leaves it between making it and making it large."""
    (tmp_path / "x.bin.part").touch()
    PartFile.open(tmp_path, metainfo_of()).close()
    assert (tmp_path / "x.bin.part").stat().st_size == SIZE


def test_an_existing_file_is_refused_at_the_start(tmp_path: Path, metainfo_of: MakeMetainfo) -> None:
    (tmp_path / "x.bin").write_bytes(b"mine")
    with pytest.raises(FileFault, match="x.bin exists; it is not overwritten"):
        PartFile.open(tmp_path, metainfo_of())
    assert not (tmp_path / "x.bin.part").exists()


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_an_existing_file_is_never_overwritten_at_the_end(
    part: PartFile, monkeypatch: pytest.MonkeyPatch, links: bool, raising: Raising
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", raising(errno.EPERM))
    part.write(0, [b"ours"])
    part.final_path.write_bytes(b"theirs")
    with pytest.raises(FileFault, match="x.bin exists; it is not overwritten, x.bin.part is kept"):
        part.finish()
    assert part.final_path.read_bytes() == b"theirs"
    assert part.path.read_bytes()[:4] == b"ours"


@posix
@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_finishing_without_hard_links(
    part: PartFile, monkeypatch: pytest.MonkeyPatch, number: int, raising: Raising
) -> None:
    monkeypatch.setattr(os, "link", raising(number))
    part.write(0, [b"ours"])
    assert part.finish().read_bytes()[:4] == b"ours"
    assert not part.path.exists()


@posix
@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_of_many_who_place_at_once_one_wins_and_all_others_keep_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool, raising: Raising
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", raising(errno.EPERM))
    for turn in range(20):
        target = tmp_path / f"target{turn}"
        sources = [tmp_path / f"source{turn}.{number}" for number in range(4)]
        for source in sources:
            source.write_text(source.name, encoding="utf-8")
        barrier = threading.Barrier(len(sources))
        refused: list[Path] = []

        def compete(
            source: Path,
            target: Path = target,
            barrier: threading.Barrier = barrier,
            refused: list[Path] = refused,
        ) -> None:
            barrier.wait()
            try:
                atomic_rename.rename_exclusive(source, target)
            except FileExistsError:
                refused.append(source)

        threads = [threading.Thread(target=compete, args=(source,)) for source in sources]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 3
        assert all(source.read_text(encoding="utf-8") == source.name for source in refused)
        (winner,) = set(sources) - set(refused)
        assert target.read_text(encoding="utf-8") == winner.name and not winner.exists()


@posix
def test_a_link_to_nothing_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "x.bin").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileFault, match=r"x\.bin is a link that leads to no file"):
        SharedFile.open(tmp_path / "x.bin")


@posix
def test_a_link_that_appears_at_the_last_moment_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metainfo_of: MakeMetainfo
) -> None:
    (tmp_path / "x.bin.part").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr(os.path, "lexists", lambda path: False)
    with pytest.raises(FileFault, match="is a link"):
        PartFile.open(tmp_path, metainfo_of())
    assert not (tmp_path / "elsewhere").exists()


@posix
def test_what_is_no_plain_file_is_refused(tmp_path: Path, metainfo_of: MakeMetainfo) -> None:
    os.mkfifo(tmp_path / "x.bin.part")
    with pytest.raises(FileFault, match="no plain file"):
        PartFile.open(tmp_path, metainfo_of())
    (tmp_path / "y.bin.part").mkdir()
    with pytest.raises(FileFault, match="is a folder"):
        PartFile.open(tmp_path, metainfo_of(name="y.bin"))


def test_the_same_part_is_not_opened_twice(part: PartFile, tmp_path: Path, metainfo_of: MakeMetainfo) -> None:
    with pytest.raises(FileFault, match="in use by another download"):
        PartFile.open(tmp_path, metainfo_of())
    part.write(0, [b"still mine"])


def test_another_process_does_not_open_it_either(tmp_path: Path, metainfo_of: MakeMetainfo) -> None:
    program = (
        "import sys, pathlib; from node.content.part_file import PartFile\n"
        "from common.errors import FileFault; from common.metainfo import *\n"
        "metainfo = decode_metainfo(encode_metainfo('x.bin', 0, 1, b'', ''))\n"
        "try: PartFile.open(pathlib.Path(sys.argv[1]), metainfo)\n"
        "except FileFault as fault: print(fault)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    part = PartFile.open(tmp_path, metainfo_of(0))
    held = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60, check=True)
    part.close()
    free = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60, check=True)
    assert "in use by another download" in held.stdout
    assert free.stdout == ""


@posix
def test_a_part_that_was_just_finished_is_not_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metainfo_of: MakeMetainfo
) -> None:
    """Opened by its old name, then renamed by the node that finished it: writing would change a finished
    file."""
    part = PartFile.open(tmp_path, metainfo_of())
    real = os.open

    def open_then_lose(path: Path, *arguments: Any) -> int:
        number = real(path, *arguments)
        monkeypatch.undo()
        part.finish()
        return number

    monkeypatch.setattr(os, "open", open_then_lose)
    with pytest.raises(FileFault, match="just finished"):
        PartFile.open(tmp_path, metainfo_of())
    assert (tmp_path / "x.bin").stat().st_size == SIZE


@posix
def test_an_end_between_the_two_steps_of_placing_is_made_good(tmp_path: Path) -> None:
    source, target = tmp_path / "x.bin.part", tmp_path / "x.bin"
    source.write_bytes(b"content")
    os.link(source, target)  # and then kill -9
    atomic_rename.finish_rename(source, target)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.bin"]
    atomic_rename.finish_rename(source, target)  # nothing left to do
    assert target.read_bytes() == b"content"


def test_a_part_that_is_another_file_is_left_alone(tmp_path: Path) -> None:
    source, target = tmp_path / "x.bin.part", tmp_path / "x.bin"
    source.write_bytes(b"content")
    target.write_bytes(b"content")
    atomic_rename.finish_rename(source, target)
    assert source.exists() and target.exists()
