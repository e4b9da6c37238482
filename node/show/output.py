"""Standard streams: never missing, waiting for a slow reader, silent once the reader is gone."""

from __future__ import annotations

import io
import os
import select
import sys
import time
from typing import TextIO

RETRY = 0.05  # seconds between two attempts to write to a descriptor that select() does not support


def open_missing_streams() -> None:
    """Give a program that was started without standard streams empty ones.

    Otherwise a socket would get the number of standard output, and writing to ``sys.stdout`` would fail.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115  (open until the end)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)  # keeps it open when sys.stdout is replaced


def prepare_streams() -> None:
    """Make standard output and standard error accept any file name and wait for a slow reader."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        encoding = stream.encoding if stream.isatty() else "utf-8"
        stream.reconfigure(encoding=encoding, errors="backslashreplace")
        if os.name != "nt":
            setattr(sys, name, patient(stream))


def patient(stream: TextIO) -> TextIO:
    """``stream``, but writing waits for room if the descriptor is non-blocking.

    Standard output may be shared with a process that has made it non-blocking. Python's own streams then
    lose a part of the data.
    """
    raw = _PatientFile(stream.fileno(), "w", closefd=False)
    at_once = any(getattr(stream, name, True) for name in ("line_buffering", "write_through"))
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, "backslashreplace", line_buffering=at_once
    )


class _PatientFile(io.FileIO):
    def write(self, data: object, /) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        sent = 0
        while sent < len(view):
            count = super().write(view[sent:])  # None: no room, and non-blocking
            if count is None:
                wait_for_room(self.fileno())
            else:
                sent += count
        return sent


def wait_for_room(descriptor: int) -> None:
    """Return once something can be written, or shortly before."""
    try:
        select.select([], [descriptor], [])
    except (OSError, ValueError):  # not a descriptor that can be waited for
        time.sleep(RETRY)


def complain(line: str) -> None:
    """Write ``line`` to standard error, unless that would have to wait for a reader."""
    if not isinstance(sys.stderr, io.TextIOWrapper):  # the prompt's, which never waits
        print(line, file=sys.stderr)
        return
    try:
        if os.name == "nt" or select.select([], [sys.stderr.fileno()], [], 0)[1]:
            os.write(sys.stderr.fileno(), f"{line}\n".encode(errors="backslashreplace"))
    except (OSError, ValueError):
        return


class PlainOutput:
    """Whole lines without escape codes. Once the reader has gone (``| head``), everything is discarded."""

    width: int | None = None  # columns; None: any number

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_broken = False

    def line(self, text: str, style: str = "") -> None:
        """Write ``text`` and a line end; visible after the next ``flush`` at the latest."""
        self._attempt(text + "\n")

    def flush(self) -> None:
        """Make everything so far visible."""
        self._attempt("")

    def _attempt(self, text: str) -> None:
        if self._is_broken:
            return
        try:
            if text:
                self._stream.write(text)
            else:
                self._stream.flush()
        except (OSError, ValueError):  # no reader (EPIPE; EINVAL on Windows), or the stream is closed
            self._is_broken = True
            _silence(self._stream)


def _silence(stream: TextIO) -> None:
    """Point a broken stream to nowhere, so that the interpreter can flush it at its end."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return
