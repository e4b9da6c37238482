"""The environment of a check: the student's part, random numbers, the trace, and expectations."""

from __future__ import annotations

import random
from typing import Any, NoReturn

from labs.grader.stage import StageFailed, StudentFault
from labs.grader.student import Part, Student
from labs.grader.trace import Row, Trace
from labs.grader.values import Rng


class Run:
    """One run of one stage. ``rng`` belongs to the student and the stage."""

    def __init__(self, student: Student, rng: random.Random) -> None:
        self.student = student
        self.rng = rng
        self.trace = Trace()
        self.failure: StageFailed | None = None

    def part(self, name: str, *arguments: Any) -> Part:
        """An object of the student's class ``name``."""
        return self.student.make(name, *arguments)

    def call(self, name: str, *arguments: Any) -> Any:
        """The result of the student's function ``name``."""
        return self.student.call(name, *arguments)

    def value(self, name: str) -> Any:
        """The value of a constant of the student's file."""
        return self.student.value(name)

    def random_for_student(self) -> Rng:
        """A random.Random that the student's part is given; the same object in each call."""
        return Rng(self.rng.getrandbits(48))

    # ---- the trace

    def note(self, time: float, text: str, *, call: bool = False, mark: str = "") -> None:
        """Something happened at ``time`` (virtual seconds). ``call``: show the last call on its line."""
        self.trace.add(Row(time, text, self.student.last if call else "", mark))

    def message(
        self,
        time: float,
        sender: str,
        receiver: str,
        message: str,
        *,
        text: str = "",
        call: bool = False,
        mark: str = "",
        **fields: Any,
    ) -> None:
        """A message was sent, came, or was lost (``mark="lost"``)."""
        arrow = "╳" if mark == "lost" else "→" if sender in ("you", "fetcher") else "←"
        words = f"{arrow} {message}{' ' if text else ''}{text}"
        shown = self.student.last if call else ""
        self.trace.add(Row(time, words, shown, mark, sender, receiver, message, fields))

    # ---- expectations

    def expect(
        self, holds: bool, expected: str, got: str, *, at: float | None = None, likely: str = ""
    ) -> None:
        """Fail the stage unless ``holds``. ``at``: virtual seconds; None: it was the last call."""
        if not holds:
            self.fail(expected, got, at=at, likely=likely)

    def fail(self, expected: str, got: str, *, at: float | None = None, likely: str = "") -> NoReturn:
        """Fail the stage."""
        call = self.student.calls if at is None else None
        raise StageFailed(expected, got, at=at, likely=likely, call=call)

    def nonsense(self, line: str) -> NoReturn:
        """Fail the stage: the student's part returned an impossible value, described in one line."""
        raise StudentFault(f"{line}; call {self.student.calls}", self.student.calls)
