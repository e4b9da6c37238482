"""Which lines of the log the tracker shows on its terminal. Pure.

A node that finds no owner asks once a second. Its line is repeated only if the number of owners changed, or
after a minute. The log file has all of them.
"""

from __future__ import annotations

from collections import OrderedDict

UNSHOWN_EVENTS = ("UPDATE", "tracker ")  # beginnings of log lines that do not go to the terminal
REPEAT_SECONDS = 60.0  # between two equal NEED lines of a node
MAX_REMEMBERED = 1000  # pairs of a node and a file


class TerminalEvents:
    """Chooses the lines. Not thread-safe."""

    def __init__(self) -> None:
        self._needs: OrderedDict[str, tuple[str, float]] = OrderedDict()  # owners, and when it was shown

    def shows(self, line: str, now: float) -> bool:
        """True if ``line`` goes to the terminal at ``now`` (monotonic seconds)."""
        if line.startswith(UNSHOWN_EVENTS):
            return False
        if not line.startswith("NEED "):
            return True
        asked, _, owners = line.rpartition(", ")
        before, shown_at = self._needs.get(asked, ("", 0.0))
        if owners == before and now - shown_at < REPEAT_SECONDS:
            return False
        self._needs[asked] = owners, now
        self._needs.move_to_end(asked)
        if len(self._needs) > MAX_REMEMBERED:
            self._needs.popitem(last=False)
        return True
