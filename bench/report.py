"""Results for people and for programs: the table, and the JSON with every raw run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.judging import Bound, Figure
from bench.records import Measured

FORMAT = 1  # of the JSON
COUNTED = ("bytes", "nodes", "requests", "writes")  # units of whole numbers
WIDTH = 160  # characters, where the output is no terminal


def show(
    rows: Sequence[Figure],
    title: str,
    facts: Mapping[str, str | int] | None = None,
    remarks: Sequence[str] = (),
) -> None:
    """Print the table and notes to read it by: facts of the machine, figures left out."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    console.print(table(rows, title))
    if facts:
        console.print("; ".join(f"{name} {value}" for name, value in facts.items()), markup=False)
    for line in remarks:
        console.print(line, markup=False)


def table(rows: Sequence[Figure], title: str) -> Table:
    """The figures, one a row."""
    result = Table(title=title, title_justify="left")
    for column in ("figure", "value", "reference", "ratio", "must reach", "", "measured with"):
        number = column in ("value", "reference", "ratio", "must reach")
        result.add_column(column, justify="right" if number else "left", no_wrap=column != "measured with")
    for row in rows:
        result.add_row(
            row.name,
            amount(row.value, row.unit),
            reference(row),
            "" if row.ratio is None else f"{row.ratio:.2f}",
            ", ".join(requirement(bound, row.unit) for bound in row.bounds),
            verdict(row),
            row.note,
        )
    return result


def amount(value: float | None, unit: str) -> str:
    """A value with its unit, in three digits or so."""
    if value is None:
        return "unknown"
    if unit == "B/s":
        return f"{value / 1e6:,.0f} MB/s"
    if unit == "B":
        return f"{value / (1 << 20):.1f} MiB"
    if unit == "files/s":
        return f"{value:,.0f} files/s"
    if unit == "/s" or unit in COUNTED:
        return f"{value:,.0f}{'' if unit == '/s' else ' '}{unit}"
    return f"{value:,.2f} {unit}".rstrip()


def reference(row: Figure) -> str:
    """The reference of a figure, and its value."""
    return f"{row.reference_name} {amount(row.reference, row.unit)}" if row.reference_name else ""


def requirement(bound: Bound, unit: str) -> str:
    """``≥ 0.35``, or with a unit if it is the value that is judged."""
    sign = "≥" if bound.at_least else "≤"
    return f"{sign} {amount(bound.limit, unit) if bound.of == 'value' else format(bound.limit, 'g')}"


def verdict(row: Figure) -> str:
    """ok, short, or nothing where nothing is judged."""
    return "" if row.ok is None else "[green]ok[/]" if row.ok else "[red]short[/]"


def document(
    rows: Sequence[Figure], measured: Measured, machine: Mapping[str, Any], started: str
) -> dict[str, Any]:
    """All of it, as JSON takes it."""
    return {
        "format": FORMAT,
        "started": started,
        "machine": dict(machine),
        "figures": [row.as_json() for row in rows],
        "runs": dataclasses.asdict(measured),
    }


def save(content: Mapping[str, Any], path: Path) -> None:
    """Write the JSON, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
