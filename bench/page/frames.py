"""The cost of a frame's script: 60 nodes x 4,000 pieces, 200 links, 5,000 cells changed a frame."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.page.browser import opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MOST = 8.0  # ms of script in a frame
APP = Path(__file__).with_name("frames.js")


@dataclass(frozen=True)
class FrameCosts:
    """ms of script by frame, in all and by panel."""

    frame: tuple[float, ...]
    parts: dict[str, tuple[float, ...]]

    @property
    def median(self) -> float:
        return statistics.median(self.frame)


def measure(browser: Browser, frames: int = 120, warm_up: int = 20) -> FrameCosts:
    """Draw ``frames`` after ``warm_up``."""
    with opened(browser, APP) as page:
        raw = page.evaluate("(frames) => measure(frames)", frames + warm_up)
    parts = {name: tuple(values[warm_up:]) for name, values in raw["parts"].items()}
    return FrameCosts(tuple(raw["frame"][warm_up:]), parts)
