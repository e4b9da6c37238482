"""One check of a lab, and the ways in which it fails. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labs.grader.run import Run

MAX_CHECK_LINES = 25


@dataclass(frozen=True)
class Stage:
    """``check`` returns if its rule holds. ``rule``: FILE#ANCHOR of our documents, and a source."""

    key: str  # "s1"
    title: str
    points: int
    rule: str
    check: Callable[[Run], None]


def stage(title: str, points: int, rule: str) -> Callable[[Callable[[Run], None]], Stage]:
    """Decorates a check: its function's name is the stage's key."""

    def decorate(check: Callable[[Run], None]) -> Stage:
        return Stage(check.__name__, title, points, rule, check)

    return decorate


class StageFailed(Exception):
    """The student's part broke the stage's rule."""

    def __init__(
        self, expected: str, got: str, *, at: float | None = None, likely: str = "", call: int | None = None
    ) -> None:
        """``at``: virtual seconds; ``call``: the number of the call; one of both is given."""
        super().__init__(f"expected {expected}; got {got}")
        self.expected, self.got, self.at, self.likely, self.call = expected, got, at, likely, call


class StudentFault(StageFailed):
    """The student's code raised an error, did not return, or returned an impossible value: one line."""

    def __init__(self, line: str, call: int, **more: Any) -> None:
        super().__init__("a result", line, call=call, **more)
        self.line = line
