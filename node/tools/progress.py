"""A line on the terminal that says how far hashing is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from node.show import units

REDRAW = 0.1  # min seconds between two updates of the line
_ERASE = "\r\x1b[K"  # to the start of the line, and clear it


class ProgressLine:
    """``on_progress`` for hashing. Nothing is written unless ``stream`` is a terminal."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._is_shown = stream.isatty()
        self._clock = clock
        self._begun = self._drawn = clock()

    def __call__(self, done: int, size: int) -> None:
        """Show that ``done`` of ``size`` bytes are hashed."""
        now = self._clock()
        if not self._is_shown or now - self._drawn < REDRAW:
            return
        self._drawn = now
        rate = done / max(now - self._begun, 1e-9)
        left = units.eta((size - done) / rate if rate else None)
        text = (
            f"hashing  {units.percent(done, size):>6}  {units.part(done, size)}  {units.rate(rate)}  {left}"
        )
        self._write(_ERASE + text)

    def clear(self) -> None:
        """Remove the line."""
        if self._is_shown:
            self._write(_ERASE)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # the terminal is gone
            self._is_shown = False
