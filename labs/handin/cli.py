"""``python -m labs receipt | collect | handout | pack | gradescope | new``: handing in and handing out."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from common.files import atomic_write
from labs.exports import write_all
from labs.grader.grade import course_and_salt, grade
from labs.grader.lab import find
from labs.grader.parameters import NOBODY, draw, seed_of
from labs.handin import answers, collect, handout, pack, receipt, skeleton


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to ``python -m labs``."""

    def add(name: str, run: Any, text: str, *arguments: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=f"{text}.")
        for argument in arguments:
            parser.add_argument(argument)
        parser.set_defaults(run=run)
        return parser

    parser = add("receipt", write_receipt, "grade a lab, and write receipt.json and answers.toml", "lab")
    parser.add_argument("--student", required=True, metavar="ID")
    parser = add("collect", collect_all, "grade a folder of hand-ins into one table", "lab")
    parser.add_argument("folder", type=Path, help="a folder for each student, named by the student's ID")
    parser.add_argument("-o", "--out", type=Path, metavar="CSV", help="write the table here")
    parser = add("handout", write_handout, "write the tree for students, without answers")
    parser.add_argument(
        "out", type=Path, help="a new folder; COURSE and TERM_SALT of the environment go along"
    )
    parser.add_argument("--with-answers", action="store_true", help="for staff: the solutions stay")
    parser = add("pack", write_pack, "write a zip for Gradescope", "lab")
    parser.add_argument("--gradescope", type=Path, required=True, metavar="OUT.zip")
    add("gradescope", run_gradescope, "grade /autograder/submission, as the zip does", "lab")
    add("new", make_lab, "make the folder of a new lab: python -m labs new 08-streaming", "name")


def write_receipt(options: argparse.Namespace) -> int:
    """Grade, and write receipt.json next to mine.py; also answers.toml if it is missing."""
    lab = find(options.lab)
    seed = seed_of(*course_and_salt(), lab.name, options.student)
    *_, result = grade(lab, lab.mine, seed, options.student)
    text = json.dumps(receipt.receipt(result), indent=1) + "\n"
    atomic_write(lab.folder / "receipt.json", text.encode(), sync=False)
    predicted, questions = lab.folder / "answers.toml", lab.predict(draw(seed, "predict"))
    if not predicted.exists():
        predicted.write_text(answers.template(questions), encoding="utf-8")
    right = answers.right(answers.read(predicted), questions)
    print(f"{lab.name}: {result.points} of {result.max_points} points, {right} of {len(questions)} predicted")
    if not result.has_passed:
        print(f"a stage fails; why: python -m labs grade {lab.number} --student {options.student}")
    if not answers.is_explained(predicted):
        print(f"your explanation is missing: [explain] in labs/{lab.name}/{predicted.name}")
    print(f"hand in {lab.folder / 'mine.py'}, answers.toml and receipt.json")
    return 0 if result.has_passed else 1


def collect_all(options: argparse.Namespace) -> int:
    """Grade every hand-in, and print or write the table."""
    lab, rows = find(options.lab), []
    for row in collect.collect(lab, options.folder):
        rows.append(row)
        if options.out is not None:
            print(f"{row['student']}: {row['points']} of {row['of']}, receipt {row['receipt']}", flush=True)
            atomic_write(options.out, collect.table(rows).encode(), sync=False)
    if options.out is None:
        print(collect.table(rows), end="")
    return 0


def write_handout(options: argparse.Namespace) -> int:
    """Write the tree."""
    for line in handout.write(options.out, options.with_answers):
        print(f"cut {line}")
    course, salt = course_and_salt()
    use = "for staff, with answers" if options.with_answers else "hand out this folder"
    print(f"{options.out}: {use} (COURSE {course!r}, TERM_SALT {salt!r})")
    return 0


def write_pack(options: argparse.Namespace) -> int:
    """Write the zip."""
    lab = find(options.lab)
    count = pack.write(lab, options.gradescope, *course_and_salt())
    print(f"{options.gradescope}: {count} files, for {lab.name}; upload it as the autograder")
    return 0


def run_gradescope(options: argparse.Namespace) -> int:
    """Grade a submission where Gradescope puts it. Exit code 0: the points are in results.json."""
    folder = Path(os.environ.get("AUTOGRADER", "/autograder"))
    lab, results = find(options.lab), folder / "results" / "results.json"
    mine, student = folder / "submission" / "mine.py", _submitter(folder / "submission_metadata.json")
    results.parent.mkdir(parents=True, exist_ok=True)
    for result in grade(lab, mine, seed_of(*course_and_salt(), lab.name, student), student):
        write_all({"gradescope": results}, [result])
    return 0


def make_lab(options: argparse.Namespace) -> int:
    """Make the folder."""
    print(f"{skeleton.write(options.name)}: fill it in, then: python -m labs grade {options.name[:2]}")
    return 0


def _submitter(path: Path) -> str:
    """The first submitter's address in Gradescope's metadata."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["users"][0]["email"])
    except (OSError, ValueError, LookupError, TypeError):
        return NOBODY
