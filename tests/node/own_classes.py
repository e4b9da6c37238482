"""Files with a user's own class, for tests of ``-use``."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from node.chunk_udp.congestion.base import CongestionController
from node.plugins import load

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """``write(source)``: a file ``mine.py``."""

    def do(source: str) -> Path:
        path = tmp_path / "mine.py"
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return path

    return do


CONTROLLER = """
from node.chunk_udp.congestion.reno import Reno


class Mine(Reno):
    def on_lost(self, size, sent_at, now):
        {body}
"""


def controller(write: Write, body: str) -> CongestionController:
    plugin = load(f"{write(CONTROLLER.format(body=body))}:Mine")
    assert plugin.kind == "congestion"
    made = plugin.factory(1200)
    assert isinstance(made, CongestionController)
    return made
