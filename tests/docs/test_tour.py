"""docs/tour.md: the walks visit no file twice, and the afternoon's files are short enough to be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8").split("\n## ")[1:]
LONGEST = 250  # lines of a file in the afternoon's list
AFTERNOON = range(3_000, 4_001)  # lines of all of them


def files(section: str) -> list[Path]:
    """The files that a section links to, in its order."""
    named = re.findall(r"\[`([\w/]+\.py)`\]\(\.\./([\w/]+\.py)\)", section)
    assert all(name == target for name, target in named)
    return [ROOT / target for _, target in named]


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section[:6])
def test_a_section_names_files_that_exist_and_none_twice(section: str) -> None:
    named = files(section)
    assert len(named) >= 14
    assert [path for path in named if not path.exists()] == []
    assert len(set(named)) == len(named)


def test_the_afternoon_is_an_afternoon() -> None:
    named = files(SECTIONS[-1])
    assert {path.name: lines(path) for path in named if lines(path) > LONGEST} == {}
    assert sum(map(lines, named)) in AFTERNOON


def test_functions_that_the_walks_name_are_in_their_file() -> None:
    walked = re.findall(r"\[`([\w/]+\.py)`\]\([^)]*\), `(\w+)`", "\n".join(SECTIONS[:-1]))
    assert len(walked) >= 4
    for name, function in walked:
        assert re.search(rf"def {function}\(", (ROOT / name).read_text(encoding="utf-8")), (name, function)
