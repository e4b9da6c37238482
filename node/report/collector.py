"""Collects a node's events: from its EventBus as they happen, and from regular looks. Thread-safe.

The EventBus reports results of pieces and states of torrents on whatever thread they happen, at their exact
times. A look at the node finds everything else a few times a second. One lock puts both into one order.

A torrent that the log does not know yet is left to the next look, which states all of it. So is everything
after events were lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from node import events
from node.notes import ConnectionNote, ConnectionSample
from node.peer import Peer
from node.report.batches import Batches, Row
from node.report.bus_events import piece_event, torrent_state
from node.report.changes import Change, Ranges, TorrentChanges
from node.report.dumps import Dumps
from node.report.names import PeerName
from node.report.notes import NoteEvents, SampleEvents
from node.report.snapshot import TorrentSnapshot

_MANY = (events.Progress, events.Hashing, events.PeerChanged)  # a look finds the same


class EventCollector:
    """``clock``: monotonic seconds. ``introduction``: data of node:started, once the node has entered."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._batches = Batches()
        self._changes: dict[str, TorrentChanges] = {}
        self._has_gap = False  # events were dropped since the last look
        self._samples = SampleEvents()
        self._note_events = NoteEvents()
        self._dumps = Dumps()
        self._is_over = False

    # ---- events

    def add(self, name: str, data: dict[str, Any]) -> None:
        """An event happens now."""
        with self._lock:
            self._add(self._clock(), (name, data))

    def on_event(self, event: events.Event) -> bool:
        """Take an event of the bus. True if a look may find more."""
        piece = piece_event(event)
        if piece is not None:
            with self._lock:
                self._on_piece(*piece)
            return False
        if isinstance(event, _MANY):
            return False
        state = torrent_state(event)
        if state is not None:
            with self._lock:
                self._on_state(*state)
        return True

    def _on_piece(self, name: str, data: dict[str, Any]) -> None:
        changes = self._changes.get(data["torrent"])
        if changes is not None and changes.is_known:
            changes.on_piece(data["piece"])
            self._add(self._clock(), (name, data))

    def _on_state(self, torrent: str, state: str, reason: str) -> None:
        changes = self._changes.get(torrent)
        if changes is not None and changes.is_known and changes.on_state(state, reason):
            data = {"torrent": torrent, "state": state, "reason": reason}
            self._add(self._clock(), ("torrent:state", data))

    def dump(self, reason: str, rows: Sequence[Any], is_sample: bool = False) -> None:
        """Messages of the flight recorder. ``is_sample``: they may be dropped over the budget."""
        with self._lock:
            now = self._clock()
            for change in self._dumps.events(reason, rows, now * 1000):
                self._add(now, change, is_sample)

    # ---- looks

    def begin_look(self) -> None:
        """Snapshots are taken from now on."""
        with self._lock:
            if self._has_gap:
                self._state_again()
            for changes in self._changes.values():
                changes.begin()

    def looked(
        self,
        snapshots: Iterable[TorrentSnapshot],
        samples: Iterable[tuple[str, PeerName, ConnectionSample]],
        notes: Iterable[ConnectionNote],
        held: Callable[[str], Ranges],
        name: Callable[[Peer], PeerName],
    ) -> None:
        """Add what the snapshots and notes show. ``held``: a torrent's verified pieces now."""
        with self._lock:
            now = self._clock()
            for snapshot in snapshots:
                changes = self._changes.setdefault(snapshot.torrent, TorrentChanges(now))
                for change in changes.changes(snapshot, held, now):
                    self._add(now, change)
            for change in self._samples.events(samples, now):
                self._add(now, change, is_sample=True)
            for at, change in self._note_events.events(notes, name):
                self._add(at, change)

    def begin_log(self, room: int) -> None:
        """The tracker's log is a new one, which knows nothing of this node: the next look states everything.

        Earlier events are dropped if they need more than ``room`` bytes: the rest would come too late.
        """
        with self._lock:
            self._batches.make_room(room)
            self._state_again()

    def _state_again(self) -> None:
        self._has_gap = False
        for changes in self._changes.values():
            changes.forget()

    def _add(self, now: float, event: Change, is_sample: bool = False) -> None:
        if not self._is_over and not self._batches.add(now * 1000, *event, is_sample):
            self._has_gap = True

    # ---- batches

    @property
    def waits(self) -> bool:
        """True if events wait to be sent."""
        return bool(self._batches.waiting)

    def batch(self, room: int | None) -> list[Row]:
        """The events of the next report, or the last report's again. ``room`` None: no budget."""
        with self._lock:
            return self._batches.batch(room)

    @property
    def uncounted(self) -> int:
        """Bytes of that report that the budget does not count."""
        with self._lock:
            return self._batches.uncounted

    def acknowledge(self, next_seq: int | None) -> None:
        """The tracker took the batch, up to ``next_seq``."""
        with self._lock:
            self._batches.acknowledge(next_seq)

    def give_up(self) -> None:
        """The tracker refuses the batch."""
        with self._lock:
            self._batches.give_up()
            self._state_again()

    def end(self) -> None:
        """Collect nothing more."""
        with self._lock:
            self._is_over, self._batches, self._changes = True, Batches(), {}
