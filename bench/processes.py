"""Programs as child processes: their lines, their usage, and their certain end.

Each has a deadline; ``Children`` ends all it started, whatever happens, and the newest first.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.interrupts import uninterrupted
from bench.records import Usage

ROOT = Path(__file__).resolve().parent.parent
STOP_LIMIT = 10.0  # seconds from being asked to stop until killed
POLL = 0.005  # seconds between two looks at whether a child has ended
MAX_LINES = 100_000  # unread lines of one child; then it waits

Event = dict[str, Any]


class BenchError(Exception):
    """A program failed; one line names it and the failure."""


class Child:
    """A running program. Read it with ``event``, then ``finish`` it (it ends by itself) or ``stop`` it."""

    def __init__(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        patience: float,
        program: str = sys.executable,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = " ".join(words if program == sys.executable else (program, *words))
        self._deadline = time.monotonic() + patience
        self._lines: queue.Queue[str] = queue.Queue(MAX_LINES)
        self._usage: Usage | None = None
        self._process = subprocess.Popen(
            [program, *words],
            cwd=ROOT,
            pass_fds=pass_fds,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        self._complaints: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_complaints, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def line(self) -> str:
        """The next line of its standard output; BenchError at the end of it, or at the deadline."""
        try:
            line = self._lines.get(timeout=max(0.0, self._deadline - time.monotonic()))
        except queue.Empty:
            raise BenchError(f"{self.name}: no news in time") from None
        if not line:
            self._readers[1].join(1.0)
            raise BenchError(f"{self.name}: ended early: {' | '.join(self._complaints[-3:])}")
        return line.strip()

    def event(self, name: str) -> Event:
        """The next event of that name; BenchError if it reports a failure instead."""
        while True:
            event: Event = json.loads(self.line())
            if event["event"] == name:
                return event
            if event["event"] in ("failed", "error"):
                raise BenchError(f"{self.name}: {event.get('reason') or event.get('error')}")

    def rest(self) -> str:
        """All that it still prints, until it ends; BenchError at the deadline."""
        lines = []
        while True:
            try:
                lines.append(self._lines.get(timeout=max(0.0, self._deadline - time.monotonic())))
            except queue.Empty:
                raise BenchError(f"{self.name}: does not end") from None
            if not lines[-1]:
                return "".join(lines)

    def say(self, line: str) -> None:
        """Write a line to its standard input; BenchError if it does not read any more."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise BenchError(f"{self.name}: {error}") from None

    def end_input(self) -> None:
        """Close its standard input."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def finish(self) -> Usage:
        """Wait for its own end; BenchError if that takes too long or the exit code is not 0."""
        while not self._ended():
            if time.monotonic() > self._deadline:
                raise BenchError(f"{self.name}: does not end")
            time.sleep(POLL)
        assert self._usage is not None
        if self._process.returncode:
            raise BenchError(f"{self.name}: exit code {self._process.returncode}")
        return self._usage

    def stop(self) -> Usage:
        """Ask it to stop, and kill it if it does not; returns its usage."""
        self.end_input()
        if not self._ended():
            os.kill(self._process.pid, signal.SIGTERM)  # Popen.terminate might reap it, and its usage with it
        deadline = time.monotonic() + STOP_LIMIT
        while not self._ended():
            if time.monotonic() > deadline:
                os.kill(self._process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
                deadline = float("inf")
            time.sleep(POLL)
        for reader in self._readers:
            reader.join(STOP_LIMIT)
        assert self._usage is not None
        return self._usage

    def _ended(self) -> bool:
        """Whether it has ended. The first time its usage is taken, which is possible only once."""
        if self._usage is not None:
            return True
        if sys.platform == "win32":
            if self._process.poll() is None:
                return False
            self._usage = Usage(None, None)
            return True
        pid, status, used = os.wait4(self._process.pid, os.WNOHANG)
        if not pid:
            return False
        self._process.returncode = os.waitstatus_to_exitcode(status)
        unit = 1 if sys.platform == "darwin" else 1024
        self._usage = Usage(used.ru_utime + used.ru_stime, used.ru_maxrss * unit, used.ru_stime)
        return True

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put("")

    def _read_complaints(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self._complaints = [*self._complaints[-9:], line.strip()]


class Children:
    """Everything that was started, to be ended at the end of a ``with``."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._started: list[Child] = []

    def start(
        self,
        words: Sequence[str],
        patience: float,
        program: str = sys.executable,
        pass_fds: Sequence[int] = (),
    ) -> Child:
        """Run Python, or another program, with ``words``; it has ``patience`` seconds for all it does."""
        with uninterrupted():
            child = Child(words, self._environment, patience, program, pass_fds)
            self._started.append(child)
        return child

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """An impatient second Ctrl-C interrupts one wait, and the rest are ended all the same."""
        interrupted: KeyboardInterrupt | None = None
        while self._started:
            child = self._started[-1]
            try:
                child.stop()
            except KeyboardInterrupt as again:
                interrupted = again
                continue
            self._started.pop()
        if interrupted is not None and kind is None:
            raise interrupted
