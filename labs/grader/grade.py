"""The stages of a lab in their order, and the result of each."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from common.text import sanitize
from labs.grader.lab import LABS, Lab
from labs.grader.parameters import NOBODY, draw, seed_of
from labs.grader.result import FAILED, NOT_RUN, PASSED, LabResult, StageResult
from labs.grader.run import Run
from labs.grader.stage import Stage, StageFailed, StudentFault
from labs.grader.story import ROWS, story
from labs.grader.student import Student

COURSE_FILE = LABS / "course.json"  # in a handout only
VERSION = "1"  # of the checks: a trace may change with it


def begun(lab: Lab, mine: Path, seed: int, student: str, only: str | None = None) -> LabResult:
    """The result before the first stage."""
    stages = tuple(
        StageResult(stage.key, stage.title, stage.points) for stage in lab.stages if only in (None, stage.key)
    )
    try:
        file_hash = hashlib.sha256(mine.read_bytes()).hexdigest() if mine.is_file() else ""
    except OSError:  # the first stage reports it
        file_hash = ""
    versions = {"labs": VERSION, "python": platform.python_version(), "system": platform.system()}
    return LabResult(lab.name, lab.title, student, f"{seed:016x}", file_hash, versions, stages)


def grade(lab: Lab, mine: Path, seed: int, student: str, only: str | None = None) -> Iterator[LabResult]:
    """The result so far: first with no stage finished, then after each stage. ``only``: a stage's key."""
    result = begun(lab, mine, seed, student, only)
    stages, results = [lab.stage(each.key) for each in result.stages], list(result.stages)
    yield result
    needs = ""
    for number, stage in enumerate(stages):
        if needs:
            results[number] = dataclasses.replace(results[number], status=NOT_RUN, summary=f"needs {needs}")
        else:
            results[number], run, printed = run_stage(lab, stage, mine, seed)
            del run
            gc.collect()  # a simulated swarm refers to itself: those of many hand-ins would add up
            result = dataclasses.replace(result, printed=printed)
            needs = stage.key if results[number].status == FAILED else ""
        result = dataclasses.replace(result, stages=tuple(results))
        yield result


def run_stage(
    lab: Lab, stage: Stage, mine: Path, seed: int, watch: Callable[[Student], None] | None = None
) -> tuple[StageResult, Run, str]:
    """Run one stage in a new process: its result, its run with the trace, and the file's output."""
    began = time.perf_counter()
    done = StageResult(stage.key, stage.title, stage.points)
    with Student(mine) as student:
        run = Run(student, draw(seed, stage.key))
        if watch is not None:
            watch(student)
        try:
            student.load()
            stage.check(run)
            done = dataclasses.replace(done, status=PASSED, points=stage.points)
        except Exception as error:
            failed = run.failure = _failure(error, run)
            rows = run.trace.around(failed.at, ROWS)
            usual = seed == seed_of(*course_and_salt(), lab.name, NOBODY)
            lines = story(lab.name, stage, failed, rows, f"{seed:016x}", usual)
            summary = failed.line if isinstance(failed, StudentFault) else str(failed)
            done = dataclasses.replace(done, status=FAILED, summary=summary, story=lines)
        printed = student.printed()
        seconds = time.perf_counter() - began
        return (
            dataclasses.replace(done, seconds=seconds, trace_hash=run.trace.hash, calls=student.calls),
            run,
            printed,
        )


def _failure(error: Exception, run: Run) -> StageFailed:
    """Why the stage failed. A check that cannot go on with a returned value is a failure, too."""
    if isinstance(error, StageFailed):
        return error
    if run.student.answers < 2:  # nothing but the import has returned: the check itself is wrong
        raise error
    last = run.student.last or "a value of the file"
    words = f"{run.student.path.name}: {last}: the check cannot go on with this"
    return StudentFault(f"{words} ({type(error).__name__}: {sanitize(str(error))[:80]})", run.student.calls)


def course_and_salt() -> tuple[str, str]:
    """COURSE and TERM_SALT of the environment, else the values in the handout.

    A new salt each term makes old solutions worthless.
    """
    told: dict[str, str] = json.loads(COURSE_FILE.read_text("utf-8")) if COURSE_FILE.is_file() else {}
    course, salt = told.get("COURSE", "networks"), told.get("TERM_SALT", "")
    return os.environ.get("COURSE", course), os.environ.get("TERM_SALT", salt)
