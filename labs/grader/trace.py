"""The steps of a run, in virtual time. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_ROWS = 200_000  # after which a run is not recorded any more


@dataclass(frozen=True)
class Row:
    """One thing that happened at ``time`` (virtual seconds).

    A message has ``sender`` and ``receiver``. ``call`` is the call of the student's part, with its result.
    """

    time: float
    text: str
    call: str = ""
    mark: str = ""  # "lost", "wrong"
    sender: str = ""
    receiver: str = ""
    message: str = ""  # "REQUEST 2"
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The row as the trace's hash sees it: times in microseconds, so that it is the same everywhere."""
        return f"{round(self.time * 1e6)} {self.mark} {self.text} {self.call}"


class Trace:
    """The rows of one run."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._digest = hashlib.sha256()

    def add(self, row: Row) -> None:
        """Append ``row``."""
        if len(self.rows) < MAX_ROWS:
            self.rows.append(row)
        self._digest.update(row.line.encode() + b"\n")

    @property
    def hash(self) -> str:
        """16 hex digits; the same for the same run, on each system."""
        return self._digest.hexdigest()[:16]

    def around(self, time: float | None, count: int) -> list[Row]:
        """At most ``count`` rows that end with the last one at ``time``; None: the last ones."""
        rows = self.rows if time is None else [row for row in self.rows if row.time <= time + 1e-9]
        return rows[-count:]
