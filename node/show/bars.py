"""A download drawn: the file's bar, and a line for each owner. Pure: Progress in, a renderable out."""

from __future__ import annotations

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from common.text import sanitize
from node.events import Hashing, Progress, SourceProgress
from node.show import units
from node.show.lines import address

OWNERS = 12  # lines at most
WIDE = 70  # cells; below, words need the room more than bars do

_STATE_STYLES = {"active": "green", "idle": "dim", "lost": "yellow", "suspect": "yellow", "banned": "red"}


def grid(width: int) -> Table:
    """The columns all lines share: what, bar, how much, rate, time left or state."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=3)
    table.add_column(ratio=3 if width >= WIDE else 1, min_width=4)
    table.add_column(justify="right", no_wrap=True, min_width=6)
    table.add_column(justify="right", no_wrap=True, min_width=10)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=3)
    table.width = max(40, min(120, width - 4))  # room for a ^C that the terminal echoes, which must not wrap
    return table


def add_download(table: Table, event: Progress) -> None:
    """The file first, then its owners."""
    table.add_row(
        Text(sanitize(event.filename), style="bold"),
        ProgressBar(max(1, event.size), event.verified if event.size else 1),
        units.percent(event.verified, event.size),
        units.rate(event.rate),
        Text(_left(event)),
    )
    for source in event.sources[:OWNERS]:
        _add_owner(table, source, event.size)
    if len(event.sources) > OWNERS:
        table.add_row(Text(f"  and {len(event.sources) - OWNERS} owners more", style="dim"))


def _left(event: Progress) -> str:
    if event.verified >= event.size:
        return f"finishing {units.size(event.size)}"
    return f"{units.eta(event.eta)} left of {units.size(event.size)}"


def _add_owner(table: Table, source: SourceProgress, size: int) -> None:
    style = _STATE_STYLES.get(source.state, "")
    why = f"{source.state}: {source.reason}" if source.reason else source.state
    table.add_row(
        Text(f"  node {source.node_id} {address(source.addr)}", style=style),
        ProgressBar(
            max(1, size), source.received, complete_style=style or "bar.complete", finished_style=style
        ),
        units.size(source.received),
        units.rate(source.rate),
        Text(sanitize(why), style=style),
    )


def add_hashing(table: Table, event: Hashing) -> None:
    """A file that is being hashed."""
    table.add_row(
        Text(sanitize(event.filename), style="bold"),
        ProgressBar(max(1, event.size), event.done if event.size else 1),
        units.percent(event.done, event.size),
        "",
        Text("hashing"),
    )


def drawn(downloads: list[Progress], hashing: Hashing | None, width: int) -> RenderableType:
    """Everything that moves, for a terminal of ``width`` cells."""
    table = grid(width)
    for event in downloads:
        add_download(table, event)
    if hashing is not None:
        add_hashing(table, hashing)
    return table
