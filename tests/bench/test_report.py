"""The table and the JSON."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from bench import report
from bench.figures import figures
from bench.records import Measured, Transfer, Usage


def measured() -> Measured:
    transfer = Transfer(1 << 30, 1.0, 2.0, (Usage(1.0, 200 << 20),), Usage(2.0, 50 << 20), {1: 1 << 30})
    return Measured(1 << 30, sha1=[2e9], ours=[transfer])


def test_the_table_says_value_reference_ratio_and_verdict() -> None:
    out = io.StringIO()
    Console(file=out, width=200).print(report.table(figures(measured()), "title"))
    lines = out.getvalue().splitlines()
    line = next(line for line in lines if "download, 1 owner" in line)
    assert [part.strip() for part in line.strip("│").split("│")][:6] == [
        "download, 1 owner",
        "1,074 MB/s",
        "SHA-1 2,000 MB/s",
        "0.54",
        "≥ 0.35",
        "ok",
    ]
    line = next(line for line in lines if "peak RSS, owner" in line)
    assert "200.0 MiB" in line and "≤ 100.0 MiB" in line and "short" in line


def test_what_is_unknown_is_said() -> None:
    assert report.amount(None, "B/s") == "unknown"


def test_everything_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "results.json"
    report.save(report.document(figures(measured()), measured(), {"cores": 2}, "now"), path)
    saved = json.loads(path.read_text(encoding="utf-8"))
    assert saved["machine"] == {"cores": 2}
    assert saved["runs"]["ours"][0]["owners"][0]["peak_rss"] == 200 << 20
    row = next(row for row in saved["figures"] if row["figure"] == "download, 1 owner")
    assert row["ok"] is True and row["bounds"] == [{"of": "ratio", "at_least": True, "limit": 0.35}]
