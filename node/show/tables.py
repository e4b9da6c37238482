"""Rows of -status, -files and -peers as tables: columns and cells here, looks elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.text import sanitize
from node.events import DownloadStatus, FileStatus, PeerStatus, SourceProgress
from node.show import units
from node.show.lines import address


@dataclass(frozen=True)
class Column:
    """A heading; numbers stand to the right."""

    name: str
    right: bool = False


@dataclass(frozen=True)
class Sheet:
    """A table: ``cells`` are rows of cleaned text, as long as ``columns``; ``empty`` is said without rows."""

    title: str
    columns: tuple[Column, ...]
    cells: tuple[tuple[str, ...], ...]
    empty: str


def _sheet(title: str, columns: Sequence[Column], cells: Sequence[Sequence[object]], empty: str) -> Sheet:
    return Sheet(title, tuple(columns), tuple(tuple(sanitize(cell) for cell in row) for row in cells), empty)


def status_sheet(rows: Sequence[DownloadStatus]) -> Sheet:
    """Downloads: how far, how fast, from whom, and why not."""
    columns = (
        Column("file"),
        Column("state"),
        Column("size", True),
        Column("done", True),
        Column("rate", True),
        Column("left", True),
        Column("owners"),
        Column("why"),
    )
    cells = [
        (
            row.filename,
            row.state,
            units.size(row.size),
            units.percent(row.verified, row.size),
            units.rate(row.rate) if row.state == "fetching" else "-",
            units.eta(row.eta) if row.state == "fetching" else "-",
            ", ".join(_owner(s) for s in row.sources if s.state == "active") or "-",
            row.reason or "-",
        )
        for row in rows
    ]
    return _sheet("downloads", columns, cells, "no downloads")


def _owner(source: SourceProgress) -> str:
    """``3``, or ``3 (part)`` if it does not have the whole file."""
    return str(source.node_id) if source.complete else f"{source.node_id} (part)"


def files_sheet(rows: Sequence[FileStatus]) -> Sheet:
    """Files: how large, whether whole, whether shared, how much was sent."""
    columns = (
        Column("file"),
        Column("state"),
        Column("size", True),
        Column("whole"),
        Column("sent", True),
        Column("info hash"),
        Column("path"),
    )
    cells = [
        (
            row.filename,
            row.state,
            units.size(row.size),
            "yes" if row.complete else "no",
            units.size(row.uploaded),
            row.info_hash[:8],
            row.path,
        )
        for row in rows
    ]
    return _sheet("files", columns, cells, "no files")


def peers_sheet(rows: Sequence[PeerStatus]) -> Sheet:
    """Other nodes: who sends, who takes, who is not used and why."""
    columns = (
        Column("node", True),
        Column("address"),
        Column("file"),
        Column("way"),
        Column("amount", True),
        Column("rate", True),
        Column("state"),
        Column("why"),
    )
    cells = [
        (
            "-" if row.node_id is None else row.node_id,
            address(row.addr),
            row.filename,
            row.direction,
            units.size(row.amount),
            units.rate(row.rate),
            row.state if row.held is None else f"{row.state}, has {row.held} pieces",
            row.reason or "-",
        )
        for row in rows
    ]
    return _sheet("peers", columns, cells, "no peers")
