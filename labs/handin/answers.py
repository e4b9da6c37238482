"""``answers.toml``: the numbers that a student predicted before the first run.

    [predict]
    p1 = 35.7
    p2 = 196

Only this much of TOML is read: sections, and ``name = number`` or ``name = "text"``. Other lines are ignored.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

from labs.grader.lab import Question

_SECTION = re.compile(r"\[([\w.-]+)\]")
_VALUE = re.compile(r"""(\w+)\s*=\s*(?:"([^"]*)"|([-+0-9.eE_]+))\s*(?:#.*)?""")
MAX_BYTES = 1 << 16


def read(path: Path) -> dict[str, float]:
    """The predicted numbers by their names; {} if there is no file."""
    if not path.is_file():
        return {}
    text = path.read_bytes()[:MAX_BYTES].decode("utf-8", "replace")
    section, numbers = "", dict[str, float]()
    for line in map(str.strip, text.splitlines()):
        if found := _SECTION.fullmatch(line):
            section = found[1]
        elif section == "predict" and (value := _VALUE.fullmatch(line)):
            number = _number(value[3] or value[2])
            if number is not None:
                numbers[value[1]] = number
    return numbers


def right(told: dict[str, float], questions: Sequence[Question]) -> int:
    """How many of ``questions`` (p1, p2, ...) have a right answer."""
    return sum(
        f"p{number}" in told
        and abs(told[f"p{number}"] - question.answer) <= question.tolerance * abs(question.answer)
        for number, question in enumerate(questions, 1)
    )


def is_explained(path: Path) -> bool:
    """True if the file's ``[explain]`` has any text."""
    text = path.read_bytes()[:MAX_BYTES].decode("utf-8", "replace") if path.is_file() else ""
    return bool(
        re.sub(r'^\s*\w+\s*=|^\s*#.*|["\'\s]', "", text.partition("[explain]")[2], flags=re.MULTILINE)
    )


def template(questions: Sequence[Question]) -> str:
    """An ``answers.toml`` to fill in."""
    lines = ["# Your predictions, before the first run.", "[predict]"]
    for number, question in enumerate(questions, 1):
        lines += [f"# {question.text} [{question.unit}]", f"p{number} = 0"]
    return "\n".join([*lines, "", "[explain]", 'text = ""', ""])


def _number(text: str) -> float | None:
    try:
        number = float(text.replace("_", ""))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
