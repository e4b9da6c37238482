"""Log lines are the report's, one a record, whatever a stranger puts into a name."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.logs import log, open_log
from common.text import sanitize


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "logs" / "node1.log"
    handler = open_log(path, 2000)
    yield path
    logging.getLogger("swarm").removeHandler(handler)
    logging.getLogger("swarm").propagate = True  # as it was, for other tests
    handler.close()


def test_a_line_has_the_time_and_the_text(log_file: Path) -> None:
    log("node 1 entered")
    assert re.fullmatch(r"\[\d\d:\d\d:\d\d\]  node 1 entered\n", log_file.read_text(encoding="utf-8"))


def test_logs_are_rotated_and_three_old_ones_kept(log_file: Path) -> None:
    for number in range(500):
        log(f"event {number}")
    names = sorted(path.name for path in log_file.parent.iterdir())
    assert names == ["node1.log", "node1.log.1", "node1.log.2", "node1.log.3"]
    assert all(path.stat().st_size <= 2000 for path in log_file.parent.iterdir())


def test_percent_signs_are_text(log_file: Path) -> None:
    log("100% of %s")
    assert "100% of %s" in log_file.read_text(encoding="utf-8")


def test_clean_leaves_ordinary_names_alone() -> None:
    assert sanitize("Übung 3 – Lösung.pdf") == "Übung 3 – Lösung.pdf"
