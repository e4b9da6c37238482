"""No room, no permission, no disk: a part file names the fault and keeps what it has."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.errors import DiskFull, FileFault
from common.metainfo import Metainfo
from node.content.part_file import PartFile
from tests.node.content.content_case import read

SIZE = 100_000
ROOT = Path(__file__).parents[3]

MakeMetainfo = Callable[..., Metainfo]
Raising = Callable[[int], Callable[..., Any]]


@pytest.mark.parametrize("number", [errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)])
def test_no_room_while_writing(
    part: PartFile, monkeypatch: pytest.MonkeyPatch, number: int, raising: Raising
) -> None:
    for name in ("pwrite", "pwritev", "write"):
        monkeypatch.setattr(os, name, raising(number), raising=False)
    for buffers in ([b"x"], [b"x", b"y"]):
        with pytest.raises(DiskFull) as caught:
            part.write(0, buffers)
        assert str(caught.value) == f"no room left on {part.path.parent}; x.bin.part is kept"
    monkeypatch.undo()
    part.write(0, [b"room again"])
    assert read(part, 0, 10) == b"room again"


def test_no_room_when_syncing_keeps_the_part(
    part: PartFile, monkeypatch: pytest.MonkeyPatch, raising: Raising
) -> None:
    monkeypatch.setattr(os, "fsync", raising(errno.ENOSPC))
    with pytest.raises(DiskFull):
        part.finish()
    assert part.path.exists() and not part.final_path.exists()


def test_other_failures_name_the_file(
    part: PartFile, monkeypatch: pytest.MonkeyPatch, raising: Raising
) -> None:
    for name in ("pwrite", "write"):
        monkeypatch.setattr(os, name, raising(errno.EIO), raising=False)
    with pytest.raises(FileFault, match="x.bin.part cannot be written") as caught:
        part.write(0, [b"x"])
    assert not isinstance(caught.value, DiskFull)


def test_a_fault_that_is_kept_does_not_keep_the_file_open(
    any_system: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    metainfo_of: MakeMetainfo,
    raising: Raising,
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


def test_a_missing_folder(tmp_path: Path, metainfo_of: MakeMetainfo) -> None:
    with pytest.raises(FileFault, match="no such file"):
        PartFile.open(tmp_path / "nowhere", metainfo_of())


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path: Path, metainfo_of: MakeMetainfo) -> None:
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
from node.content.part_file import PartFile
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
    assert ran.stdout == f"no room left on {tmp_path}; x.part is kept\n"
