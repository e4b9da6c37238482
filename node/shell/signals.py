"""Being stopped: signals, and threads that crash, set an event; the main thread watches it.

Signal handlers raise nothing: an exception out of a handler could end any line of any code, for example
between taking a lock and releasing it. So commands run in a thread of their own, and the main thread waits.
"""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Callable
from types import FrameType

from common.logs import log
from common.text import sanitize
from node.show.output import complain

POLL = 0.1  # seconds; a wait without timeout cannot be interrupted by a signal on Windows

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class Stop(threading.Event):
    """Set once the program should end. ``crashed``: because of an exception that nothing handles."""

    crashed = False

    def on_thread_crash(self, args: threading.ExceptHookArgs) -> None:
        """End the program with one line; a ``threading.excepthook``."""
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            self.crash(args.exc_value, args.thread.name if args.thread else "unknown")

    def crash(self, error: BaseException, thread: str) -> None:
        """End the program with one line; the log gets the trace."""
        self.crashed = True
        for line in "".join(traceback.format_exception(error)).splitlines():
            log(line)
        reason = sanitize(f"internal error in thread {thread}: {type(error).__name__}: {error}")
        complain(f"{reason}; details are in the log")
        self.set()


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
    """Ignore signals while the program ends. Main thread only.

    The interpreter removes handlers some time before it ends. A signal in that time would kill the
    program and change its exit code.
    """
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, signal.SIG_IGN)


def wait_until(stop: threading.Event) -> None:
    """Return when ``stop`` is set."""
    while not stop.wait(POLL):
        pass


def run_until_stopped(work: Callable[[], int], stop: threading.Event) -> int | None:
    """Run ``work`` in a thread; its result, or None if ``stop`` was set first (``work`` is left behind)."""
    results: list[int] = []
    worker = threading.Thread(target=lambda: results.append(work()), name="commands", daemon=True)
    worker.start()
    while worker.is_alive() and not stop.is_set():
        worker.join(POLL)
    return results[0] if results else None
