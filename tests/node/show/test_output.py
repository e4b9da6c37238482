"""Standard streams that are missing, non-blocking, slow, or without a reader."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from node.show.output import PlainOutput, patient

ROOT = Path(__file__).resolve().parents[3]


def test_a_reader_that_left_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as stream:
        output = PlainOutput(stream)
        for _ in range(3):
            output.line("x" * 100_000)
            output.flush()


@pytest.mark.skipif(sys.platform == "win32", reason="its pipes are always blocking")
def test_a_non_blocking_pipe_loses_nothing() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    seen = bytearray()

    def read_slowly() -> None:
        time.sleep(0.2)  # meanwhile the pipe is full
        while data := os.read(reading, 50_000):
            seen.extend(data)

    reader = threading.Thread(target=read_slowly)
    reader.start()
    with open(writing, "w", encoding="utf-8") as stream:
        output = PlainOutput(patient(stream))
        for number in range(50_000):
            output.line(str(number))
        output.flush()
    reader.join(20)
    os.close(reading)
    assert seen.decode().split() == [str(number) for number in range(50_000)]


@pytest.mark.skipif(sys.platform == "win32", reason="closes descriptors by a shell")
@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_a_program_without_standard_streams(closed: str) -> None:
    code = (
        "import os, sys; from node.show.output import open_missing_streams, prepare_streams;"
        "open_missing_streams(); prepare_streams(); assert os.open('.', os.O_RDONLY) > 2;"
        "print('out'); print('err', file=sys.stderr, flush=True); print(sys.stdin.read(), end='')"
    )
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, code],
        capture_output=True,
        cwd=ROOT,
        input=b"in",
        timeout=60,
    )
    assert done.returncode == 0
    assert done.stdout == (
        b"" if ">&-" in closed.replace("2>&-", "") else b"out\nin"[: 4 if "<" in closed else None]
    )
    assert done.stderr == (b"" if "2>&-" in closed else b"err\n")
