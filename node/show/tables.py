"""Rows of -status, -files and -peers as tables that fit the terminal. Pure.

If a table is too wide, long file names are shortened. If that is not enough, columns leave the table: some
are dropped, long texts move to a line of their own below their row. The last resort is to cut file names
further.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size

from common.text import sanitize
from node.events import DownloadStatus
from node.show import units
from node.show.piece_map import availability
from node.show.text import address

GAP = "  "
INDENT = "    "  # of a line below a row
READABLE_CUT = 20  # columns of a cell that is cut before a column leaves the table
MIN_CUT = 8  # columns that are left of a cell that is cut
MAX_WIDTH = 1 << 20  # columns of a line in a file


@dataclass(frozen=True)
class Column:
    """A heading, and the cell of a row. ``leaves``: of a table that is too wide, the highest goes first."""

    name: str
    cell: Callable[[Any], object]
    right: bool = False
    leaves: int = 0  # 0: stays
    below: bool = False  # leaves to a line below its row, instead of altogether
    optional: bool = False  # not shown if all of its cells are "-"
    cut: bool = False  # its cells may be cut


class TableData:
    """Columns and their rows of sanitized text; ``empty`` is shown if there are no rows."""

    def __init__(self, columns: Sequence[Column], rows: Sequence[Any], empty: str) -> None:
        self.columns = columns
        self.rows = [[sanitize(column.cell(row)) for column in columns] for row in rows]
        self.empty = empty

    def lines(self, width: int | None = None) -> list[str]:
        """The table for a terminal of ``width`` columns, its headings first. None: any width."""
        if not self.rows:
            return [self.empty]
        kept = [i for i, column in enumerate(self.columns) if not (column.optional and self._is_empty(i))]
        while width and self._width(kept, READABLE_CUT) > width:
            leaving = max(kept, key=lambda index: self.columns[index].leaves)
            if not self.columns[leaving].leaves:
                break
            kept.remove(leaving)
        below = [i for i, column in enumerate(self.columns) if column.below and i not in kept]
        widths = self._cut_widths(kept, self._width(kept) - (width or MAX_WIDTH))
        headings = self._aligned([column.name for column in self.columns], widths)
        lines = [headings] if headings else []
        for row in self.rows:
            lines.append(self._aligned(row, widths))
            for i in below:
                lines += self._below(self.columns[i].name, row[i], width or 0)
        return lines

    def _cut_widths(self, kept: Sequence[int], excess: int) -> dict[int, int]:
        widths = {i: self._widest(i) for i in kept}
        for i in kept:
            if excess > 0 and self.columns[i].cut and widths[i] > MIN_CUT:
                cut = min(excess, widths[i] - MIN_CUT)
                widths[i] -= cut
                excess -= cut
        return widths

    def _is_empty(self, index: int) -> bool:
        return all(row[index] == "-" for row in self.rows)

    def _widest(self, index: int) -> int:
        return max(cell_len(self.columns[index].name), *(cell_len(row[index]) for row in self.rows))

    def _width(self, kept: Sequence[int], cut: int = MAX_WIDTH) -> int:
        """Columns that the table takes if the cells that may be cut have at most ``cut``."""
        widths = (min(self._widest(i), cut) if self.columns[i].cut else self._widest(i) for i in kept)
        return sum(widths) + len(GAP) * (len(kept) - 1)

    def _aligned(self, row: Sequence[str], widths: dict[int, int]) -> str:
        return GAP.join(fitted(row[i], widths[i], self.columns[i].right) for i in widths).rstrip()

    @staticmethod
    def _below(name: str, text: str, width: int) -> list[str]:
        if text == "-":
            return []
        return textwrap.wrap(
            f"{name}: {text}" if name else text,
            max(width, 20),
            initial_indent=INDENT,
            subsequent_indent=INDENT,
        )


def fitted(text: str, width: int, right: bool = False) -> str:
    """``text`` in exactly ``width`` terminal cells, cut with an ellipsis if necessary."""
    excess = cell_len(text) - width
    if excess > 0:
        return set_cell_size(text, width - 1) + "…"
    return " " * -excess + text if right else text + " " * -excess


def _owners(row: DownloadStatus) -> str:
    """``1, 3 (part)``: the owners that send; ``(part)`` if one does not have the whole file."""
    active = [source for source in row.sources if source.state == "active"]
    names = [str(address(s.addr) if s.node_id is None else s.node_id) for s in active]
    parts = ["" if source.complete else " (part)" for source in active]
    return ", ".join(map("".join, zip(names, parts, strict=True))) or "-"


def _if_fetching(shown: Callable[[Any], str], name: str) -> Callable[[DownloadStatus], str]:
    return lambda row: shown(getattr(row, name)) if row.state == "fetching" else "-"


def _copies(row: DownloadStatus) -> str:
    return "-" if row.availability is None else availability(row.availability)


DOWNLOADS = (
    Column("file", lambda row: row.filename, cut=True),
    Column("state", lambda row: row.state),
    Column("size", lambda row: units.size(row.size), right=True, leaves=1),
    Column("done", lambda row: units.percent(row.verified, row.size), right=True),
    Column("rate", _if_fetching(units.rate, "rate"), right=True),
    Column("left", _if_fetching(units.eta, "eta"), right=True, leaves=2),
    Column("owners", _owners, leaves=3),
    Column("copies", _copies, right=True, leaves=5, optional=True),
    Column("why", lambda row: row.reason or "-", leaves=4, below=True, optional=True),
)
FILES = (
    Column("file", lambda row: row.filename, cut=True),
    Column("state", lambda row: row.state.partition(": ")[0]),
    Column("size", lambda row: units.size(row.size), right=True),
    Column("whole", lambda row: "yes" if row.complete else "no", leaves=1),
    Column("sent", lambda row: units.size(row.uploaded), right=True),
    Column("info hash", lambda row: row.info_hash[:8], leaves=3),
    Column("path", lambda row: row.path, leaves=2, below=True, optional=True),
    Column("why", lambda row: row.state.partition(": ")[2] or "-", leaves=4, below=True, optional=True),
)
PEERS = (
    Column("node", lambda row: "-" if row.node_id is None else row.node_id, right=True),
    Column("address", lambda row: address(row.addr), leaves=3),
    Column("over", lambda row: row.transport, leaves=6),
    Column("file", lambda row: row.filename, cut=True),
    Column("direction", lambda row: "we fetch" if row.direction == "from" else "we serve"),
    Column("amount", lambda row: units.size(row.amount), right=True, leaves=2),
    Column("rate", lambda row: units.rate(row.rate), right=True, leaves=1),
    Column("state", lambda row: row.state),
    Column("has", lambda row: "-" if row.held is None else f"{row.held} pieces", leaves=4, optional=True),
    Column("client", lambda row: row.client or "-", leaves=7, optional=True),
    Column("why", lambda row: row.reason or "-", leaves=5, below=True, optional=True),
)
TORRENTS = (
    Column("name", lambda row: row.filename, cut=True),
    Column("size", lambda row: "-" if row.size is None else units.size(row.size), right=True),
    Column("owners", lambda row: row.owners, right=True),
    Column("peers", lambda row: row.peers, right=True, leaves=1),
    Column("complete", lambda row: row.complete, right=True, leaves=1),
    Column("info hash", lambda row: row.info_hash or "-", leaves=2, below=True),
)
COMMANDS = (
    Column("", lambda row: row.command),  # no headings
    Column("", lambda row: row.meaning, leaves=1, below=True, optional=True),
)
TABLES = {
    "downloads": DOWNLOADS,
    "files": FILES,
    "peers": PEERS,
    "torrents": TORRENTS,
    "commands": COMMANDS,
}
"""By the name of the rows in an answer."""


def table(kind: str, rows: Sequence[Any]) -> TableData:
    """The table of ``rows`` of one kind: DownloadStatus, FileStatus, PeerStatus, ListedTorrent."""
    return TableData(TABLES[kind], rows, f"no {kind}")
