"""A lab's folder: ``README.md``, ``mine.py``, ``checks.py``, ``wrong/``, ``look.toml``."""

from __future__ import annotations

import importlib.util
import random
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from common.errors import CommandError
from labs.grader.stage import Stage

LABS = Path(__file__).resolve().parent.parent
NAME = re.compile(r"(\d\d)-[a-z0-9-]+")
HEAD = re.compile(r"^> (\d+) minutes · ([a-z]+) · our solution: (\d+) lines", re.MULTILINE)


@dataclass(frozen=True)
class Question:
    """One number to predict. ``tolerance`` is relative."""

    text: str
    answer: float
    unit: str
    tolerance: float = 0.05


@dataclass(frozen=True)
class Lab:
    """One lab. ``predict(rng)`` returns questions with numbers drawn from ``rng``."""

    name: str  # "05-congestion"
    folder: Path
    title: str
    minutes: int
    difficulty: str
    lines: int  # of our solution
    stages: tuple[Stage, ...]
    predict: Callable[[random.Random], list[Question]] = field(default=lambda rng: [])
    blank_fails: str = "s1"  # the stage that the unchanged blank fails
    removes: tuple[str, ...] = ()  # files of the project that a handout goes without
    drops: dict[str, str] = field(default_factory=dict)  # file: lines with this word are dropped, too

    @property
    def number(self) -> str:
        """ "05"."""
        return self.name[:2]

    @property
    def mine(self) -> Path:
        """The file that students write; in this tree it holds our solution."""
        return self.folder / "mine.py"

    def stage(self, key: str) -> Stage:
        """The stage called ``key``. CommandError."""
        for stage in self.stages:
            if stage.key == key:
                return stage
        keys = ", ".join(stage.key for stage in self.stages)
        raise CommandError(f"lab {self.number} has no stage {key}; it has {keys}")


def find(text: str, folder: Path = LABS) -> Lab:
    """The lab that ``text`` names: a number or a name. CommandError."""
    found = [path for path in folders(folder) if path.name == text or path.name[:2] == text.zfill(2)]
    if not found:
        raise CommandError(f"there is no lab {text}; try: python -m labs list")
    return load(found[0])


def folders(folder: Path = LABS) -> list[Path]:
    """The labs' folders in the order of their numbers."""
    return sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name) and path.is_dir())


def load(folder: Path) -> Lab:
    """The lab in ``folder``. CommandError if it is not whole."""
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    head, title = HEAD.search(text), re.search(r"^# (.+)", text, re.MULTILINE)
    if head is None or title is None:
        raise CommandError(
            f"{readme}: the head is missing: # title, > N minutes · easy · our solution: N lines"
        )
    checks = _module(folder / "checks.py")
    stages = tuple(value for value in vars(checks).values() if isinstance(value, Stage))
    predict = getattr(checks, "predict", None)
    return Lab(
        *(folder.name, folder, title[1], int(head[1]), head[2], int(head[3]), stages),
        **({} if predict is None else {"predict": predict}),
        blank_fails=getattr(checks, "BLANK", "s1"),
        removes=getattr(checks, "HANDOUT_REMOVES", ()),
        drops=getattr(checks, "HANDOUT_DROPS", {}),
    )


def _module(path: Path) -> ModuleType:
    name = f"labs_checks_{path.parent.name.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise CommandError(f"{path} is missing")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
