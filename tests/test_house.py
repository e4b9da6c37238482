"""The house rules that a reader relies on: names that mean one thing, and sizes that fit on a page."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("common", "node", "tracker", "faults", "simulator")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40  # without the docstring
# Words of the house's old private language. The glossary has the field's term for each.
BANNED_WORDS = frozenset(
    re.findall(
        r"\w+",
        """anew aside beside besides board crew hear heard hands insist judge judging landing loot
        nobody others remark remarks somebody telling told verdict whoever whom witness""",
    )
)
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def definitions(path: Path) -> Iterator[ast.ClassDef | Function]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def words_of(name: str) -> set[str]:
    """The words of ``snake_case`` and ``CamelCase``, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name)}


def code_lines(function: Function) -> int:
    """Lines from ``def`` to the end, without the docstring."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        assert first.end_lineno is not None
        lines -= first.end_lineno - first.lineno + 1
    return lines


def test_no_class_name_is_used_twice() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        for node in definitions(path):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_files_and_functions_are_short() -> None:
    long = []
    for path in [*MODULES, *sorted((ROOT / "labs").rglob("*.py"))]:
        name = str(path.relative_to(ROOT))
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_FILE_LINES:
            long.append(f"{name}: {lines} lines")
        for node in definitions(path):
            if not isinstance(node, ast.ClassDef) and code_lines(node) > MAX_FUNCTION_LINES:
                long.append(f"{name}: {node.name} has {code_lines(node)} lines")
    assert long == []


def test_no_name_has_a_banned_word() -> None:
    assert [
        f"{path.relative_to(ROOT)}: {name}"
        for path in MODULES
        for name in sorted({path.stem, *(node.name for node in definitions(path))})
        if words_of(name) & BANNED_WORDS
    ] == []
