"""The tracker's dates. Setting the machine's clock changes no duration and no deadline."""

from __future__ import annotations

import time
from collections.abc import Callable


def wall_clock() -> Callable[[], float]:
    """A clock that starts at the time of day, in seconds since 1970, and never goes back."""
    offset = time.time() - time.monotonic()
    return lambda: time.monotonic() + offset
