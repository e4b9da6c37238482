"""Planted mistakes: ``wrong/NAME.diff`` changes lines of our solution, and names the stage that catches it.

    caught by s3
    the timer is started when a request is sent, and never again
    -        return self.deadline - now
    +        return self.sent_at + 0.3 - now

Lines that begin with "-" stand in ``mine.py`` exactly so, once, and are replaced by the "+" lines after them.
``wrong/NAME.txt`` is the transcript of the failure that a student would see.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from common.errors import CommandError


@dataclass(frozen=True)
class Mistake:
    """One planted mistake, and the stage that must catch it."""

    path: Path
    stage: str
    story: str
    changes: tuple[tuple[str, str], ...]  # (lines of our solution, lines instead)

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def transcript(self) -> Path:
        """Where the expected failure stands."""
        return self.path.with_suffix(".txt")

    def source(self, mine: str) -> str:
        """``mine`` (our solution's text) with the mistake in it. CommandError if it does not fit."""
        for before, after in self.changes:
            if mine.count(before) != 1:
                raise CommandError(f"{self.path}: found {mine.count(before)} times, not once:\n{before}")
            mine = mine.replace(before, after)
        return mine


def mistakes(folder: Path) -> list[Mistake]:
    """The planted mistakes of the lab in ``folder``."""
    return [read(path) for path in sorted((folder / "wrong").glob("*.diff"))]


def read(path: Path) -> Mistake:
    """The mistake in ``path``. CommandError."""
    lines = path.read_text(encoding="utf-8").splitlines()
    head = re.fullmatch(r"caught by (s\d+)", lines[0] if lines else "")
    if head is None or len(lines) < 3:
        raise CommandError(f"{path}: line 1 is not: caught by sN")
    changes: list[tuple[list[str], list[str]]] = []
    for line in lines[2:]:
        if line.startswith("-"):
            if not changes or changes[-1][1]:
                changes.append(([], []))
            changes[-1][0].append(line[1:])
        elif line.startswith("+") and changes:
            changes[-1][1].append(line[1:])
        elif line:
            raise CommandError(f"{path}: a line begins with neither - nor +: {line}")
    pairs = tuple(("\n".join(old) + "\n", "".join(f"{new}\n" for new in after)) for old, after in changes)
    return Mistake(path, head[1], lines[1], pairs)
