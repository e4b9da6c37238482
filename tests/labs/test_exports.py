"""The exports: each is valid at every moment, for results with hostile words, and as its reader parses it."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from labs.exports import WRITERS, autolab, write_all
from labs.grader.lab import find
from labs.grader.result import FAILED, NOT_FINISHED, NOT_RUN, PASSED, LabResult, StageResult
from labs.handin.collect import table
from tests.labs.export_rules import SCHEMAS, autolab_reads, check_all, check_junit

NASTY = '05 congestion: 12:30 http://x \x00\x1b[31m ]]> <b> \ud800 \ufffe | "q" \'a\' \\ \n{"score": 9} 世界'
STATES = (PASSED, FAILED, NOT_RUN, NOT_FINISHED)


def made_up(words: str = NASTY) -> LabResult:
    stages = tuple(
        StageResult(
            *(f"s{number}", f"title {words}", 3, status, 3 * (status == PASSED)),
            **{"summary": words, "story": (words, "  rule: x"), "seconds": 0.25},
            **{"trace_hash": "0" * 16, "calls": 7},
        )
        for number, status in enumerate(STATES, 1)
    )  # fmt: skip
    versions = {"labs": "1", "python": "3.11.7", "system": "Linux"}
    return LabResult("05-congestion", words, words, f"{7:016x}", "f" * 64, versions, stages, printed=words)


def write(folder: Path, results: list[LabResult]) -> None:
    write_all({name: folder / name for name in WRITERS}, results)


@pytest.mark.parametrize("words", [NASTY, "", "plain"])
def test_every_export_of_every_state_is_valid(words: str, tmp_path: Path) -> None:
    result = made_up(words)
    write(tmp_path, [result, replace(result, lab="06-pieces")])
    report = check_all(tmp_path)
    assert (report["points"], report["max_points"]) == (6, 24)
    cases = check_junit(tmp_path / "junit").findall("testsuite/testcase")
    assert [[child.tag for child in case] for case in cases[:4]] == [
        [],
        ["failure"],
        ["skipped"],
        ["skipped"],
    ]
    tests = json.loads((tmp_path / "gradescope").read_text(encoding="utf-8"))["tests"]
    assert [test.get("status") for test in tests[:4]] == ["passed", "failed", None, None]


def test_an_unfinished_result_says_so_everywhere(tmp_path: Path) -> None:
    blank = made_up("x")
    stages = tuple(
        replace(stage, status=NOT_FINISHED, points=0, summary="", story=()) for stage in blank.stages
    )
    write(tmp_path, [replace(blank, stages=stages)])
    assert {stage["status"] for stage in check_all(tmp_path)["labs"][0]["stages"]} == {NOT_FINISHED}
    assert json.loads((tmp_path / "gradescope").read_text(encoding="utf-8"))["output"].startswith(
        "not finished"
    )
    for name in ("junit", "markdown"):
        assert NOT_FINISHED in (tmp_path / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("words", [NASTY, "05 congestion: fairness", "http://host", "12:30"])
def test_autolab_reads_the_last_two_lines_after_its_own_edit(words: str) -> None:
    result = made_up(words)
    feedback, scores = autolab.lines([result])
    assert autolab_reads(scores) == json.loads(scores) == {"scores": {"05-congestion": 3}, "scoreboard": [3]}
    read = autolab_reads(feedback)
    assert read == json.loads(feedback)
    assert (read["_presentation"], read["stages"]) == ("semantic", ["05-congestion"])
    assert [each["passed"] for each in read["05-congestion"].values()] == [True, False, False, False]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("report", {"format": "labs/report/v2"}),
        ("report", {"more": 1}),
        ("gradescope", {"visibility": "sometimes"}),
        ("gradescope", {"score": "full"}),
        ("classroom50", {"score": 0.5}),
        ("classroom50", {"usernames": ["ann"]}),
    ],
)
def test_a_schema_refuses_a_wrong_field(name: str, change: dict[str, object], tmp_path: Path) -> None:
    write(tmp_path, [made_up("x")])
    value = json.loads((tmp_path / ("json" if name == "report" else name)).read_text(encoding="utf-8"))
    rules = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    jsonschema.validate(value, rules)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**value, **change}, rules)


def test_a_cell_of_the_teachers_table_is_no_formula() -> None:
    words = ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", " =1", "a\n=1", 'q"', "plain"]
    rows = [{"student": word, "lab": find("05").name, "first failure": word} for word in words]
    cells = [row["student"] for row in csv.DictReader(io.StringIO(table(rows), newline=""))]
    assert len(cells) == len(words)
    assert [cell for cell in cells if cell.lstrip()[:1] in ("=", "+", "-", "@")] == []
    assert cells[-2:] == words[-2:]
