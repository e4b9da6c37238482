"""One figure and what it must reach. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bound:
    """What a figure must reach: its value or its ratio is at least, or at most, ``limit``."""

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
    """One row of the table. ``unit`` is B/s, B, s, s/GiB or files/s."""

    name: str
    value: float | None
    unit: str
    reference_name: str = ""
    reference: float | None = None
    bounds: tuple[Bound, ...] = ()
    note: str = ""

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
        }
