"""Being stopped: SIGINT and SIGTERM set an event; the main thread watches it while others work.

Handlers raise nothing: an exception out of a signal handler could end any line of anybody's code, between
taking a lock and giving it back, for example. So work runs in a thread of its own and the main thread waits.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

POLL = 0.1  # seconds; a wait without timeout cannot be interrupted by a signal on Windows

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


def stop_on_signals(stop: threading.Event) -> None:
    """Let SIGINT, SIGTERM, a closed terminal (SIGHUP) and Ctrl-Break set ``stop``. Main thread only."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is None:
            continue
        if name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN:
            continue  # nohup
        signal.signal(number, on_signal)


def ignore_signals() -> None:
    """We are leaving already. The interpreter takes handlers away some time before it ends, and a signal that
    comes then would still kill: after all was well, with an exit code that says otherwise. Main thread only.
    """
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, signal.SIG_IGN)


def wait_until(stop: threading.Event) -> None:
    """Return when ``stop`` is set."""
    while not stop.wait(POLL):
        pass


def attend(work: Callable[[], int], stop: threading.Event) -> int | None:
    """Run ``work`` in a thread: what it returned, or None if ``stop`` was set first (it is left behind).

    If ``work`` dies of an exception, its trace goes to stderr as any thread's does, and 1 is returned.
    """
    results: list[int] = []
    worker = threading.Thread(target=lambda: results.append(work()), name="commands", daemon=True)
    worker.start()
    while worker.is_alive() and not stop.is_set():
        worker.join(POLL)
    if results:
        return results[0]
    return None if stop.is_set() else 1
