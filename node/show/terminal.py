"""A terminal: colours, and bars that move below the lines. Drawn by rich, which takes long to import."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from common.text import sanitize
from node import events
from node.events import Event, Hashing, Progress, SourceProgress
from node.show import units
from node.show.text import address, peer_name

MAX_DOWNLOADS = 8  # with bars at the same time
MAX_OWNERS = 12  # lines of one download
WIDE = 90  # columns; below, text needs the room more than bars

_STATE_STYLES = {
    "active": "green",
    "idle": "dim",
    "lost": "yellow",
    "suspect": "yellow",
    "banned": "red",
}


class TerminalOutput:
    """An Output on a terminal; lines go above the bars."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @property
    def width(self) -> int:
        return self._console.width

    def line(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style), soft_wrap=True)

    def flush(self) -> None:
        """The console has written everything already."""


class LiveBars:
    """A bar for each download and each of its owners; they vanish when nothing moves."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._downloads: dict[str, Progress] = {}
        self._hashing: Hashing | None = None
        self._live: Live | None = None

    def event(self, event: Event) -> None:
        """Move the bars."""
        match event:
            case events.Progress():
                if event.info_hash in self._downloads or len(self._downloads) < MAX_DOWNLOADS:
                    self._downloads[event.info_hash] = event
            case events.Completed() | events.Failed():
                self._downloads.pop(event.info_hash, None)
            case events.Hashing():
                self._hashing = event if event.done < event.size else None
            case events.Sharing():
                self._hashing = None
            case _:
                return
        self._draw()

    def _draw(self) -> None:
        if not self._downloads and self._hashing is None:
            self.clear()
            return
        if self._live is None:
            self._live = Live(console=self._console, transient=True, auto_refresh=False)
            self._live.start()
        bars = drawn(list(self._downloads.values()), self._hashing, self._console.width)
        self._live.update(bars, refresh=True)

    def clear(self) -> None:
        """Remove the bars."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def drawn(downloads: list[Progress], hashing: Hashing | None, width: int) -> RenderableType:
    """Everything that moves, for a terminal of ``width`` columns. All bars begin in the same column."""
    is_wide = width >= WIDE
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=3)  # name
    table.add_column(ratio=2 if is_wide else 1, min_width=4)  # bar
    table.add_column(justify="right", no_wrap=True, min_width=6)  # percent or size
    table.add_column(justify="right", no_wrap=True, min_width=10)  # rate
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=3)  # time left or state
    table.width = max(40, min(120, width - 4))  # room for a ^C that the terminal echoes, which must not wrap
    for event in downloads:
        rate = units.rate(event.rate)
        _add(table, event.filename, event.verified, event.size, rate, _left(event, is_wide))
        for source in event.sources[:MAX_OWNERS]:
            _add_owner(table, source, event.size, is_wide)
        if (more := len(event.sources) - MAX_OWNERS) > 0:
            table.add_row(Text(f"  and {more} more owners", style="dim"))
    if hashing is not None:
        _add(table, hashing.filename, hashing.done, hashing.size, "", "hashing")
    return table


def _add(table: Table, filename: str, done: int, size: int, rate: str, left: str) -> None:
    bar = ProgressBar(max(1, size), done if size else 1)
    table.add_row(Text(sanitize(filename), style="bold"), bar, units.percent(done, size), rate, Text(left))


def _left(event: Progress, is_wide: bool) -> str:
    if event.verified >= event.size:
        return "finishing"
    return f"{units.eta(event.eta)} left{f' of {units.size(event.size)}' if is_wide else ''}"


def _add_owner(table: Table, source: SourceProgress, size: int, is_wide: bool) -> None:
    style = _STATE_STYLES.get(source.state, "")
    bar_style = style or "bar.complete"
    name = peer_name(source.node_id, source.addr)
    if is_wide and source.node_id is not None:
        name += f" {address(source.addr)}"
    why = f"{source.state}: {source.reason}" if source.reason else source.state
    table.add_row(
        Text(f"  {name}", style=style),
        ProgressBar(max(1, size), source.received, complete_style=bar_style, finished_style=bar_style),
        units.size(source.received),
        units.rate(source.rate),
        Text(sanitize(why), style=style),
    )
