"""Cutting the answers out of a source, so that the same file is our solution and the student's blank. Pure.

# answer                    these lines are ours
return self.outstanding < self.window
# blank                     these lines, without their "# ", stand in the blank
# return False
# end of answer
"""

from __future__ import annotations

ANSWER, BLANK, END = "# answer", "# blank", "# end of answer"


class BlankError(Exception):
    """An answer that does not end, or ends without a beginning."""


def cut(text: str) -> tuple[str, list[str]]:
    """The blank, and the lines of the answers. BlankError."""
    kept: list[str] = []
    answers: list[str] = []
    part = ""
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        mark = line.strip()
        if mark == ANSWER and not part:
            part = ANSWER
        elif mark == BLANK and part == ANSWER:
            part = BLANK
        elif mark == END and part:
            if part == ANSWER:
                kept.append(f"{_indent(line)}raise NotImplementedError  # yours\n")
            part = ""
        elif mark in (ANSWER, BLANK, END):
            raise BlankError(f"line {number}: {mark} at the wrong place")
        elif part == ANSWER:
            answers.append(line)
        else:
            kept.append(_uncommented(line) if part == BLANK else line)
    if part:
        raise BlankError(f"{part} without an end")
    return "".join(kept), answers


def is_solution(text: str) -> bool:
    """True if an answer stands in the source ``text``."""
    return any(line.strip() == ANSWER for line in text.splitlines())


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _uncommented(line: str) -> str:
    before, _, after = line.partition("# ")
    return before + after
