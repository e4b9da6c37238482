"""How evenly a download went, from the node's events."""

from __future__ import annotations

import json
import time
from typing import Any

from bench.processes import BenchError, Child


class DownloadWatch:
    """Follows one download. ``begun``: monotonic time that seconds count from."""

    def __init__(self, begun: float) -> None:
        self.received = 0  # bytes, at most so far
        self.first = 0.0  # seconds from ``begun`` until owners were asked
        self.gap = 0.0  # seconds, the longest without a byte more, once there was one
        self._begun = begun
        self._last: float | None = None
        self._now = 0.0

    @property
    def seconds(self) -> float:
        """From the first owner asked until the last news."""
        return max(0.0, self._now - self.first)

    def follow(self, child: Child) -> dict[str, Any]:
        """Its ``completed`` event. BenchError if it fails, ends or has no more time."""
        while True:
            try:
                event = json.loads(child.line())
            finally:
                self._now = time.monotonic() - self._begun
            self._take(event)
            if event["event"] == "completed":
                return dict(event)
            if event["event"] in ("failed", "error"):
                raise BenchError(f"{event.get('reason') or event.get('error')}")

    def end(self) -> None:
        """Nothing more comes: the silence until now counts, too."""
        if self._last is not None:
            self.gap = max(self.gap, self._now - self._last)

    def _take(self, event: dict[str, Any]) -> None:
        if event["event"] == "owners_found" and not self.first:
            self.first = self._now
        received = event["size"] if event["event"] == "completed" else event.get("received", 0)
        if event["event"] in ("progress", "completed") and received > self.received:
            self.received = received
            self.end()
            self._last = self._now
