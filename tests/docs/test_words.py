"""One noun has one meaning: no class name stands twice, and no name or sentence uses a banned word."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("common", "node", "tracker", "faults", "simulator")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])

# Words of an earlier vocabulary, as whole words of a name: the glossary has the field's terms.
BANNED_IN_NAMES = {
    *("told", "whoever", "crew", "landing", "loot", "hands", "insist", "remarks", "suspicion", "convict"),
    *("charge", "witness", "mourn", "stranger", "strangers", "patience"),
}
BANNED_IN_DOCUMENTS = re.compile(
    r"\b(whoever|nobody|somebody|anybody|everybody|anew|in vain|for ever)\b", re.IGNORECASE
)


def definitions(path: Path) -> list[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def words(name: str) -> set[str]:
    """``SourcePool`` and ``source_pool`` are source and pool."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def test_no_class_name_stands_twice() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        for node in definitions(path):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(path.relative_to(ROOT).as_posix())
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_name_uses_a_banned_word() -> None:
    found = {
        f"{path.relative_to(ROOT).as_posix()}: {node.name}"
        for path in MODULES
        for node in definitions(path)
        if words(node.name) & BANNED_IN_NAMES
    }
    assert found == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_document_uses_a_banned_word(document: Path) -> None:
    if document.name != "limits.md":  # its words are those of the comments in the code
        assert BANNED_IN_DOCUMENTS.findall(document.read_text(encoding="utf-8")) == []
