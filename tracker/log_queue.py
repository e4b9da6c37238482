"""A log handler that hands its records to another handler in a thread of its own.

The handlers of the standard library write under a lock, so the threads that answer requests would wait for
each other's system calls. Here they leave a record in a queue and go on. A record that is still queued is
lost if the process is killed; the records of nodes and files do not depend on the log.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from logging.handlers import QueueHandler, QueueListener

MAX_QUEUED_RECORDS = 10_000  # further ones are dropped and counted
STOP_SECONDS = 1.0  # for writing the queued records at the end; a disk or terminal may be stuck


class LogQueue(QueueHandler):
    """Passes records to ``target`` without waiting for it."""

    def __init__(self, target: logging.Handler) -> None:
        """``target`` is closed with this handler."""
        super().__init__(queue.Queue(MAX_QUEUED_RECORDS))
        self._target = target
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

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            with self._dropped_lock:
                self._dropped += 1

    def deliver(self, record: logging.LogRecord) -> None:
        """Write a record, and after it the number of dropped ones; in the listener's thread."""
        self._target.handle(record)
        with self._dropped_lock:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            text = f"{dropped} more lines were dropped: they came faster than they could be written"
            self._target.handle(logging.makeLogRecord({"msg": text}))

    def close(self) -> None:
        """Write the queued records, for at most STOP_SECONDS. A second call does nothing."""
        self._listener.stop()
        self._target.close()
        super().close()


class _Listener(QueueListener):
    def __init__(self, log_queue: LogQueue) -> None:
        super().__init__(log_queue.queue)
        self._log_queue = log_queue

    def handle(self, record: logging.LogRecord) -> None:
        self._log_queue.deliver(record)

    def enqueue_sentinel(self) -> None:
        with contextlib.suppress(queue.Full):  # the target is stuck
            self.queue.put(None, timeout=STOP_SECONDS)  # type: ignore[attr-defined]

    def stop(self) -> None:
        """As QueueListener's, but with a time limit, and harmless if it is repeated."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self.enqueue_sentinel()
            thread.join(STOP_SECONDS)
