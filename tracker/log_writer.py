"""The log's lines, written by a thread of its own, many at a time.

A handler of the standard library writes each line while all threads that have one, too, wait for it, with
several system calls. Where eight threads answer requests, that took longer than the requests themselves.
Here they leave a line and go on; it is in the file some milliseconds later, or lost if the process is
killed before. What must not be lost is the journal's.
"""

from __future__ import annotations

import logging
import os
import threading

MAX_LINES = 10_000  # that wait to be written; more are dropped, and their number is said
AT_ONCE = 1000  # lines that are written at a time, so that a file hardly grows beyond where it is rotated


class LogWriter(logging.Handler):
    """Puts what comes at it into another handler's file."""

    def __init__(self, file: logging.Handler) -> None:
        """``file``: a handler of its own, from ``common.logs.log_file``; it is closed with this one."""
        super().__init__()
        self.setFormatter(file.formatter)
        file.setFormatter(None)  # what it gets are lines already
        self._file = file
        self._begin()
        if hasattr(os, "register_at_fork"):  # a child has no such thread, and its parent writes what waits
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lines: list[str] = []
        self._dropped = 0
        self._news = threading.Event()
        self._ended = False
        self._writing = threading.Lock()  # held by whoever writes
        self._guard = threading.Lock()  # of the lines: logging holds ``Handler.lock`` when the process ends
        self._thread = threading.Thread(target=self._write_on, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Leave a line."""
        line = self.format(record)
        with self._guard:
            if len(self._lines) < MAX_LINES:
                self._lines.append(line)
            else:
                self._dropped += 1
        if not self._news.is_set():  # to set it again would cost more than the line
            self._news.set()

    def flush(self) -> None:
        """Until what came before is written."""
        with self._writing:
            with self._guard:
                lines, self._lines, dropped, self._dropped = self._lines, [], self._dropped, 0
            if dropped:
                lines.append(self.format(_record(f"{dropped} more lines came too fast to be written")))
            for start in range(0, len(lines), AT_ONCE):
                self._file.handle(_record("\n".join(lines[start : start + AT_ONCE])))

    def close(self) -> None:
        """Write what waits, and end. Twice is harmless."""
        self._ended = True
        self._news.set()
        self._thread.join(1.0)
        self.flush()
        self._file.close()
        super().close()

    def _write_on(self) -> None:
        news = self._news
        while not self._ended:
            news.wait()
            news.clear()  # before the lines are taken: one that comes meanwhile sets it again
            self.flush()


def _record(text: str) -> logging.LogRecord:
    return logging.LogRecord("swarm", logging.INFO, "", 0, text, None, None)
