"""A thread between those who tell and the screen: telling never waits for a slow terminal or pipe."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from node.events import DownloadStatus, Event, FileStatus, PeerStatus, TrackerStatus

LIMIT = 10_000  # things waiting to be shown
GATHERING = 0.01  # seconds in which what is told next gathers: waking up for each thing would cost transfers
FLUSH_TIMEOUT = 0.3  # seconds
CLOSE_TIMEOUT = 1.0  # seconds that the end of the program waits for them


class AnyScreen(Protocol):
    """What PlainScreen, JsonScreen and TerminalScreen have in common; called from one thread only."""

    def event(self, event: Event) -> None:
        """Something happened."""

    def say(self, text: str) -> None:
        """Some lines for the user."""

    def error(self, text: str) -> None:
        """What went wrong, in one line."""

    def status(self, rows: Sequence[DownloadStatus]) -> None:
        """Answer to -status."""

    def files(self, rows: Sequence[FileStatus]) -> None:
        """Answer to -files."""

    def peers(self, rows: Sequence[PeerStatus], trackers: Sequence[TrackerStatus]) -> None:
        """Answer to -peers."""

    def flush(self) -> None:
        """Let everything so far be seen."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class QueuedScreen:
    """Hands everything to ``screen`` in order, in a thread of its own.

    ``ignored`` kinds of events are not even queued. When LIMIT things wait already (nobody reads our
    output), further events are dropped, and their number is said when there is room again.
    """

    def __init__(self, screen: AnyScreen, ignored: tuple[type[Event], ...] = ()) -> None:
        self._screen = screen
        self._ignored = ignored
        self._waiting: queue.Queue[Callable[[], None] | None] = queue.Queue(LIMIT)
        self._dropped = 0  # written by those who tell, without a lock: it is only ever about right
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone; what is left to show is dropped
            while (task := self._waiting.get()) is not None:
                task()
                if self._waiting.empty():
                    self._screen.flush()
                    time.sleep(GATHERING)
                if self._dropped:
                    count, self._dropped = self._dropped, 0
                    self._screen.error(
                        f"about {count} events were not shown, because the output was not read"
                    )
            self._screen.close()

    def _put(self, task: Callable[[], None]) -> None:
        try:
            self._waiting.put_nowait(task)
        except queue.Full:
            self._dropped += 1

    def event(self, event: Event) -> None:
        """Something happened (an EventSink)."""
        if not isinstance(event, self._ignored):
            self._put(lambda: self._screen.event(event))

    def say(self, text: str) -> None:
        """Some lines for the user."""
        self._put(lambda: self._screen.say(text))

    def error(self, text: str) -> None:
        """What went wrong, in one line."""
        self._put(lambda: self._screen.error(text))

    def status(self, rows: Sequence[DownloadStatus]) -> None:
        """Answer to -status."""
        self._put(lambda: self._screen.status(rows))

    def files(self, rows: Sequence[FileStatus]) -> None:
        """Answer to -files."""
        self._put(lambda: self._screen.files(rows))

    def peers(self, rows: Sequence[PeerStatus], trackers: Sequence[TrackerStatus]) -> None:
        """Answer to -peers."""
        self._put(lambda: self._screen.peers(rows, trackers))

    def flush(self) -> None:
        """Wait until everything so far is shown, FLUSH_TIMEOUT at most."""
        shown = threading.Event()
        self._put(shown.set)
        shown.wait(FLUSH_TIMEOUT)

    def close(self) -> bool:
        """Show what waits, then end the thread; False if the output is stuck, CLOSE_TIMEOUT at most."""
        try:
            self._waiting.put(None, timeout=CLOSE_TIMEOUT)
        except queue.Full:
            return False
        self._thread.join(CLOSE_TIMEOUT)
        return not self._thread.is_alive()
