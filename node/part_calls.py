"""Calls of a user's own part (-use): a call that does not return is given up.

A thread of Python cannot be ended from outside. So there are two ways to call a part:

    on_thread   on a new thread, which is left behind if the call takes too long. For the few calls of owner
                rankings, piece orders and constructors: other threads may wait for them
    in_place    on the calling thread, which is noted in a table. For congestion controllers, which are called
                for each request. The download asks ``stuck_call`` about its sources' threads

A part that did not return once is not called again: each later call raises the same line.

CPython can raise an exception in another thread, between two steps of its Python code. That ends a loop,
and the thread goes on with its own work. A call that waits in the system takes no step: it is left behind.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from common.errors import PluginError

STUCK_LIMIT = 5.0  # seconds of the clock after which a call of a user's part counts as stuck
_STEPS = 1000  # of Python, by which an exception from another thread has come
_LOOKS = 5  # in this time; a process that was stopped for a while (SIGSTOP) counts as one look

Result = TypeVar("Result")


class _CallEnded(BaseException):
    """Raised in a part's call that does not return."""


class PartCalls:
    """All calls of one part. ``file`` is shown in messages, ``path`` is the same file as Python names it."""

    def __init__(self, file: str, path: str) -> None:
        self.file = file
        self.path = path
        self.made = 0  # calls of its methods so far
        self.failed_call = 0  # the number of the first one that failed, from 1; 0: none
        self.on_stuck: Callable[[PluginError], None] = lambda fault: None  # called at once
        self._stuck = ""  # the line of the first call that did not return

    def on_thread(self, text: Callable[[], str], call: Callable[[], Result]) -> Result:
        """The result or error (a BaseException) of ``call``. PluginError with ``text`` if it is stuck."""
        self._check_stuck()
        results: list[Result] = []
        errors: list[BaseException] = []
        done = threading.Event()

        def run() -> None:
            try:
                results.append(call())
            except BaseException as error:  # raised again on the thread that waits
                errors.append(error)
            finally:
                done.set()

        thread = threading.Thread(target=run, name=f"a call of {self.file}", daemon=True)
        thread.start()
        for _ in range(_LOOKS):
            if done.wait(STUCK_LIMIT / _LOOKS):
                break
        else:
            fault = self.give_up(thread.ident, text)
            if not done.is_set():
                _end_call(thread.ident)
            raise fault
        if errors:
            raise errors[0]
        return results[0]

    def in_place(self, text: Callable[[], str], call: Callable[[], Result]) -> Result:
        """``call`` on this thread. PluginError if it returns after it counted as stuck."""
        self._check_stuck()
        thread = threading.get_ident()
        outer = _running.get(thread)
        running = _running[thread] = _RunningCall(self, text)
        try:
            try:
                return call()
            finally:
                running.finish()
        except _CallEnded:
            raise PluginError(self._stuck) from None
        finally:
            if outer is None:
                del _running[thread]
            else:
                _running[thread] = outer
            self._check_stuck()  # the built-in part, or the download's end, has followed

    @property
    def stuck(self) -> PluginError | None:
        """The fault of the first call that did not return."""
        return PluginError(self._stuck) if self._stuck else None

    def give_up(self, thread: int | None, text: Callable[[], str]) -> PluginError:
        """The fault of the call ``text`` that does not return on ``thread``."""
        if not self._stuck:
            line = self._line(thread)
            where = f"{self.file}:{line}" if line else self.file
            self._stuck = f"{where}: {text()} has not returned for {STUCK_LIMIT:g} s; it is not called again"
            self.failed_call = self.failed_call or self.made
            self.on_stuck(PluginError(self._stuck))
        return PluginError(self._stuck)

    def _line(self, thread: int | None) -> int:
        """The line of the part's file that ``thread`` is in; 0 if it is in none."""
        frame = sys._current_frames().get(thread or 0)
        while frame is not None and frame.f_code.co_filename != self.path:
            frame = frame.f_back
        return frame.f_lineno if frame is not None else 0

    def _check_stuck(self) -> None:
        if self._stuck:
            raise PluginError(self._stuck)


class _RunningCall:
    """A call in place that has not returned."""

    __slots__ = ("calls", "has_ended", "lock", "looks", "seen_at", "text", "was_told")

    def __init__(self, calls: PartCalls, text: Callable[[], str]) -> None:
        self.calls = calls
        self.text = text
        self.looks = 0
        self.seen_at = time.monotonic()
        self.lock = threading.Lock()  # guards the two below
        self.has_ended = False
        self.was_told = False  # to end

    def finish(self) -> None:
        """The call is over. _CallEnded if its end was requested, here at the latest."""
        with self.lock:
            self.has_ended = True
        for _ in range(_STEPS if self.was_told else 0):  # the exception comes between two of these steps
            pass

    def end(self, thread: int | None) -> None:
        """Make the call, on ``thread``, end, if it takes a step of Python."""
        with self.lock:
            if not self.has_ended and not self.was_told:
                self.was_told = _end_call(thread)


_running: dict[int, _RunningCall] = {}  # by thread; each thread writes its own entry only


def stuck_call(thread: int | None) -> PluginError | None:
    """The fault of ``thread`` if it is stuck in a user's part. Ask every second at least."""
    running = _running.get(thread or 0)
    if running is None:
        return None
    now = time.monotonic()
    if now - running.seen_at >= STUCK_LIMIT / _LOOKS:
        running.seen_at = now
        running.looks += 1
    if running.looks >= 2 * _LOOKS:
        return running.calls.stuck
    if running.looks >= _LOOKS:
        running.calls.give_up(thread, running.text)
        running.end(thread)
    return None


def _end_call(thread: int | None) -> bool:
    """Raise _CallEnded on ``thread``; True if that is possible."""
    if not hasattr(ctypes, "pythonapi"):
        return False
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    return bool(raise_in(ctypes.c_ulong(thread or 0), ctypes.py_object(_CallEnded)))
