"""Lab 3: decide when one more segment may be requested.

The fetcher drives here: a REQUEST is the permission to send, the DATA that comes back is the data and the
acknowledgement at once. Times are seconds.
"""

from __future__ import annotations

from typing import Any

Answer = Any  # answer.number, answer.sent_at, answer.times_sent


class Sender:
    """Requests at most ``window`` segments that have not come yet; ``window`` 1 is stop-and-wait."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.outstanding = 0  # requests without an answer

    def may_send(self, now: float) -> bool:
        """May one more segment be requested now? If you return True, it is."""
        # answer
        if self.outstanding >= self.window:
            return False
        self.outstanding += 1
        return True
        # blank
        # return False  # yours
        # end of answer

    def on_answer(self, answer: Answer, now: float) -> None:
        """DATA came. ``answer.number``, ``answer.sent_at``, ``answer.times_sent``."""
        # answer
        self.outstanding -= 1
        # blank
        # pass  # yours
        # end of answer

    def timeout(self, now: float, again: int) -> float:
        """Seconds from now until the oldest request is repeated; ``again``: how often in a row it was."""
        # answer
        return 0.5
        # blank
        # return 60.0  # yours
        # end of answer
