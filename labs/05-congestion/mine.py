"""Lab 5: congestion control, additive increase and multiplicative decrease.

The fetcher limits itself here: the window is how many bytes it may have requested that have not come yet.
Sizes are bytes, times seconds.
"""

from __future__ import annotations


class Controller:
    """The window of one connection."""

    def __init__(self, segment: int) -> None:
        self.segment = segment  # bytes of file in one DATA
        self.bytes = 10.0 * segment
        # answer
        self.reduced_at = -1.0  # when the window was reduced last
        # blank
        # end of answer

    def on_received(self, size: int, now: float) -> None:
        """``size`` bytes came, and the window was full when they were requested."""
        # answer
        self.bytes += self.segment * size / self.bytes  # a segment for each window that came
        # blank
        # pass  # yours
        # end of answer

    def on_lost(self, sent_at: float, now: float) -> None:
        """Bytes that were requested at ``sent_at`` are lost. A full queue drops many at once."""
        # answer
        if sent_at > self.reduced_at:
            self.bytes = max(self.bytes / 2, 2.0 * self.segment)
            self.reduced_at = now
        # blank
        # pass  # yours
        # end of answer

    def window(self) -> float:
        """How many bytes may be outstanding. Given."""
        return self.bytes
