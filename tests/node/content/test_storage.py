"""Part files and shared files: every byte in its place, nobody else's file touched, every fault named."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from common.errors import DiskFull, FileFault, MetainfoError
from common.metainfo import Metainfo, decode_metainfo, encode_metainfo
from node.content import placing, positional
from node.content.storage import PartFile, SharedFile

SIZE = 100_000
ROOT = Path(__file__).parents[3]

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX file systems only")


def metainfo_of(size: int = SIZE, name: str = "x.bin") -> Metainfo:
    piece_length = 32 << 10
    return decode_metainfo(
        encode_metainfo(name, size, piece_length, bytes(20 * -(-size // piece_length)), "")
    )


@pytest.fixture(params=["positional", "with a lock"])
def any_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of reading and writing at an offset."""
    if request.param == "with a lock":
        monkeypatch.setattr(positional, "HAS_POSITIONAL", False)
    elif not positional.HAS_POSITIONAL:
        pytest.skip("this system has no pread and pwrite")


@pytest.fixture
def part(any_system: None, tmp_path: Path) -> Iterator[PartFile]:
    opened = PartFile.open(tmp_path, metainfo_of())
    yield opened
    opened.close()


def read(file: PartFile | SharedFile, start: int, end: int) -> bytes:
    buffer = bytearray(end - start)
    assert file.read_into(start, memoryview(buffer)) == end - start
    return bytes(buffer)


def raising(number: int) -> Callable[..., Any]:
    def call(*arguments: object, **named: object) -> Any:
        raise OSError(number, os.strerror(number))

    return call


# A part file


def test_a_new_part_is_as_large_as_the_content_and_zero(part: PartFile, tmp_path: Path) -> None:
    assert part.path == tmp_path / "x.bin.part" and part.final_path == tmp_path / "x.bin"
    assert part.path.stat().st_size == SIZE
    assert read(part, 0, SIZE) == bytes(SIZE)


def test_what_is_written_in_any_order_and_shape_is_there(part: PartFile) -> None:
    content = Random(1).randbytes(SIZE)
    offsets = [*range(0, SIZE, 7_216)]
    Random(2).shuffle(offsets)
    for number, offset in enumerate(offsets):
        segment = memoryview(content)[offset : offset + 7_216]
        shapes: list[list[positional.Buffer]] = [
            [segment],
            [segment[:10], segment[10:]],
            [bytes(segment[:1]), bytearray(segment[1:]), b""],
        ]
        part.write(offset, shapes[number % 3])
    assert read(part, 0, SIZE) == content
    assert read(part, 77, 99_001) == content[77:99_001]
    assert part.finish().read_bytes() == content


def test_more_buffers_than_the_system_takes_at_once(part: PartFile) -> None:
    content = Random(3).randbytes(5_000)
    part.write(100, [content[at : at + 2] for at in range(0, 5_000, 2)])
    assert read(part, 100, 5_100) == content
    part.write(0, [])
    assert read(part, 100, 5_100) == content


def test_short_writes_are_completed(part: PartFile, monkeypatch: pytest.MonkeyPatch) -> None:
    content = Random(4).randbytes(1_000)
    real_pwrite, real_write = os.pwrite, os.write
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real_pwrite(fd, bytes(data)[:7], offset))
    monkeypatch.setattr(
        os, "pwritev", lambda fd, group, offset: real_pwrite(fd, b"".join(group)[:333], offset)
    )
    monkeypatch.setattr(os, "write", lambda fd, data: real_write(fd, bytes(data)[:7]))
    part.write(10, [content])
    part.write(5_000, [content[:300], content[300:600], b"", content[600:]])
    monkeypatch.undo()
    assert read(part, 10, 1_010) == content
    assert read(part, 5_000, 6_000) == content
    assert read(part, 6_000, 7_000) == bytes(1_000)


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (SIZE, 1), (SIZE - 1, 2), (1 << 60, 1)])
def test_nothing_is_written_or_read_outside(part: PartFile, offset: int, length: int) -> None:
    with pytest.raises(ValueError, match="range"):
        part.write(offset, [bytes(length)])
    with pytest.raises(ValueError, match="range"):
        part.read_into(offset, memoryview(bytearray(length)))
    assert part.path.stat().st_size == SIZE


def test_threads_write_and_read_side_by_side(part: PartFile) -> None:
    content = Random(5).randbytes(SIZE)
    wrong: list[int] = []

    def work(first: int) -> None:
        for start in range(first * 500, SIZE, 2_000):
            part.write(start, [content[start : start + 200], content[start + 200 : start + 500]])
            if read(part, start, start + 500) != content[start : start + 500]:
                wrong.append(start)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert part.finish().read_bytes() == content


def test_closing_keeps_the_part_and_opening_goes_on(any_system: None, tmp_path: Path) -> None:
    part = PartFile.open(tmp_path, metainfo_of())
    part.write(50_000, [b"so far"])
    part.close()
    part.close()
    again = PartFile.open(tmp_path, metainfo_of())
    assert read(again, 50_000, 50_006) == b"so far"
    again.close()


def test_after_closing_every_call_is_a_fault(part: PartFile) -> None:
    part.close()
    for call in (
        lambda: part.write(0, [b"x"]),
        lambda: read(part, 0, 1),
        lambda: part.is_hole(0, 1),
        part.finish,
    ):
        with pytest.raises(FileFault, match="x.bin.part"):
            call()


@pytest.mark.skipif(not positional.HAS_POSITIONAL, reason="this system has no pread and pwrite")
def test_a_write_under_way_keeps_the_descriptor_from_being_another_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = PartFile.open(tmp_path, metainfo_of())
    real = os.pwrite
    others: list[int] = []

    def pwrite(number: int, data: bytes, offset: int) -> int:
        part.close()
        others.append(os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT))
        return real(number, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    part.write(0, [b"mine"])
    os.close(others[0])
    assert (tmp_path / "other").read_bytes() == b""
    assert part.path.read_bytes()[:4] == b"mine"


def test_an_empty_file(any_system: None, tmp_path: Path) -> None:
    part = PartFile.open(tmp_path, metainfo_of(0))
    part.write(0, [b""])
    assert read(part, 0, 0) == b"" and not part.is_hole(0, 0)
    assert part.finish().read_bytes() == b""
    assert not part.path.exists()


def test_holes_are_known_where_the_system_knows_them(tmp_path: Path) -> None:
    part = PartFile.open(tmp_path, metainfo_of(64 << 20))
    part.write(32 << 20, [b"data"])
    try:
        assert not part.is_hole(0, 64 << 20)
        assert not part.is_hole(32 << 20, (32 << 20) + 1)
        if not part.is_hole(0, 1 << 20):
            pytest.skip("this file system does not tell holes")
        assert part.is_hole(48 << 20, 64 << 20)
    finally:
        part.close()


def test_a_folder_torrent_is_refused(tmp_path: Path) -> None:
    files = b"d4:infod5:filesld6:lengthi0e4:pathl1:aeee4:name1:x12:piece lengthi1e6:pieces0:ee"
    with pytest.raises(MetainfoError, match="folder"):
        PartFile.open(tmp_path, decode_metainfo(files))


# Other files are left alone


@pytest.mark.parametrize("size", [1, SIZE - 1, SIZE + 1])
def test_a_part_of_another_torrent_is_refused_untouched(tmp_path: Path, size: int) -> None:
    (tmp_path / "x.bin.part").write_bytes(b"!" * size)
    with pytest.raises(FileFault, match="belongs to another torrent; move it away"):
        PartFile.open(tmp_path, metainfo_of())
    assert (tmp_path / "x.bin.part").read_bytes() == b"!" * size


def test_an_existing_file_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"mine")
    with pytest.raises(FileFault, match="x.bin exists; it is not overwritten"):
        PartFile.open(tmp_path, metainfo_of())
    assert not (tmp_path / "x.bin.part").exists()


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_an_existing_file_is_never_overwritten_at_the_end(
    part: PartFile, monkeypatch: pytest.MonkeyPatch, links: bool
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
def test_finishing_without_hard_links(part: PartFile, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(os, "link", raising(number))
    part.write(0, [b"ours"])
    assert part.finish().read_bytes()[:4] == b"ours"
    assert not part.path.exists()


@posix
@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_of_many_who_place_at_once_one_wins_and_all_others_keep_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
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
                placing.place(source, target)
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
@pytest.mark.parametrize("name", ["x.bin.part", "x.bin"])
def test_a_link_is_not_followed(tmp_path: Path, name: str) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"")
    (tmp_path / name).symlink_to(precious)
    with pytest.raises(FileFault, match="is a link|exists"):
        PartFile.open(tmp_path, metainfo_of())
    assert precious.read_bytes() == b""


@posix
def test_a_link_that_appears_at_the_last_moment_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.bin.part").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr(os.path, "lexists", lambda path: False)
    with pytest.raises(FileFault, match="is a link"):
        PartFile.open(tmp_path, metainfo_of())
    assert not (tmp_path / "elsewhere").exists()


@posix
def test_a_part_with_another_name_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(bytes(SIZE))
    os.link(tmp_path / "precious", tmp_path / "x.bin.part")
    with pytest.raises(FileFault, match="hard link"):
        PartFile.open(tmp_path, metainfo_of())


@posix
def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.bin.part")
    with pytest.raises(FileFault, match="no plain file"):
        PartFile.open(tmp_path, metainfo_of())
    (tmp_path / "y.bin.part").mkdir()
    with pytest.raises(FileFault, match="is a folder"):
        PartFile.open(tmp_path, metainfo_of(name="y.bin"))


def test_the_same_part_is_not_opened_twice(part: PartFile, tmp_path: Path) -> None:
    with pytest.raises(FileFault, match="in use by another download"):
        PartFile.open(tmp_path, metainfo_of())
    part.write(0, [b"still mine"])


def test_another_process_does_not_open_it_either(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from node.content.storage import PartFile\n"
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened by its old name, then renamed by whoever finished it: writing would change a finished file."""
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


# When the disk fails


@pytest.mark.parametrize("number", [errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)])
def test_no_room_while_writing(part: PartFile, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    for name in ("pwrite", "pwritev", "write"):
        monkeypatch.setattr(os, name, raising(number), raising=False)
    for buffers in ([b"x"], [b"x", b"y"]):
        with pytest.raises(DiskFull) as caught:
            part.write(0, buffers)
        assert str(caught.value) == f"no room left on {part.path.parent} for x.bin; x.bin.part is kept"
    monkeypatch.undo()
    part.write(0, [b"room again"])
    assert read(part, 0, 10) == b"room again"


def test_no_room_when_syncing_keeps_the_part(part: PartFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", raising(errno.ENOSPC))
    with pytest.raises(DiskFull):
        part.finish()
    assert part.path.exists() and not part.final_path.exists()


def test_other_failures_name_the_file(part: PartFile, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pwrite", "write"):
        monkeypatch.setattr(os, name, raising(errno.EIO), raising=False)
    with pytest.raises(FileFault, match="x.bin.part cannot be written") as caught:
        part.write(0, [b"x"])
    assert not isinstance(caught.value, DiskFull)


def test_a_fault_that_is_kept_does_not_keep_the_file_open(
    any_system: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = PartFile.open(tmp_path, metainfo_of())
    for name in ("pwrite", "write"):
        monkeypatch.setattr(os, name, raising(errno.ENOSPC), raising=False)
    with pytest.raises(DiskFull) as kept:
        part.write(0, [b"x"])
    part.close()
    PartFile.open(tmp_path, metainfo_of()).close()
    assert kept.value


def test_a_part_made_shorter_by_somebody_else(part: PartFile) -> None:
    os.truncate(part.path, 10)
    with pytest.raises(FileFault, match="shorter"):
        read(part, 0, 100)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileFault, match="no such file"):
        PartFile.open(tmp_path / "nowhere", metainfo_of())


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(FileFault, match="permission denied"):
            PartFile.open(tmp_path, metainfo_of())
    finally:
        tmp_path.chmod(0o700)


_ON_A_SMALL_DISK = """
import pathlib, sys
from common.errors import DiskFull
from common.metainfo import decode_metainfo, encode_metainfo
from node.content.storage import PartFile
folder = pathlib.Path(sys.argv[1])
part = PartFile.open(folder, decode_metainfo(encode_metainfo("x", 8 << 20, 8 << 20, bytes(20), "")))
segment, offset = b"s" * 61_440, 0
try:
    while True:
        part.write(offset, [segment])
        offset += len(segment)
except DiskFull as fault:
    print(fault)
part.close()
written = (folder / "x.part").read_bytes()
assert offset > 0 and written[:offset] == b"s" * offset and len(written) == 8 << 20
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or not shutil.which("unshare"), reason="needs unshare"
)
def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    mounted = f"mount -t tmpfs -o size=1m none '{tmp_path}'"
    small = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*small, mounted], capture_output=True, timeout=60).returncode:
        pytest.skip("this system gives users no mounts of their own")
    command = f"{mounted} && exec '{sys.executable}' -c \"$0\" '{tmp_path}'"
    ran = subprocess.run(
        [*small, command, _ON_A_SMALL_DISK], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60
    )
    assert ran.stderr == ""
    assert ran.stdout == f"no room left on {tmp_path} for x; x.part is kept\n"


# A shared file


@pytest.fixture
def shared(any_system: None, tmp_path: Path) -> Iterator[SharedFile]:
    path = tmp_path / "x.bin"
    path.write_bytes(Random(6).randbytes(SIZE))
    opened = SharedFile.open(path, SIZE)
    yield opened
    opened.close()


def change_times(path: Path) -> None:
    """As an editor that saves the same number of bytes, whatever the resolution of the file's times."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 2_000_000_000))


def test_any_range_of_a_shared_file(shared: SharedFile) -> None:
    content = shared.path.read_bytes()
    for start, end in [(0, SIZE), (0, 0), (SIZE, SIZE), (SIZE - 1, SIZE), (77, 61_517)]:
        assert read(shared, start, end) == content[start:end]
    shared.check_unchanged()


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (0, SIZE + 1), (SIZE, SIZE + 1)])
def test_nothing_outside_a_shared_file(shared: SharedFile, start: int, end: int) -> None:
    with pytest.raises(ValueError, match="range"):
        read(shared, start, end)


def test_content_that_changed_is_noticed_by_the_next_read(shared: SharedFile) -> None:
    with open(shared.path, "r+b") as file:
        file.write(b"changed")
    change_times(shared.path)
    with pytest.raises(FileFault, match="x.bin changed while it was shared"):
        read(shared, 50_000, 50_001)
    with pytest.raises(FileFault, match="changed"):
        shared.check_unchanged()


def test_a_file_that_grew_is_noticed(shared: SharedFile) -> None:
    with open(shared.path, "ab") as file:
        file.write(b"more")
    with pytest.raises(FileFault, match="changed"):
        read(shared, 0, 10)


def test_a_truncated_file_is_noticed(shared: SharedFile) -> None:
    os.truncate(shared.path, 1_000)
    with pytest.raises(FileFault, match="shorter"):
        read(shared, 900, 1_100)
    with pytest.raises(FileFault, match="changed"):
        read(shared, 0, 10)
    with pytest.raises(FileFault, match="changed"):
        shared.check_unchanged()


@posix
def test_a_file_that_vanished_is_noticed_and_what_is_read_is_still_right(shared: SharedFile) -> None:
    content = shared.path.read_bytes()
    shared.path.unlink()
    assert read(shared, 0, 100) == content[:100]
    with pytest.raises(FileFault, match="no such file"):
        shared.check_unchanged()


@posix
def test_a_file_that_was_replaced_is_noticed(shared: SharedFile) -> None:
    other = shared.path.with_name("other")
    shutil.copy2(shared.path, other)
    os.replace(other, shared.path)
    with pytest.raises(FileFault, match="replaced"):
        shared.check_unchanged()


def test_after_closing_reading_is_a_fault(shared: SharedFile) -> None:
    shared.close()
    shared.close()
    with pytest.raises(FileFault, match="closed"):
        read(shared, 0, 1)


def test_files_that_cannot_be_shared(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"four")
    for path, size, says in [
        (tmp_path / "missing", 4, "no such file"),
        (tmp_path, 4, "is a folder"),
        (tmp_path / "x", 5, "has 4 bytes; its torrent says 5"),
        (tmp_path / ("n" * 300), 4, "too long"),
    ]:
        with pytest.raises(FileFault, match=says):
            SharedFile.open(path, size)


@posix
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileFault, match="no plain file"):
        SharedFile.open(tmp_path / "pipe", 0)


def test_a_finished_download_is_shared_while_its_part_was_still_read(part: PartFile) -> None:
    part.write(0, [b"all there"])
    shared = SharedFile.open(part.finish(), SIZE)
    assert read(shared, 0, 9) == b"all there"
    shared.close()
