"""A user's congestion controller in a connection, with a built-in one behind it.

WindowController   makes a CongestionController of a class with ``on_received``, ``on_lost`` and ``window``
UserController      the user's controller, and the built-in one after its first fault
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

from node.chunk_udp.congestion.base import (
    MINIMUM_SEGMENTS,
    CongestionController,
    FlowHandle,
    RoundSample,
    RoundTripTime,
)
from node.user_parts.take_over import TakeOver

MAX_WINDOW = 1 << 26  # bytes; a larger window of a WindowController counts as this one

MakeController = Callable[[int], CongestionController]  # takes the segment size in bytes


class SmallController(Protocol):
    """The three methods of the labs' Controller. Sizes are bytes, times seconds."""

    def on_received(self, size: int, now: float) -> None:
        """``size`` bytes came, and the window was full when they were requested."""
        ...

    def on_lost(self, sent_at: float, now: float) -> None:
        """Bytes that were requested at ``sent_at`` are lost."""
        ...

    def window(self) -> float:
        """How many bytes may be outstanding."""
        ...


class WindowController(CongestionController):
    """Asks a SmallController for its window after each event.

    ``nonsense`` is called with a sentence about an invalid window, and raises.
    """

    def __init__(self, part: SmallController, segment_size: int, nonsense: Callable[[str], object]) -> None:
        super().__init__(segment_size)
        self._part, self._nonsense = part, nonsense
        self._least = MINIMUM_SEGMENTS * segment_size  # the segment size of which the part knows
        self._read_window()

    def on_received(
        self, size: int, sent_at: float, rtt: RoundTripTime, now: float, window_limited: bool
    ) -> None:
        """See ``CongestionController``. A window that is far from full does not grow."""
        if window_limited:
            self._part.on_received(size, now)
            self._read_window()

    def on_lost(self, size: int, sent_at: float, now: float) -> None:
        """See ``CongestionController``."""
        self._part.on_lost(sent_at, now)
        self._read_window()

    def on_persistent_congestion(self, now: float) -> None:
        """See ``CongestionController``. For the part it is a loss."""
        self.on_lost(0, now, now)

    def _read_window(self) -> None:
        window = self._part.window()
        if isinstance(window, bool) or not isinstance(window, (int, float)) or not math.isfinite(window):
            self._nonsense(f"window() returned {window!r}; bytes are wanted")
        if window < self._least:
            self._nonsense(
                f"window() returned {window:.0f}; fewer than two segments ({self._least} bytes) may "
                f"never move again"
            )
        self.window = max(min(float(window), MAX_WINDOW), self.minimum_window)


class UserController(CongestionController):
    """The controller of ``make_own``; that of ``make_builtin`` after the part's first fault."""

    def __init__(
        self, segment_size: int, make_own: Any, make_builtin: MakeController, over: TakeOver
    ) -> None:
        super().__init__(segment_size)
        self._make_builtin = make_builtin
        self._over = over
        self._own: CongestionController | None = over.run(lambda: make_own(segment_size), lambda: None)
        self._builtin: CongestionController | None = None
        self._read(self._current())

    def _current(self) -> CongestionController:
        """The controller that steers now."""
        if self._own is not None and not self._over.line:
            return self._own
        if self._builtin is None:
            self._builtin = self._make_builtin(self.segment_size)
        return self._builtin

    def _do(self, call: Callable[[CongestionController], Any]) -> Any:
        """``call`` the controller, and take over its window."""
        controller = self._current()
        controller.segment_size = self.segment_size
        result = self._over.run(lambda: call(controller), lambda: call(self._current()))
        self._read(self._current())
        return result

    def _read(self, controller: CongestionController) -> None:
        self.window = controller.window

    def pacing_rate(self, rtt: RoundTripTime) -> float:
        """See ``CongestionController``."""
        return float(self._do(lambda controller: controller.pacing_rate(rtt)))

    def on_received(
        self, size: int, sent_at: float, rtt: RoundTripTime, now: float, window_limited: bool
    ) -> None:
        """See ``CongestionController``."""
        self._do(lambda controller: controller.on_received(size, sent_at, rtt, now, window_limited))

    def on_round(self, ended: RoundSample, flow: FlowHandle, now: float) -> None:
        """See ``CongestionController``."""
        self._do(lambda controller: controller.on_round(ended, flow, now))

    def on_lost(self, size: int, sent_at: float, now: float) -> None:
        """See ``CongestionController``."""
        self._do(lambda controller: controller.on_lost(size, sent_at, now))

    def on_persistent_congestion(self, now: float) -> None:
        """See ``CongestionController``."""
        self._do(lambda controller: controller.on_persistent_congestion(now))
