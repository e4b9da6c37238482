"""``python -m labs list | grade | predict | call``: the grader's commands."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from common.errors import CommandError
from labs.exports import WRITERS, autolab, write_all
from labs.grader import golden
from labs.grader.blank import is_solution
from labs.grader.grade import begun, course_and_salt, grade, run_stage
from labs.grader.lab import Lab, find, folders, load
from labs.grader.parameters import NOBODY, draw, seed_of
from labs.grader.result import FAILED, NOT_FINISHED, PASSED, LabResult, StageResult
from labs.grader.story import heading
from labs.grader.student import Student
from labs.handin import answers


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the grader's commands to ``python -m labs``."""
    commands.add_parser("list", help="the labs").set_defaults(run=list_labs)
    parser = commands.add_parser("grade", help="check a lab, or all: python -m labs grade 03 s2")
    parser.add_argument("lab", help="a lab's number or name, or all")
    parser.add_argument("stage", nargs="?", help="only this stage")
    add_student(parser)
    for name, (_, meaning) in WRITERS.items():
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"write {meaning}")
    parser.add_argument("--autolab", action="store_true", help="end with the two lines that Autolab reads")
    parser.set_defaults(run=grade_labs)
    parser = commands.add_parser("predict", help="the numbers to predict before the first run")
    parser.add_argument("lab")
    add_student(parser)
    parser.set_defaults(run=predict)
    parser = commands.add_parser("golden", help="write the transcripts of the planted mistakes again")
    parser.set_defaults(run=write_golden)
    parser = commands.add_parser("call", help="repeat one call of a stage: python -m labs call 03 s2 41")
    parser.add_argument("lab")
    parser.add_argument("stage")
    parser.add_argument("number", type=int)
    add_student(parser)
    parser.set_defaults(run=repeat_call)


def add_student(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the student, the seed and the solution."""
    parser.add_argument("--student", default=NOBODY, metavar="ID", help="whose numbers are drawn")
    parser.add_argument("--seed", type=lambda text: int(text, 16), help="the seed of an earlier run, in hex")
    parser.add_argument("--mine", type=Path, metavar="FILE", help="the solution (default: the lab's mine.py)")


def seed_for(options: argparse.Namespace, lab: Lab) -> int:
    """The seed that was asked for, else that of the student in this course and term."""
    if options.seed is not None:
        return int(options.seed)
    return seed_of(*course_and_salt(), lab.name, options.student)


def list_labs(options: argparse.Namespace) -> int:
    """Print a line for each lab."""
    for folder in folders():
        lab = load(folder)
        points = sum(stage.points for stage in lab.stages)
        print(f"{lab.name:<20} {lab.minutes:>3} min  {lab.difficulty:<7} {points:>3} points  {lab.title}")
    return 0


def grade_labs(options: argparse.Namespace) -> int:
    """Run the stages; exit code 0 if all passed."""
    labs = [load(folder) for folder in folders()] if options.lab == "all" else [find(options.lab)]
    if options.stage is not None:
        labs[0].stage(options.stage)
    files = {name: path for name in WRITERS if (path := getattr(options, name)) is not None}
    results = [begun(lab, mine_of(options, lab), seed_for(options, lab), options.student) for lab in labs]
    for number, lab in enumerate(labs):
        for results[number] in graded(options, lab):
            write_all(files, results)
    if options.autolab:
        print("\n".join(autolab.lines(results)))
    return 0 if all(result.has_passed for result in results) else 1


def graded(options: argparse.Namespace, lab: Lab) -> Iterator[LabResult]:
    """The result of ``lab`` so far, each time a stage is done, which is printed."""
    shown, result = 0, None
    for result in grade(lab, mine_of(options, lab), seed_for(options, lab), options.student, options.stage):
        done = [stage for stage in result.stages if stage.status != NOT_FINISHED]
        for stage in done[shown:]:
            print("\n".join(stage_lines(lab, stage)), flush=True)
        shown = len(done)
        yield result
    assert result is not None
    print("\n".join(summary_lines(result)), flush=True)
    if options.mine is None and result.points and is_solution(lab.mine.read_text("utf-8", "replace")):
        print("  this is our solution; for a copy without it: python -m labs handout OUT")


def stage_lines(lab: Lab, stage: StageResult) -> Iterator[str]:
    """One stage for the terminal."""
    outcome = {PASSED: f"ok  {stage.points}", FAILED: "FAIL  0"}.get(
        stage.status, f"{stage.status}: {stage.summary}"
    )
    if stage.status in (PASSED, FAILED):
        outcome += f" of {stage.max_points}"
    yield heading(lab.name, stage.key, stage.title, outcome)
    if stage.story:
        yield ""
        yield from stage.story
        yield ""


def summary_lines(result: LabResult) -> Iterator[str]:
    """The output of the file, and the points."""
    if result.printed.strip():
        yield "  your file printed:"
        yield from (f"  | {line}" for line in result.printed.splitlines()[:20])
    whose = "" if result.student == NOBODY else f", student {result.student}"
    yield f"{result.lab}: {result.points} of {result.max_points} points{whose}, seed {result.seed}"


def predict(options: argparse.Namespace) -> int:
    """Print the questions of a lab, with this student's numbers; make answers.toml if it is missing."""
    lab = find(options.lab)
    questions = lab.predict(draw(seed_for(options, lab), "predict"))
    for number, question in enumerate(questions, 1):
        print(f"p{number}. {question.text} [{question.unit}]")
    if options.student == NOBODY:
        print("these numbers are no student's: add --student ID for your own")
        return 0
    file = lab.folder / "answers.toml"
    if not file.exists():
        file.write_text(answers.template(questions), encoding="utf-8")
    print(f"write your numbers into labs/{lab.name}/{file.name}, before the first run")
    return 0


def write_golden(options: argparse.Namespace) -> int:
    """Write wrong/NAME.txt of every lab; exit code 1 if a mistake is not caught."""
    missed = [line for folder in folders() for line in golden.write(load(folder))]
    print("\n".join(missed) or "every planted mistake is caught")
    return 1 if missed else 0


def repeat_call(options: argparse.Namespace) -> int:
    """Run a stage up to one call, and print the call with its arguments and its result."""
    lab = find(options.lab)
    stage = lab.stage(options.stage)
    shown: list[str] = []

    def watch(student: Student) -> None:
        student.watch_call(options.number, shown.append)

    run_stage(lab, stage, mine_of(options, lab), seed_for(options, lab), watch)
    print("\n".join(shown) or f"this run has no call {options.number}")
    return 0 if shown else 1


def mine_of(options: argparse.Namespace, lab: Lab) -> Path:
    """The solution to check. CommandError if it is missing."""
    path: Path = options.mine or lab.mine
    if options.mine is not None and path.is_dir():
        path = path / lab.name / "mine.py" if (path / lab.name).is_dir() else path / "mine.py"
    if not path.is_file():
        raise CommandError(f"{path} is missing")
    return path
