"""The grader's result: one model, from which every export is written. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

PASSED, FAILED, NOT_RUN, NOT_FINISHED = "passed", "failed", "not run", "not finished"


@dataclass(frozen=True)
class StageResult:
    """One stage. ``story`` is the failure as lines of text, ``summary`` its first reason in one line."""

    key: str
    title: str
    max_points: int
    status: str = NOT_FINISHED
    points: int = 0
    summary: str = ""
    story: tuple[str, ...] = ()
    seconds: float = 0.0  # of the clock
    trace_hash: str = ""
    calls: int = 0  # of the student's part


@dataclass(frozen=True)
class LabResult:
    """A lab. Written first with every stage "not finished", then again after each stage."""

    lab: str  # "05-congestion"
    title: str
    student: str
    seed: str  # 16 hex digits
    file_hash: str  # SHA-256 of the student's file
    versions: dict[str, str]
    stages: tuple[StageResult, ...]
    printed: str = field(default="", compare=False)  # output of the student's file in the last stage

    @property
    def points(self) -> int:
        """Points of the stages that passed."""
        return sum(stage.points for stage in self.stages)

    @property
    def max_points(self) -> int:
        """Points of all stages."""
        return sum(stage.max_points for stage in self.stages)

    @property
    def has_passed(self) -> bool:
        """True if every stage passed."""
        return all(stage.status == PASSED for stage in self.stages)

    @property
    def is_finished(self) -> bool:
        """True once no stage is left to run."""
        return all(stage.status != NOT_FINISHED for stage in self.stages)
