"""A thread between a node and its screen: showing never waits for a slow terminal or pipe."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from node import events
from node.events import Event
from node.show.screen import JsonScreen, TextScreen

LIMIT = 10_000  # things that wait to be shown, before frequent events are dropped
HARD_LIMIT = 20 * LIMIT  # before everything is dropped
GATHERING = 0.01  # seconds between two looks: waking up for each event would slow transfers down
FLUSH_TIMEOUT = 0.3  # seconds
CLOSE_TIMEOUT = 1.0  # seconds that a stopped program waits for its output
POLL = 0.1  # seconds

FREQUENT = (events.Progress, events.Hashing, events.Piece, events.OwnersFound, events.PeerChanged)


class QueuedScreen:
    """Hands everything to ``screen`` in order, in a thread of its own.

    Events of the kinds ``ignored`` are not even queued. If LIMIT things wait, FREQUENT events are dropped;
    their number is shown once there is room.
    """

    def __init__(self, screen: TextScreen | JsonScreen, ignored: tuple[type[Event], ...] = ()) -> None:
        self._screen = screen
        self._ignored = ignored
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._dropped = 0  # changed without a lock: about right is good enough
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone
            while (task := self._waiting.get()) is not None:
                task()
                if self._waiting.empty():
                    self._screen.flush()
                    time.sleep(GATHERING)
                if self._dropped and self._waiting.qsize() < LIMIT:
                    count, self._dropped = self._dropped, 0
                    self._screen.error(dropped(count))
            self._screen.close()

    def _put(self, task: Callable[[], None], limit: int = HARD_LIMIT) -> None:
        if self._waiting.qsize() < limit:
            self._waiting.put(task)
        else:
            self._dropped += 1

    def event(self, event: Event) -> None:
        if not isinstance(event, self._ignored):
            limit = LIMIT if isinstance(event, FREQUENT) else HARD_LIMIT
            self._put(lambda: self._screen.event(event), limit)

    def say(self, text: str) -> None:
        self._put(lambda: self._screen.say(text))

    def error(self, text: str) -> None:
        self._put(lambda: self._screen.error(text))

    def answer(self, command: str, **rows: Sequence[Any]) -> None:
        self._put(lambda: self._screen.answer(command, **rows))

    def flush(self) -> None:
        """Wait until everything so far is visible, at most FLUSH_TIMEOUT."""
        shown = threading.Event()
        self._put(shown.set)
        shown.wait(FLUSH_TIMEOUT)

    def close(self, stop: threading.Event) -> int:
        """Show everything that waits, then end the thread; how many things were not shown.

        Waits for a slow reader; once ``stop`` is set, at most CLOSE_TIMEOUT longer.
        """
        self._waiting.put(None)
        deadline = None
        while self._thread.is_alive():
            if deadline is None and stop.is_set():
                deadline = time.monotonic() + CLOSE_TIMEOUT
            if deadline is not None and time.monotonic() >= deadline:
                return self._dropped + self._waiting.qsize()
            self._thread.join(POLL)
        return 0


def dropped(count: int) -> str:
    """The line about ``count`` things that could not be shown."""
    return f"about {count} lines were not shown, because the output was not read"
