"""The line below the prompt: a bar for each active download, or what the node is up to."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from common.text import sanitize
from node import events
from node.events import DownloadStatus, Event
from node.show import units

LINES = 5  # downloads shown at once
ACTIVE = ("waiting", "checking", "searching", "fetching", "finishing")


def bar(done: int, whole: int, width: int = 16) -> str:
    """``width`` cells, as many filled as are done."""
    filled = width if whole <= 0 else min(width, done * width // whole)
    return "━" * filled + "─" * (width - filled)


def fitted(text: str, width: int) -> str:
    """``text`` in exactly ``width`` cells, cut with an ellipsis if it must be."""
    text = sanitize(text)
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def download_line(row: DownloadStatus, width: int) -> str:
    """Name, bar, percent, rate, time left, owners: at most ``width`` cells."""
    active = [str(s.node_id) for s in row.sources if s.state == "active"]
    if row.state == "fetching":
        tail = (
            f"{units.rate(row.rate):>10}  {units.eta(row.eta)} left  from {', '.join(active) or 'nobody yet'}"
        )
    else:
        tail = f"{row.state}{': ' + row.reason if row.reason else ''}"
    head = f"{bar(row.verified, row.size)} {units.percent(row.verified, row.size):>6}  {sanitize(tail)}"
    name = max(8, min(24, width - cell_len(head) - 2))
    return fitted(f"{fitted(row.filename, name)}  {head}", width).rstrip()


class Toolbar:
    """Remembers what events tell between two looks; single steps only, so it needs no lock."""

    def __init__(self, node_id: int) -> None:
        self._node_id = node_id
        self._address = ""
        self._tracker_is_lost = False
        self._hashing: events.Hashing | None = None
        self._shared: set[str] = set()  # info hashes; asking the node for its files would build as many rows

    def event(self, event: Event) -> None:
        """An EventSink."""
        match event:
            case events.Started(addr=(host, port)):
                self._address = f" on {host}:{port}"
            case events.TrackerLost():
                self._tracker_is_lost = True
            case events.TrackerBack():
                self._tracker_is_lost = False
            case events.Hashing():
                self._hashing = event if event.done < event.size else None
            case events.Sharing():
                self._hashing = None
                if event.complete:
                    self._shared.add(event.info_hash)
            case events.SharingStopped():
                self._shared.discard(event.info_hash)

    def text(self, downloads: Sequence[DownloadStatus], width: int | None = None) -> str:
        """The toolbar, LINES lines at most. ``width`` in cells; the terminal's unless given."""
        width = width or shutil.get_terminal_size().columns
        active = [row for row in downloads if row.state in ACTIVE]
        lines = [download_line(row, width) for row in active[:LINES]]
        if len(active) > LINES:
            lines[-1] = fitted(
                f"and {len(active) - LINES + 1} downloads more: torrent -status", width
            ).rstrip()
        if hashing := self._hashing:
            done = (
                f"{bar(hashing.done, hashing.size)} {units.percent(hashing.done, hashing.size):>6}  hashing"
            )
            lines.append(fitted(f"{fitted(hashing.filename, 24)}  {done}", width).rstrip())
        return "\n".join(lines) or fitted(self._idle(), width).rstrip()

    def _idle(self) -> str:
        tracker = "tracker does not answer" if self._tracker_is_lost else "tracker answers"
        sharing = len(self._shared)
        files = f"sharing {sharing} file{'' if sharing == 1 else 's'}" if sharing else "sharing nothing"
        return f"node {self._node_id}{self._address} · {tracker} · {files}"
