"""The lines below the prompt: a bar for each running download, or one line about the node."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence

from common.text import sanitize
from node import events
from node.events import DownloadStatus, Event, PeerStatus
from node.show import text, units
from node.show.tables import fitted

MAX_LINES = 5  # downloads shown at once
NAME_WIDTH, MIN_NAME_WIDTH = 24, 8  # columns
BAR_WIDTH, MIN_BAR_WIDTH = 16, 6  # columns
FULL_WIDTH = 100  # columns; below, names are short
WIDE = 70  # columns; below, bars are short and owners are left out
TRACKER_ANSWERS = "tracker answers"
ACTIVE = ("metadata", "waiting", "checking", "searching", "fetching", "finishing")


class Toolbar:
    """Remembers what events report between two drawings. Single assignments only, so it needs no lock."""

    def __init__(self, node_id: int | None) -> None:
        self._node_id = node_id
        self._address = ""
        self._tracker = TRACKER_ANSWERS
        self._hashing: events.Hashing | None = None
        self._shared: set[str] = set()  # info hashes

    def event(self, event: Event) -> None:
        """Something happened."""
        match event:
            case events.Started(addr=(host, port)):
                self._address = f" on {host}:{port}"
            case events.TrackerLost(refuses=True):
                _, refuses, why = event.reason.partition(" refuses: ")  # the reason begins with the address
                self._tracker = f"tracker{refuses}{why}" if refuses else event.reason
            case events.TrackerLost():
                self._tracker = "tracker does not answer"
            case events.TrackerBack():
                self._tracker = TRACKER_ANSWERS
            case events.Hashing():
                self._hashing = event if event.done < event.size else None
            case events.Sharing():
                self._hashing = None
                if event.complete:
                    self._shared.add(event.info_hash)
            case events.SharingStopped():
                self._shared.discard(event.info_hash)

    def text(
        self, downloads: Sequence[DownloadStatus], peers: Sequence[PeerStatus], width: int | None = None
    ) -> str:
        """The toolbar, MAX_LINES lines and one. ``width``: columns of the terminal unless given."""
        width = width or shutil.get_terminal_size().columns
        active = [row for row in downloads if row.state in ACTIVE]
        lines = [_bar(r.filename, r.verified, r.size, _state(r, width), width) for r in active[:MAX_LINES]]
        if len(active) > MAX_LINES:
            lines[-1] = _cut(f"and {len(active) - MAX_LINES + 1} more downloads: status", width)
        if hashing := self._hashing:
            lines.append(_bar(hashing.filename, hashing.done, hashing.size, "hashing", width))
        rate = text.uploads(peers)
        if lines and rate:
            lines.append(_cut(rate, width))
        return "\n".join(lines or textwrap.wrap(sanitize(self._idle(rate)), width))

    def _idle(self, rate: str) -> str:
        sharing = len(self._shared)
        files = f"sharing {sharing} file{'' if sharing == 1 else 's'}" if sharing else "sharing nothing"
        return f"node {self._node_id}{self._address} · {self._tracker} · {files}{' ' * bool(rate)}{rate}"


def _bar(name: str, done: int, size: int, state: str, width: int) -> str:
    """Name, bar, percent and state; all bars begin in the same column."""
    name_width = NAME_WIDTH if width >= FULL_WIDTH else max(MIN_NAME_WIDTH, width // 5)
    bar_width = BAR_WIDTH if width >= WIDE else MIN_BAR_WIDTH
    filled = bar_width if size <= 0 else min(bar_width, done * bar_width // size)
    bar = "━" * filled + "─" * (bar_width - filled)
    name = fitted(sanitize(name), name_width)
    return _cut(f"{name}  {bar} {units.percent(done, size):>6}  {sanitize(state)}", width)


def _state(row: DownloadStatus, width: int) -> str:
    if row.state != "fetching":
        return f"{row.state}{': ' + row.reason if row.reason else ''}"
    owners = f"  from {text.active_owners(row.sources)}" if width >= WIDE else ""
    return f"{units.rate(row.rate):>10}  {units.eta(row.eta)} left{owners}"


def _cut(line: str, width: int) -> str:
    return fitted(sanitize(line), width).rstrip()
