"""Faults on purpose, at two scales: a few seconds each in the suite, and for minutes as ``make chaos``.

``CHAOS_MINUTES`` set means long: larger files, longer faults, and a churn that fills what is left of the
time. ``CHAOS_SEED`` decides all that is left to chance, ``CHAOS_NODES`` how many come and go. Each test notes
what it measured; ``make chaos`` prints it as it comes, and all of it at the end.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

MB = 1_000_000
MINUTES = float(os.environ.get("CHAOS_MINUTES") or 0)
SEED = int(os.environ.get("CHAOS_SEED") or 1)
NODES = int(os.environ.get("CHAOS_NODES") or 200)
LONG = MINUTES > 0
SETTLING = 40  # seconds that the churn takes to come to its end
_notes = pytest.StashKey[list[str]]()


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    size: int  # bytes of a file
    rate: int  # bytes a second that an owner sends
    gone: float  # seconds for which something is away
    kills: int  # of a downloader, at even shares of its file
    moments: int  # random ones, at which a downloader is killed
    nodes: int  # in the churn, at a time
    churn: float  # seconds of it
    events: int  # of it, at least
    measured: bool  # whether disturbed downloads are compared with undisturbed ones, or with arithmetic

    @property
    def limit(self) -> dict[str, str]:
        """Settings of an owner, so that downloads have a middle."""
        return {"UPLOAD_LIMIT": f"{self.rate // 1000}kB"}


SHORT = Scale(
    size=4 * MB, rate=2 * MB, gone=2.5, kills=3, moments=3, nodes=4, churn=1, events=9, measured=False
)
FULL = Scale(
    size=24 * MB, rate=2 * MB, gone=30, kills=9, moments=50, nodes=NODES, churn=300, events=300, measured=True
)
_BEGAN = time.monotonic()


@pytest.fixture
def scale() -> Scale:
    """Short in the suite, long under ``make chaos``."""
    if not LONG:
        return SHORT
    rest = 60 * MINUTES - (time.monotonic() - _BEGAN) - SETTLING
    return replace(FULL, churn=max(30 * MINUTES, rest), events=int(30 * MINUTES))


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Seeded for this test."""
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[..., None]:
    """``note("owner killed", noticed=0.41)``: a measurement for the table at the end."""
    notes = request.config.stash.setdefault(_notes, [])

    def take(what: str, **figures: object) -> None:
        told = ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in figures.items())
        notes.append(f"{what:<44} {told}")
        print(f"    {notes[-1]}", flush=True)

    return take


def _shown(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def pytest_report_header() -> list[str]:
    """The seed, to do it again."""
    return [f"chaos: {MINUTES:g} minutes, seed {SEED}"] if LONG else []


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """All that was measured."""
    if LONG and (notes := config.stash.get(_notes, [])):
        terminalreporter.section(f"measured, seed {SEED}")
        for line in notes:
            terminalreporter.write_line(line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Under ``make chaos`` each test may take minutes; the churn comes last and takes what is left."""
    if LONG:
        for item in items:
            item.add_marker(pytest.mark.timeout(60 * MINUTES + 600))
        items.sort(key=lambda item: "churn" in item.nodeid)


class Watch:
    """Seconds since it was made, or since ``again``."""

    def __init__(self) -> None:
        self._begin = time.monotonic()

    def again(self) -> None:
        """From now on."""
        self._begin = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has been."""
        return time.monotonic() - self._begin


@pytest.fixture
def watch() -> Callable[[], Watch]:
    """``watch()``: a stopwatch that runs."""
    return Watch


def received(node: Any) -> int:
    """Bytes received, by the node's last progress event."""
    progress = node.seen("progress")
    return int(progress[-1]["received"]) if progress else 0


@pytest.fixture
def in_the_middle() -> Callable[..., int]:
    """``in_the_middle(node, share=0.3)``: wait until that share of the file is there; bytes received by
    then."""

    def wait(node: Any, share: float = 0.3) -> int:
        size = node.wait_for("download_started")["size"]
        node.wait_until(f"{share:.0%} received", lambda: received(node) >= share * size)
        assert not node.seen("completed"), "too fast to be disturbed in the middle"
        return received(node)

    return wait
