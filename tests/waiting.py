"""Waiting for a condition that no event reports."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(condition: Callable[[], bool], patience: float = 20.0) -> None:
    """Return once ``condition()`` is true; fails after ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
