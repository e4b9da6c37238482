"""Counts bytes, and measures their rate. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

RATE_SECONDS = 1.0  # seconds over which a rate is smoothed


@dataclass
class Meter:
    """Bytes so far, and their rate (exponentially smoothed)."""

    total: int = 0
    rate: float = 0.0  # bytes a second
    _seen: int = field(default=0, repr=False)

    def tick(self, seconds: float) -> None:
        """``seconds`` have passed since the last tick."""
        if seconds <= 0:
            return
        weight = min(1.0, seconds / RATE_SECONDS)
        latest = (self.total - self._seen) / seconds
        self.rate = latest if not self._seen else self.rate + weight * (latest - self.rate)
        self._seen = self.total
