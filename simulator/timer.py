"""One wake-up call that can be moved; for whoever asks 'when next?' after every event."""

from __future__ import annotations

from collections.abc import Callable

from simulator.clock import Clock


class Timer:
    """Calls ``action`` when ``set`` said."""

    def __init__(self, clock: Clock, action: Callable[[], None]) -> None:
        self._clock = clock
        self._action = action
        self._due = float("inf")

    def set(self, when: float | None) -> None:
        """Call at ``when``; an earlier call that stands already is kept and comes as well, to no harm."""
        if when is None or self._clock.now < self._due <= when:
            return
        self._due = when
        self._clock.at(when, self._fire)

    def _fire(self) -> None:
        if self._clock.now >= self._due:
            self._due = float("inf")
        self._action()
