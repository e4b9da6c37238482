"""One wake-up call that can be moved, for loops that compute their next deadline after every event."""

from __future__ import annotations

from collections.abc import Callable

from simulator.clock import Clock


class Timer:
    """Calls ``action`` at the time given to ``set``."""

    def __init__(self, clock: Clock, action: Callable[[], None]) -> None:
        self._clock = clock
        self._action = action
        self._due = float("inf")

    def set(self, when: float | None) -> None:
        """Call at ``when``. An earlier call that is due already still comes, which does no harm."""
        if when is None or self._clock.now < self._due <= when:
            return
        self._due = when
        self._clock.at(when, self._fire)

    def _fire(self) -> None:
        if self._clock.now >= self._due:
            self._due = float("inf")
        self._action()
