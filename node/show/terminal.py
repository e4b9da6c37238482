"""Output for a terminal: colours, tables, and bars that move."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from common.text import sanitize
from node import events
from node.events import DownloadStatus, Event, FileStatus, PeerStatus, TrackerStatus
from node.show import bars, lines, tables
from node.show.tables import Sheet

DRAWN = 8  # downloads with bars at once


def rich_table(sheet: Sheet) -> RenderableType:
    """``sheet`` with a line under its headings; long cells fold."""
    if not sheet.cells:
        return Text(sheet.empty, style="dim")
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in sheet.columns:
        table.add_column(
            column.name, justify="right" if column.right else "left", overflow="fold", no_wrap=column.right
        )
    for row in sheet.cells:
        table.add_row(*(Text(cell) for cell in row))
    return table


def style_of(event: Event) -> str:
    """A colour where it says something."""
    if isinstance(event, events.Completed):
        return "green"
    if isinstance(event, events.Failed):
        return "red"
    return "yellow" if isinstance(event, lines.WARNINGS) else ""


def terminal_screen(verbose: bool, live: bool) -> TerminalScreen:
    """A screen on standard output and standard error."""
    return TerminalScreen(Console(highlight=False), Console(stderr=True, highlight=False), verbose, live)


class TerminalScreen:
    """Sentences to ``out``, what went wrong to ``err`` (both may be the same terminal).

    With ``live``, bars of what moves stay below everything else; they vanish when nothing moves.
    """

    def __init__(self, out: Console, err: Console, verbose: bool = False, live: bool = False) -> None:
        self._out = out
        self._err = err
        self._verbose = verbose
        self._downloads: dict[str, events.Progress] = {}
        self._hashing: events.Hashing | None = None
        self._may_draw = live
        self._live: Live | None = None

    def event(self, event: Event) -> None:
        """One line, if it is to be said, and the bars."""
        if self._may_draw:
            self._move(event)
        if self._verbose or lines.is_quiet(event):
            console = self._err if isinstance(event, events.Failed) else self._out
            self._print(console, lines.sentence(event), style_of(event))

    def _move(self, event: Event) -> None:
        match event:
            case events.Progress():
                if event.info_hash in self._downloads or len(self._downloads) < DRAWN:
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
            self._undraw()
            return
        if self._live is None:
            self._live = Live(console=self._out, transient=True, auto_refresh=False)
            self._live.start()
        self._live.update(
            bars.drawn(list(self._downloads.values()), self._hashing, self._out.width), refresh=True
        )

    def _undraw(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _print(self, console: Console, text: str, style: str = "") -> None:
        if console is self._err:
            self._undraw()
        console.print(Text(sanitize(text), style=style), soft_wrap=True)

    def say(self, text: str) -> None:
        """Some lines for the user."""
        for line in text.split("\n"):
            self._print(self._out, line)

    def error(self, text: str) -> None:
        """What went wrong, in one line."""
        self._print(self._err, text, "red")

    def status(self, rows: Sequence[DownloadStatus]) -> None:
        """Answer to -status."""
        self._out.print(rich_table(tables.status_sheet(rows)))

    def files(self, rows: Sequence[FileStatus]) -> None:
        """Answer to -files."""
        self._out.print(rich_table(tables.files_sheet(rows)))

    def peers(self, rows: Sequence[PeerStatus], trackers: Sequence[TrackerStatus]) -> None:
        """Answer to -peers."""
        self._out.print(rich_table(tables.peers_sheet(rows)))
        for tracker in trackers:
            self._out.print(Text(lines.tracker(tracker)))

    def flush(self) -> None:
        """Everything is seen at once."""

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._undraw()
