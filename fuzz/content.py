"""Files that other programs may have changed, and sets of ranges: a ``.part``, ``RangeSet``."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
import threading
from functools import lru_cache
from pathlib import Path

from common.errors import FileFault
from common.metainfo import decode_metainfo, encode_metainfo
from common.ranges import RangeSet
from fuzz.target import Script, Target, outcome
from node.content.part_file import PartFile
from node.download.checking import check_part

PIECE = 1 << 15
CONTENT = bytes(range(256)) * (PIECE // 256) + b"\0" * PIECE + b"the last piece is short"
_HASHES = b"".join(hashlib.sha1(CONTENT[at : at + PIECE]).digest() for at in range(0, len(CONTENT), PIECE))
METAINFO = decode_metainfo(
    encode_metainfo("x", len(CONTENT), PIECE, _HASHES, "http://127.0.0.1:1/announce", "")
)
MODEL_END = 200  # the ranges of the model end here


@lru_cache(maxsize=1)
def _part_path() -> Path:
    """The part file of all runs of this process, in a folder that is deleted at its end."""
    shm = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=shm if shm.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder / "x.part"


def run_part(data: bytes) -> str:
    """Continuing a ``.part``: right pieces are found, wrong pieces are not accepted."""
    path = _part_path()
    _write_part(path, Script(data))
    try:
        part = PartFile.open(path.parent, METAINFO)
    except FileFault as fault:
        _remove(path)
        return outcome(fault).replace(str(path.parent), "")
    held = check_part(part, METAINFO, 1, lambda done, size: None, threading.Event())
    part.close()
    here = path.read_bytes()
    right = [here[at : at + PIECE] == CONTENT[at : at + PIECE] for at in range(0, len(CONTENT), PIECE)]
    assert [index in held for index in range(len(right))] == right
    _remove(path)
    return str(right)


def _write_part(path: Path, script: Script) -> None:
    """Write parts of the content, wrong, too long or too short; or a folder, a link, a pipe."""
    kind = script.byte()
    if kind >= 250:
        _write_another_kind(path, kind)
        return
    whole = bytearray(CONTENT)
    size = len(CONTENT) if kind < 200 else script.number(3)
    while not script.ended:
        at, length, value = script.number(3), script.number(2), script.take(1)
        whole[at : at + length] = (value or b"\0") * min(length, max(0, len(whole) - at))
    with open(path, "wb") as file:
        file.truncate(size)
        if kind & 1:
            file.write(whole[:size])


def _write_another_kind(path: Path, kind: int) -> None:
    if kind in (250, 251):
        path.mkdir()
    elif kind == 252 and hasattr(os, "mkfifo"):
        os.mkfifo(path)
    else:
        path.symlink_to(path.with_name("elsewhere") if kind == 253 else "/etc/hostname")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def run_ranges(data: bytes) -> str:
    """``RangeSet`` against a plain set of numbers: equal after every operation."""
    script, ranges, model, seen = Script(data), RangeSet(), set[int](), set[str]()
    while not script.ended:
        what = script.pick(6)
        start, end = sorted((script.pick(MODEL_END), script.pick(MODEL_END)))
        numbers = set(range(start, end))
        if what == 0:
            ranges.add(start, end)
            model |= numbers
        elif what == 1:
            assert _numbers(ranges.cut(start, end)) == sorted(model & numbers)
            model -= numbers
        elif what == 2:
            assert _numbers(ranges.overlap(start, end)) == sorted(model & numbers)
        elif what == 3 and end > start:
            span = ranges.take_first(end - start)
            taken = set(range(*span)) if span else set[int]()
            assert bool(taken) == bool(model) and taken <= model and len(taken) <= end - start
            assert not taken or min(taken) == min(model)
            model -= taken
        elif what == 4 and end > start:
            last = set(_numbers(ranges.take_last(end - start)))
            assert last == set(sorted(model)[-(end - start) :])
            model -= last
        elif what == 5 and start < end:
            before = list(ranges)
            if ranges.advance(start, end):
                assert before[0][0] == start and before[0][1] >= end
                model -= numbers
        seen.add(f"{what}{min(len(ranges), 2)}")
        assert _numbers(ranges) == sorted(model) and ranges.total == len(model)
        assert all(e < s for (_, e), (s, _) in zip(list(ranges), list(ranges)[1:], strict=False)), (
            "not merged"
        )
    return " ".join(sorted(seen))


def _numbers(spans: object) -> list[int]:
    return [number for span in spans for number in range(*span)]  # type: ignore[attr-defined]


TARGETS = [
    Target(
        "part",
        run_part,
        [b"\1", b"\0", b"\1\0\0\0\0\5x", b"\xff", b"\xfa", b"\xfc", b"\xfd", b"\xc8\0\1\0"],
        1,
    ),
    Target("ranges", run_ranges, [bytes([0, 0, 100, 1, 20, 30, 3, 0, 5, 4, 0, 9, 5, 5, 7, 2, 0, 199])], 5),
]
