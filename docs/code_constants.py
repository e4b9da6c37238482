"""Constants of a module with their comments, for limits.md."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def constants(path: Path) -> Iterator[tuple[str, str, str]]:
    """(name, value, comment) of each public number, or tuple of numbers, in the module at ``path``."""
    source = path.read_text(encoding="utf-8")
    names = [(name, node) for node in ast.parse(source).body for name in _assigned(node)]
    if not any(re.fullmatch(r"[A-Z][A-Z0-9_]*", name) for name, _ in names):
        return
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for name, node in names:
        value = getattr(module, name, None)
        if re.fullmatch(r"[A-Z][A-Z0-9_]*", name) and _is_number(value) and not _is_the_systems(node):
            yield name, _written(value), comment_of(source.splitlines(), node)


def _assigned(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Assign):
        targets = node.targets
    else:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else []
    for target in targets:
        yield from (name.id for name in ast.walk(target) if isinstance(name, ast.Name))


def _is_the_systems(node: ast.stmt) -> bool:
    """True if the value differs between operating systems."""
    return bool(re.search(r"\b(errno|sys|os)\.", ast.unparse(node)))


def _is_number(value: object) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(_is_number(item) for item in value)
    return type(value) in (int, float)


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(_written(item) for item in value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.12g}"


def comment_of(lines: list[str], node: ast.stmt) -> str:
    """The comment behind a statement; else the comment lines directly above it."""
    behind = re.search(r"#\s*(.*)", lines[(node.end_lineno or node.lineno) - 1][node.end_col_offset or 0 :])
    if behind is None:
        behind = re.search(r"[(\[{]\s*#\s*(.*)", lines[node.lineno - 1])
    if behind:
        return behind[1]
    above: list[str] = []
    for line in reversed(lines[: node.lineno - 1]):
        if not line.startswith("#"):
            break
        above.insert(0, line.lstrip("# "))
    return " ".join(above)
