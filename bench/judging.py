"""One figure and its bound. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bound:
    """A requirement on a figure: its value or its ratio is at least, or at most, ``limit``."""

    of: str  # "value" or "ratio"
    at_least: bool
    limit: float

    def holds(self, figure: Figure) -> bool | None:
        """None if there is nothing to judge."""
        number = figure.value if self.of == "value" else figure.ratio
        if number is None:
            return None
        return number >= self.limit if self.at_least else number <= self.limit


@dataclass(frozen=True)
class Figure:
    """One row of the table. ``unit`` is B/s, B, s, ms, s/GiB, "" for a ratio, /s, or what is counted."""

    name: str
    value: float | None
    unit: str
    reference_name: str = ""
    reference: float | None = None
    bounds: tuple[Bound, ...] = ()
    note: str = ""
    rounds: tuple[float, ...] = ()  # the values that ``value`` is the median of, if they are kept

    @property
    def ratio(self) -> float | None:
        """Value ÷ reference."""
        if self.value is None or not self.reference:
            return None
        return self.value / self.reference

    @property
    def ok(self) -> bool | None:
        """Whether all bounds hold; None if nothing is judged."""
        verdicts = [bound.holds(self) for bound in self.bounds]
        known = [verdict for verdict in verdicts if verdict is not None]
        return all(known) if known else None

    def as_json(self) -> dict[str, Any]:
        """For the saved results."""
        return {
            "figure": self.name,
            "value": self.value,
            "unit": self.unit,
            "reference_name": self.reference_name,
            "reference": self.reference,
            "ratio": self.ratio,
            "bounds": [{"of": b.of, "at_least": b.at_least, "limit": b.limit} for b in self.bounds],
            "ok": self.ok,
            "note": self.note,
            "rounds": list(self.rounds),
        }


def at_least(limit: float) -> tuple[Bound, ...]:
    """The value must be so large."""
    return (Bound("value", True, limit),)


def at_most(limit: float) -> tuple[Bound, ...]:
    """The value must be so small."""
    return (Bound("value", False, limit),)


def exit_code(rows: Iterable[Figure]) -> int:
    """0 if nothing that was judged is short, else 1."""
    return 1 if any(row.ok is False for row in rows) else 0
