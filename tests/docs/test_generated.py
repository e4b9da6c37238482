"""The generated pages are up to date, and every constant has a unit."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from docs.code_constants import comment_of, constants

ROOT = Path(__file__).resolve().parents[2]


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator()


@pytest.mark.parametrize("name", GENERATOR.PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == GENERATOR.PAGES[name](), f"docs/{name} is stale: run make docs"


def test_a_program_that_a_page_describes_is_run_with_its_options_only() -> None:
    parser = GENERATOR.parser_of(lambda: GENERATOR.argparse.ArgumentParser(prog="x").parse_args([]))
    assert parser.prog == "x"


def test_a_comment_is_found_behind_a_constant_or_above_it(tmp_path: Path) -> None:
    lines = ["# seconds", "# of a wait", "A = 1", "B = 2  # bytes", "C = (  # pieces", "    3)"]
    tree = ast.parse("\n".join(lines)).body
    assert [comment_of(lines, node) for node in tree] == [
        "seconds of a wait",
        "bytes",
        "pieces",
    ]


def test_every_constant_says_its_unit_or_meaning() -> None:
    bare = [
        f"{path.relative_to(ROOT)}: {name}"
        for package in GENERATOR.PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for name, _, comment in constants(path)
        if not comment
    ]
    assert bare == [], "say the unit in a comment behind the number"
