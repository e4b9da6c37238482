"""A log handler that hands its records to another handler in a thread of its own.

The handlers of the standard library write under a lock, so the threads that answer requests would wait for
each other's system calls. Here they leave a record in a queue and go on. The thread sleeps for a moment after
the first record and then writes all lines at once, because each wake-up and each system call of it takes the
interpreter lock from the threads that answer. A record that is not written yet is lost if the process is
killed; the records of nodes and files do not depend on the log.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from logging.handlers import QueueHandler, QueueListener

GATHER_SECONDS = 0.02  # from the first record to the write
MAX_LINES = 256  # that are written at once
MAX_QUEUED_RECORDS = 10_000  # further ones are dropped and counted
STOP_SECONDS = 1.0  # for writing the queued records at the end; a disk or terminal may be stuck


class LogQueue(QueueHandler):
    """Passes records to ``target`` without waiting for it."""

    def __init__(self, target: logging.Handler) -> None:
        """``target`` is closed with this handler. Its filters and its formatter are used in the thread."""
        super().__init__(queue.Queue(MAX_QUEUED_RECORDS))
        self._target = target
        self.setFormatter(target.formatter)
        target.setFormatter(None)
        self._start()
        if hasattr(os, "register_at_fork"):  # a child process does not have the thread
            os.register_at_fork(after_in_child=self._restart)

    def _start(self) -> None:
        self._dropped = 0
        self._dropped_lock = threading.Lock()  # logging.shutdown holds Handler.lock while it closes handlers
        self._listener = _Listener(self)
        self._listener.start()

    def _restart(self) -> None:
        self.queue = queue.Queue(MAX_QUEUED_RECORDS)
        self._start()

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record as it is: its arguments are strings, so the thread can format it as well."""
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            with self._dropped_lock:
                self._dropped += 1

    def line(self, record: logging.LogRecord) -> str | None:
        """The record's line; None if a filter of ``target`` refuses it."""
        return self.format(record) if self._target.filter(record) else None

    def deliver(self, lines: list[str]) -> None:
        """Write lines, and after them the number of dropped records; in the listener's thread."""
        self._target.emit(logging.makeLogRecord({"msg": "\n".join(lines)}))
        with self._dropped_lock:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            text = f"{dropped} more lines were dropped: they came faster than they could be written"
            self.deliver([self.format(logging.makeLogRecord({"msg": text}))])

    def close(self) -> None:
        """Write the queued records, for at most STOP_SECONDS. A second call does nothing."""
        self._listener.stop()
        self._target.close()
        super().close()


class _Listener(QueueListener):
    def __init__(self, log_queue: LogQueue) -> None:
        super().__init__(log_queue.queue)
        self._log_queue = log_queue
        self._lines: list[str] = []

    def handle(self, record: logging.LogRecord) -> None:
        if not self._lines:
            time.sleep(GATHER_SECONDS)
        line = self._log_queue.line(record)
        if line is not None:
            self._lines.append(line)
        is_last = self._log_queue.queue.empty()  # type: ignore[attr-defined]
        if self._lines and (is_last or len(self._lines) >= MAX_LINES):
            self._deliver()

    def _deliver(self) -> None:
        lines, self._lines = self._lines, []
        self._log_queue.deliver(lines)

    def enqueue_sentinel(self) -> None:
        with contextlib.suppress(queue.Full):  # the target is stuck
            self.queue.put(None, timeout=STOP_SECONDS)  # type: ignore[attr-defined]

    def stop(self) -> None:
        """As QueueListener's, but with a time limit, and harmless if it is repeated."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self.enqueue_sentinel()
            thread.join(STOP_SECONDS)
            if self._lines and not thread.is_alive():  # the sentinel was in the queue behind them
                self._deliver()
