"""Output for pipes and files: lines without escape codes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from rich.cells import cell_len

from common.text import sanitize
from node import events
from node.events import DownloadStatus, Event, FileStatus, PeerStatus, TrackerStatus
from node.show import lines, tables
from node.show.tables import Sheet

PROGRESS_LINES = 1.0  # seconds between two progress lines of one file


class LineWriter:
    """Writes whole lines to a stream; a stream that broke (``| head``) swallows the rest."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._broken = False

    def write(self, text: str) -> None:
        """``text`` and a line's end; seen at the next ``flush`` at the latest."""
        self._try(lambda: self._stream.write(text + "\n"))

    def flush(self) -> None:
        """Let it be seen."""
        self._try(self._stream.flush)

    def _try(self, operation: Callable[[], object]) -> None:
        if self._broken:
            return
        try:
            operation()
        except (OSError, ValueError):  # nobody reads any more (EPIPE; EINVAL on Windows), or it is closed
            self._broken = True
            silence(self._stream)


def silence(stream: TextIO) -> None:
    """Point a broken stream to nowhere, so that what it still holds can be flushed at the program's end."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return


def plain_table(sheet: Sheet) -> str:
    """``sheet`` in aligned columns, two spaces between them; widths are counted in terminal cells."""
    if not sheet.cells:
        return sheet.empty
    rows = [tuple(column.name for column in sheet.columns), *sheet.cells]
    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(sheet.columns))]
    return "\n".join(_aligned(row, widths, sheet) for row in rows)


def _aligned(row: Sequence[str], widths: Sequence[int], sheet: Sheet) -> str:
    cells = []
    for text, width, column in zip(row, widths, sheet.columns, strict=True):
        space = " " * (width - cell_len(text))
        cells.append(space + text if column.right else text + space)
    return "  ".join(cells).rstrip()


class PlainScreen:
    """Sentences to ``out``, what went wrong to ``err``."""

    def __init__(
        self,
        out: TextIO,
        err: TextIO,
        verbose: bool = False,
        progress: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out = LineWriter(out)
        self._err = LineWriter(err)
        self._verbose = verbose
        self._progress = progress
        self._clock = clock
        self._next: dict[str, float] = {}  # info hash -> when its next progress line is due

    def event(self, event: Event) -> None:
        """One line, if it is to be said."""
        if isinstance(event, events.Failed):
            self._err.write(lines.sentence(event))
        elif self._verbose or lines.is_quiet(event) or self._is_due(event):
            self._out.write(lines.sentence(event))
        if isinstance(event, (events.Completed, events.Failed)):
            self._next.pop(event.info_hash, None)

    def _is_due(self, event: Event) -> bool:
        if not self._progress or not isinstance(event, events.Progress):
            return False
        now = self._clock()
        if now < self._next.get(event.info_hash, now):
            return False
        self._next[event.info_hash] = now + PROGRESS_LINES
        return True

    def say(self, text: str) -> None:
        """Some lines for the user."""
        self._out.write("\n".join(sanitize(line) for line in text.split("\n")))

    def error(self, text: str) -> None:
        """What went wrong, in one line."""
        self._err.write(sanitize(text))

    def status(self, rows: Sequence[DownloadStatus]) -> None:
        """Answer to -status."""
        self._out.write(plain_table(tables.status_sheet(rows)))

    def files(self, rows: Sequence[FileStatus]) -> None:
        """Answer to -files."""
        self._out.write(plain_table(tables.files_sheet(rows)))

    def peers(self, rows: Sequence[PeerStatus], trackers: Sequence[TrackerStatus]) -> None:
        """Answer to -peers."""
        self._out.write("\n".join([plain_table(tables.peers_sheet(rows)), *map(lines.tracker, trackers)]))

    def flush(self) -> None:
        """Let everything so far be seen."""
        self._out.flush()
        self._err.flush()

    def close(self) -> None:
        """Nothing is left behind."""
        self.flush()
