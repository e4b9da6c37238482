"""Every lab: our solution passes, the blank and each planted mistake do not, and each reference exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from labs.grader.blank import cut
from labs.grader.golden import transcript
from labs.grader.grade import grade
from labs.grader.lab import Lab, folders, load
from labs.grader.parameters import NOBODY, draw, seed_of
from labs.grader.planted import Mistake, mistakes
from labs.grader.result import FAILED, PASSED, LabResult
from labs.grader.stage import MAX_CHECK_LINES

ROOT = Path(__file__).resolve().parent.parent.parent
LABS = [load(folder) for folder in folders()]
every_lab = pytest.mark.parametrize("lab", LABS, ids=[lab.name for lab in LABS])
PLANTED = [(lab, mistake) for lab in LABS for mistake in mistakes(lab.folder)]
STUDENTS = [f"student{number}" for number in range(50)]
MIN_MISTAKES = 5


def graded(lab: Lab, mine: Path, student: str = NOBODY) -> LabResult:
    *_, result = grade(lab, mine, seed_of("networks", "", lab.name, student), student)
    return result


@every_lab
def test_our_solution_passes_and_repeats_its_trace(lab: Lab) -> None:
    result = graded(lab, lab.mine)
    assert [(stage.key, stage.status, stage.summary) for stage in result.stages] == [
        (stage.key, PASSED, "") for stage in lab.stages
    ]


@every_lab
def test_the_unchanged_blank_fails_where_it_should(lab: Lab, tmp_path: Path) -> None:
    blank, answers = cut(lab.mine.read_text(encoding="utf-8"))
    (tmp_path / "mine.py").write_text(blank, encoding="utf-8")
    failed = [stage.key for stage in graded(lab, tmp_path / "mine.py").stages if stage.status == FAILED]
    assert failed == [lab.blank_fails]
    assert lab.lines == len([line for line in answers if line.strip()])


@pytest.mark.parametrize(("lab", "mistake"), PLANTED, ids=[f"{lab.name}-{m.name}" for lab, m in PLANTED])
def test_a_planted_mistake_is_caught_with_its_transcript(lab: Lab, mistake: Mistake) -> None:
    """`python -m labs golden` writes the transcripts anew."""
    result, text = transcript(lab, mistake)
    assert result.status == FAILED
    assert text == mistake.transcript.read_text(encoding="utf-8")


@every_lab
def test_two_students_predict_different_numbers(lab: Lab) -> None:
    drawn = {
        tuple(
            question.answer
            for question in lab.predict(draw(seed_of("networks", "", lab.name, student), "predict"))
        )
        for student in STUDENTS
    }
    assert len(drawn) >= 45


@every_lab
def test_checks_are_short_and_name_what_exists(lab: Lab) -> None:
    text = (lab.folder / "checks.py").read_text(encoding="utf-8")
    planted = {mistake.name for mistake in mistakes(lab.folder)}
    assert set(re.findall(r"wrong/(\w+)", text)) <= planted
    assert len(planted) >= MIN_MISTAKES
    assert {stage.key for stage in lab.stages} >= {mistake.stage for mistake in mistakes(lab.folder)}
    for function in ast.parse(text).body:
        if isinstance(function, ast.FunctionDef) and re.fullmatch(r"s\d+", function.name):
            assert function.end_lineno is not None
            assert function.end_lineno - function.lineno + 1 <= MAX_CHECK_LINES, function.name


@every_lab
def test_rules_point_at_headings_that_exist(lab: Lab) -> None:
    for stage in lab.stages:
        for name, anchor in re.findall(r"(docs/[\w.-]+\.md)(?:#([\w-]+))?", stage.rule):
            text = (ROOT / name).read_text(encoding="utf-8")
            headings = {
                re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
                for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
            }
            assert not anchor or anchor in headings, (stage.key, name, anchor, sorted(headings))
