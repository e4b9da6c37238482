"""Processor seconds of another process, and how long it slept, where the system counts them."""

from __future__ import annotations

import contextlib
import os
import subprocess

_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def processor_seconds(pid: int) -> float | None:
    """User and system time of process ``pid``; None if it is not known."""
    if os.path.exists("/proc/self/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / _TICK
        return None
    if os.name == "nt":
        return None  # the limit of the clock holds
    with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
        text = subprocess.run(
            ["ps", "-o", "time=", "-p", str(pid)], capture_output=True, text=True, timeout=5, check=True
        ).stdout.strip()
        seconds = 0.0
        for part in text.replace("-", ":").split(":"):
            seconds = seconds * 60 + float(part)
        return seconds
    return None


class Sleep:
    """How long a process has slept while the grader waited for it.

    A process that waits for a processor does not sleep, where the system tells the two apart (Linux). A look
    that was late counts as ``longest`` seconds: the machine was busy, or the grader was stopped as well.
    """

    def __init__(self, pid: int, longest: float) -> None:
        self._pid = pid
        self._longest = longest
        self._busy = self._ran_or_waited()

    def of(self, waited: float) -> float:
        """The seconds slept of the ``waited`` seconds up to now. Times before the last call do not count."""
        before, self._busy = self._busy, self._ran_or_waited()
        if self._is_ready():
            return 0.0
        return max(0.0, min(waited, self._longest) - (self._busy - before))

    def _ran_or_waited(self) -> float:
        """Seconds that its first thread ran, or was ready and waited for a processor; 0.0 if not known."""
        with contextlib.suppress(OSError, IndexError, ValueError):
            with open(f"/proc/{self._pid}/schedstat", encoding="ascii") as file:
                ran, waited = file.read().split()[:2]
            return (int(ran) + int(waited)) / 1e9
        return 0.0

    def _is_ready(self) -> bool:
        with (
            contextlib.suppress(OSError),
            open(f"/proc/{self._pid}/stat", encoding="ascii", errors="replace") as file,
        ):
            return file.read().rpartition(")")[2].split()[:1] == ["R"]
        return False
