"""The log as a file: events survive writing and reading, cut files give their whole lines, rubbish is
refused."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import FileFault, RecordingError
from common.events import SwarmEvent, encode_event
from common.log_file import KEYFRAME_EVENTS, KEYFRAME_MS, LogReader, LogWriter, make_header
from common.swarm_state import SwarmState

HEADER = make_header("a test", "x", begun=0.0, run="r")
NAMES = ["log.jsonl", "log.jsonl.gz"]


def event(at: int, time: float | None = None) -> SwarmEvent:
    data = {"node": at % 7, "uploads": at, "by": 1}
    return SwarmEvent(float(at) if time is None else time, None, at + 1, "tracker:update", data)


def write(path: Path, events: list[SwarmEvent]) -> None:
    with LogWriter(path, HEADER) as log:
        for each in events:
            log.write(each)


def read(path: Path) -> tuple[list[SwarmEvent], str]:
    with LogReader(path) as log:
        assert log.header == HEADER
        found = [each for each in log if each.name != "keyframe"]
        return found, log.damage


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    events = [event(at) for at in range(5000)]
    write(tmp_path / name, events)
    assert read(tmp_path / name) == (events, "")
    assert (
        (tmp_path / name).read_bytes().startswith(b"\x1f\x8b" if name.endswith("gz") else b'{"log":"swarm/1"')
    )


def test_keyframes_hold_the_state_and_come_often_enough(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    slow = [event(at, at * 600.0) for at in range(100)]
    fast = [event(at, 60_000.0 + at / 1000) for at in range(9000)]
    write(path, slow + fast)
    state, since, before, keyframes = SwarmState(), 0, 0.0, 0
    with LogReader(path) as log:
        for each in log:
            if each.name == "keyframe":
                assert each.data == state.as_json()
                since, before, keyframes = 0, each.time, keyframes + 1
            else:
                state.apply(each)
                since += 1
                assert since <= KEYFRAME_EVENTS and each.time <= before + KEYFRAME_MS + 600
    assert keyframes == 59_400 // 5400 + 9000 // KEYFRAME_EVENTS


@pytest.mark.parametrize("name", NAMES)
@given(share=st.floats(0, 1))
def test_a_log_cut_anywhere_gives_its_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, name: str, share: float
) -> None:
    path = tmp_path_factory.mktemp("cut") / name
    events = [event(at) for at in range(300)]
    write(path, events)
    content = path.read_bytes()
    cut = int(len(content) * share)
    path.write_bytes(content[:cut])
    try:
        found, damage = read(path)
    except RecordingError:
        assert cut < 400
        return
    assert found == events[: len(found)]
    if name == "log.jsonl":
        whole = content[:cut].rstrip(b"\n").split(b"\n")
        is_cut = not whole[-1].endswith(b"}}") and len(whole) > 1
        assert len(found) == len(whole) - 1 - is_cut
        assert damage == (f"The recording ends in the middle of line {len(whole)}." if is_cut else "")
    else:
        assert bool(damage) is (cut < len(content))


KEYFRAMES_IN_4000 = 2  # of events 1 ms apart


def test_a_killed_writer_leaves_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl.gz"
    program = f"""
import os, signal
from pathlib import Path
from common.log_file import LogWriter
from tests.common.test_log_file import HEADER, event
log = LogWriter(Path({str(path)!r}), HEADER)
for at in range(4321):
    log.write(event(at))
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program], cwd=Path.cwd()).returncode < 0
    found, damage = read(path)
    assert 4000 < len(found) <= 4321 and found == [event(at) for at in range(len(found))]
    assert damage == f"The recording ends in the middle of line {len(found) + KEYFRAMES_IN_4000 + 2:,}."


def test_joined_files_are_read_as_one(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    write(path, [event(at) for at in range(100)])
    path.write_bytes(path.read_bytes() + gzip.compress(encode_event(event(100)) + b"\n"))
    assert read(path) == ([event(at) for at in range(101)], "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", 'This file is no recording: line 1 has no "log".'),
        (b"\x00\xff" * 500, 'This file is no recording: line 1 has no "log".'),
        (b"[]\n", 'This file is no recording: line 1 has no "log".'),
        (b'{"time": 1}\n', 'This file is no recording: line 1 has no "log".'),
        (b"x" * 3_000_000, 'This file is no recording: line 1 has no "log".'),
        (gzip.compress(b"x" * 100_000_000, 1), 'This file is no recording: line 1 has no "log".'),
        (b"\x1f\x8b\x08rubbish", 'This file is no recording: line 1 has no "log".'),
        (
            json.dumps({**HEADER, "log": "swarm/2"}).encode() + b"\n",
            "This recording has another format than swarm/1.",
        ),
        (
            json.dumps({**HEADER, "run": 7}).encode() + b"\n",
            "The header of this recording is wrong: run: not a text.",
        ),
    ],
    ids=range(9),
)
def test_another_file_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(RecordingError) as refused:
        LogReader(path)
    assert str(refused.value) == f"{path}: {message}"


def test_a_wrong_line_is_left_out_and_named(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    write(path, [event(at) for at in range(5)])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"rubbish\n", b'{"time":1}\n', *lines[3:]]))
    with LogReader(path) as log:
        assert list(log) == [event(at) for at in range(5)]
        assert (log.ignored, log.wrong, log.damage) == (2, "line 5: no event: node is missing", "")


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    for broken in (lambda: LogReader(tmp_path / "none"), lambda: LogWriter(tmp_path / "none" / "x", HEADER)):
        with pytest.raises(FileFault, match="none"):
            broken()


def test_time_that_runs_backwards_is_kept_as_it_is(tmp_path: Path) -> None:
    events = [event(at, time) for at, time in enumerate([50.0, 10.0, 9000.0, 0.0, 9001.0])]
    write(tmp_path / "x.gz", events)
    assert read(tmp_path / "x.gz") == (events, "")


def test_a_long_log_is_read_and_written_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    tracemalloc.start()
    write_many(path, 30_000)
    with LogReader(path) as log:
        count = sum(each.name != "keyframe" for each in log)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 30_000 and peak < 3_000_000, f"{peak:,} bytes"


def write_many(path: Path, count: int) -> None:
    with LogWriter(path, HEADER) as log:
        for at in range(count):
            log.write(event(at))
