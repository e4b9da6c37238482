"""Writes the live log into a file, in a thread of its own (``tracker.py --record FILE``).

The tracker never waits for the disk: new lines go into a bounded queue, and lines that do not fit are
dropped and written as a ``gap``. A full disk ends the recording with one line; the tracker goes on.

An existing recording is continued. Its time 0 stays, so the downtime of the tracker is a gap of that length.
A killed tracker may have cut the file in a line, and browsers read only the first part of a gzip file that
was appended to. So the old events are copied: the old file is ``FILE.before`` until that is done, and a start
that finds such a file begins with it.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from common.errors import FileFault, LocalFault, RecordingError
from common.events import SwarmEvent, decode_event
from common.log_file import LogReader, LogWriter
from common.vocabulary import KEYFRAME

MAX_BATCHES = 4096  # lists of lines that wait to be written; some minutes
FLUSH_SECONDS = 1.0  # without new lines, after which all that was written is in the file
STOP_SECONDS = 1.0  # for the rest at the end
BEFORE = ".before"  # after the name of a recording that is being copied


class LogRecorder:
    """Takes lines from any thread."""

    def __init__(self, path: Path, ended: Callable[[str], None]) -> None:
        """LocalFault if ``path`` is there and is no recording, or cannot be written.

        ``ended`` is called once, from the thread, with the reason why the recording ends early.
        """
        self._path = path
        self._ended = ended
        self._before = path.with_name(path.name + BEFORE)
        self._queue: queue.Queue[list[bytes]] = queue.Queue(MAX_BATCHES)
        self._dropped = 0  # lines
        self._dropped_lock = threading.Lock()
        self._stop = threading.Event()
        self._header: Mapping[str, Any] = {}
        self._last_seq = 0  # of the tracker, in the file
        self._last_time = 0.0  # ms, the highest in the file
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._old_header = self._look()
        """Of the recording that goes on; None: there is none."""

    @property
    def begun(self) -> float | None:
        """Wall seconds of time 0 of the recording that goes on; None: it begins now."""
        if self._old_header is None:
            return None
        return datetime.datetime.fromisoformat(self._old_header["begun"]).timestamp()

    def start(self, header: Mapping[str, Any]) -> None:
        """Write from now on. ``header``: line 1, unless an older recording goes on."""
        self._header = header
        self._thread.start()

    def put(self, lines: list[bytes]) -> None:
        """Record these lines. Returns at once."""
        try:
            self._queue.put_nowait(lines)
        except queue.Full:
            with self._dropped_lock:
                self._dropped += len(lines)

    def close(self) -> None:
        """Write the rest, for at most STOP_SECONDS."""
        self._stop.set()
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait([])
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    # ---- the file that is there

    def _look(self) -> dict[str, Any] | None:
        try:
            if self._before.exists() or (self._path.exists() and self._path.stat().st_size):
                with LogReader(self._before if self._before.exists() else self._path) as reader:
                    datetime.datetime.fromisoformat(reader.header["begun"])
                    return reader.header
            with open(self._path, "ab"):
                return None
        except (RecordingError, FileFault) as error:
            raise LocalFault(f"{error} (--record)") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise LocalFault(f"cannot record into {self._path}: {reason}") from None

    def _copy(self, writer: LogWriter) -> None:
        """Write the events of the old file, which is deleted then: the process may end before that."""
        with LogReader(self._before) as reader:
            for event in reader:
                if event.name != KEYFRAME:
                    self._write(writer, event)
        writer.flush()
        self._before.unlink()

    # ---- the thread

    def _run(self) -> None:
        try:
            if self._old_header is not None and not self._before.exists():
                os.replace(self._path, self._before)
            with LogWriter(self._path, self._old_header or self._header) as writer:
                if self._old_header is not None:
                    self._copy(writer)
                self._write_queue(writer, is_first=self._old_header is None)
        except (LocalFault, RecordingError, OSError) as error:
            self._ended(f"the recording ended: {error}")

    def _write_queue(self, writer: LogWriter, is_first: bool) -> None:
        while not (self._stop.is_set() and self._queue.empty()):
            try:
                lines = self._queue.get(timeout=FLUSH_SECONDS)
            except queue.Empty:
                writer.flush()
                continue
            events = [decode_event(line) for line in lines]
            if events and not is_first:
                self._write_gap(writer, 0, events[0].time)
                is_first = True
            for event in events:
                self._write(writer, event)
            if self._dropped and self._queue.empty():
                with self._dropped_lock:
                    dropped, self._dropped = self._dropped, 0
                self._write_gap(writer, dropped, self._last_time)

    def _write(self, writer: LogWriter, event: SwarmEvent) -> None:
        writer.write(event)
        self._last_time = max(self._last_time, event.time)
        if event.node is None:
            self._last_seq = event.seq

    def _write_gap(self, writer: LogWriter, events: int, until: float) -> None:
        """Between the last event and ``until`` (ms), so many are missing; 0: the tracker was away."""
        span = round(max(0.0, until - self._last_time), 3)
        gap = {"events": events, "span_ms": span}
        self._write(writer, SwarmEvent(until, None, self._last_seq + 1, "gap", gap))


def time_in_recording(begun: float) -> float:
    """The time now, in ms, of a recording whose time 0 was at ``begun`` (wall seconds)."""
    return max(0.0, (time.time() - begun) * 1000)
