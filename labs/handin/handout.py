"""The tree that students get: the programs and the labs, without answers.

Cut out are the answers in each ``labs/NN-*/mine.py``, the planted mistakes, and the module that a lab asks
for (``HANDOUT_REMOVES`` in its ``checks.py``; lines that name it go from ``HANDOUT_DROPS``); also the
commands of the Makefile that need our tests and benches. COURSE and TERM_SALT go along, in
``labs/course.json``: students need to set nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from common.errors import CommandError
from labs.grader.blank import BlankError, cut
from labs.grader.grade import COURSE_FILE, course_and_salt
from labs.grader.lab import LABS, Lab, folders, load

ROOT = LABS.parent
COPIED = (  # files and folders of the project that the programs and the labs need
    *("README.md", "LICENSE", "CHANGELOG.md", "Makefile", "pyproject.toml", "configs.py"),
    *("tracker.py", "TorrentClient.py", "demo.py", "classroom.py"),
    *("requirements.txt", "constraints.txt", ".gitignore", ".env.example"),
    *("common", "tracker", "node", "faults", "simulator", "labs", "docs"),
    *("logs/.gitkeep", "node_files/.gitkeep", "tracker_db/.gitkeep"),
)
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
LEFT_OUT = shutil.ignore_patterns(  # the last ones: what a teacher made while trying a lab
    *("__pycache__", "*.pyc", "wrong", "answers.toml", "receipt.json")
)
DEVELOPERS = "# ---- for developers"  # a line of the Makefile; a handout goes without the rest
STAFF_ONLY = re.compile(  # of the README: where our solutions are, and the tests of the project
    r"This repository contains our solutions.*?(?=^## )|: `make test`", re.DOTALL | re.MULTILINE
)


def write(out: Path, with_answers: bool = False) -> list[str]:
    """Write the tree to the new folder ``out``; returns what was cut, a line each. CommandError."""
    if out.exists() and any(out.iterdir()):
        raise CommandError(f"{out} is not empty")
    for name in COPIED:
        source, target = ROOT / name, out / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=None if with_answers else LEFT_OUT, dirs_exist_ok=True)
        elif source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    course, salt = course_and_salt()
    told = json.dumps({"COURSE": course, "TERM_SALT": salt})
    (out / "labs" / COURSE_FILE.name).write_text(told + "\n", encoding="utf-8")
    if with_answers:
        return []
    cuts = [line for folder in folders() for line in _cut(load(folder), out)]
    _rewrite(out / "Makefile", _for_students)
    _rewrite(out / "README.md", lambda text: STAFF_ONLY.sub("", text))
    for document in out.rglob("*.md"):
        _unlink(document)
    return cuts


def answer_hashes(lab: Lab) -> set[str]:
    """A hash for each telling line of an answer; a handout may contain no such line."""
    _, answers = cut(lab.mine.read_text(encoding="utf-8"))
    return {_hash(line) for line in answers if _says_something(line)}


def leaks(lab: Lab, text: str) -> list[str]:
    """Lines of ``text`` that are lines of an answer."""
    hashes = answer_hashes(lab)
    return [line.strip() for line in text.splitlines() if _hash(line) in hashes]


def _cut(lab: Lab, out: Path) -> Iterator[str]:
    blank = out / "labs" / lab.name / "mine.py"
    try:
        text, answers = cut(lab.mine.read_text(encoding="utf-8"))
    except BlankError as error:
        raise CommandError(f"{lab.mine}: {error}") from None
    blank.write_text(text, encoding="utf-8")
    yield f"labs/{lab.name}/mine.py: {len(answers)} lines"
    for name in lab.removes:
        (out / name).unlink(missing_ok=True)
        yield f"{name}: the module"
    for name, word in lab.drops.items():
        path = out / name
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not re.search(rf"\b{re.escape(word)}\b", line)]
        path.write_text("".join(kept), encoding="utf-8")
        yield f"{name}: {len(lines) - len(kept)} lines that name {word}"


def _for_students(makefile: str) -> str:
    """The Makefile up to DEVELOPERS, and no help for targets after it."""
    kept, _, rest = makefile.partition(DEVELOPERS)
    gone = "|".join(re.findall(r"^([\w-]+):", rest, re.MULTILINE))
    return re.sub(rf'^\t@echo "make (?:{gone})\b.*\n', "", kept, flags=re.MULTILINE)


def _rewrite(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def _unlink(document: Path) -> None:
    """Turn links to files that a handout goes without into their text."""

    def without(found: re.Match[str]) -> str:
        file = found[2].partition("#")[0]
        return found[0] if not file or ":" in file or (document.parent / file).exists() else found[1]

    _rewrite(document, lambda text: _LINK.sub(without, text))


def _hash(line: str) -> str:
    return hashlib.sha256(" ".join(line.split()).encode()).hexdigest()


def _says_something(line: str) -> bool:
    """False for lines that stand in any program: ``return True``, ``pass``, ``else:``."""
    return len(re.findall(r"\w+", line)) >= 4
