"""The storage in this process: the rules and their state behind one lock, and a keeper that makes it last.

Theory of operation. The lock is held while the rules decide and while the keeper takes note, so that what is
kept is in the order of the facts; it is not held while anybody waits for the disk. Before each request those
whose deadline has come are removed, SLICE at a time with the lock let go in between: however many fall
silent at once, nobody waits for long, and nobody is answered with a node whose time is up.
"""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from common.messages import OwnedFile
from tracker.model import (
    Announced,
    Caller,
    Change,
    Counts,
    Credited,
    Found,
    Gone,
    NodeLeft,
    NodeRecord,
    NodeView,
    Owners,
    Receipt,
    Registered,
    Rules,
    SwarmView,
    Swept,
)
from tracker.nodes import Node
from tracker.registry import Registry
from tracker.storage.base import Keeper, Records, SnapshotSource

Decided = TypeVar("Decided")

SLICE = 24  # nodes that are removed while the lock is held
STOPPED_FOR = 1.0  # seconds; a sweep later than this means that the tracker itself was stopped


@dataclass(frozen=True)
class NoRecords:
    """Implements Records."""

    nodes: Sequence[NodeRecord] = ()
    owned: Sequence[Owners] = ()
    remarks: Sequence[str] = ()


class Forgetful:
    """Implements Keeper: keeps nothing."""

    def load(self) -> Records:
        """Nothing."""
        return NoRecords()

    def start(self, source: SnapshotSource) -> None:
        """Nothing to do."""

    def check_writable(self) -> None:
        """There is always room for nothing."""

    def note(self, changes: Sequence[Change]) -> int:
        """Forget it."""
        return 0

    def wait(self, ticket: int) -> None:
        """It is as safe as it will be."""

    def health(self) -> str:
        """Never better."""
        return ""

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass(frozen=True)
class _Turn:
    """What ``contextmanager`` makes of two functions, in a fifth of its time: each request enters it."""

    begin: Callable[[], float]
    end: Callable[[], None]

    def __enter__(self) -> float:
        return self.begin()

    def __exit__(self, *failure: object) -> None:
        self.end()


class InProcess:
    """Implements Storage, and SnapshotSource for its keeper."""

    def __init__(
        self,
        rules: Rules,
        keeper: Keeper | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        """Without a keeper all is forgotten with this object. ``clock``: monotonic seconds."""
        self._keeper: Keeper = keeper or Forgetful()
        self._clock = clock
        self._lock = threading.Lock()
        self._deciding = _Turn(self._begin, self._end)
        self._registry = Registry(rules, self._keeper.check_writable, rng)
        self._half_life = rules.half_life
        self._gone: list[Gone] = []  # since the last sweep
        self._stood_still = 0.0  # seconds, since the last sweep
        self._unsafe: dict[int, int] = {}  # node id -> ticket of its last request, until that is kept

    @property
    def silence(self) -> float:
        """Seconds until an unheard node is gone; see ``Storage``."""
        return self._registry.silence

    @silence.setter
    def silence(self, seconds: float) -> None:
        self._registry.silence = seconds

    def open(self) -> Sequence[str]:
        """Take over what the keeper has."""
        gc.disable()  # a million objects come and none goes, but all would be looked at again and again
        try:
            records = self._keeper.load()
            with self._lock:
                self._registry.restore(records.nodes, records.owned, self._clock())
            remarks = tuple(records.remarks)
            del records
            gc.freeze()
        finally:
            gc.enable()
        self._keeper.start(self)
        return remarks

    # ---- the five requests

    def register(self, caller: Caller, claim: str | None = None) -> Registered:
        """REGISTER."""
        with self._deciding as now:
            decided, changes = self._registry.register_node(caller, claim, now)
            ticket = self._note(caller, changes)
        return self._kept(caller, decided, ticket)

    def own(self, caller: Caller, files: Sequence[OwnedFile]) -> Announced:
        """OWN."""
        with self._deciding as now:
            decided, changes = self._registry.add_file_owner(caller, files, now)
            ticket = self._note(caller, changes)
        return self._kept(caller, decided, ticket)

    def need(self, caller: Caller, filename: str | None, info_hash: str | None, limit: int) -> Found:
        """NEED."""
        with self._deciding as now:
            return self._registry.search_file(caller, filename, info_hash, limit, now)

    def update(self, caller: Caller, receipt: Receipt) -> Credited:
        """UPDATE."""
        with self._deciding as now:
            decided, changes = self._registry.update_db(caller, receipt, now)
            ticket = self._note(caller, changes)
        return self._kept(caller, decided, ticket)

    def exit(self, caller: Caller) -> bool:
        """EXIT."""
        with self._deciding:
            decided, changes = self._registry.remove_node(caller)
            ticket = self._note(caller, changes)
        return self._kept(caller, decided, ticket)

    # ---- time

    def sweep(self) -> Swept:
        """Remove who is due; also tells who was removed before a request."""
        with self._deciding as now:
            due = self._registry.next_deadline()
            wait = self.silence if due is None else max(due - now, 0.0)
            swept = Swept(wait, tuple(self._gone), self._stood_still)
            self._gone, self._stood_still = [], 0.0
        return swept

    def _begin(self) -> float:
        """Take the lock, at a time when nobody is due; that time."""
        while True:
            self._lock.__enter__()
            try:
                now = self._clock()
                more = self._remove_silent(now)
            except BaseException:
                self._end()
                raise
            if not more:
                return now
            self._end()

    def _end(self) -> None:
        self._lock.__exit__(None, None, None)

    def _remove_silent(self, now: float) -> bool:
        """Remove some of those who are due; whether there may be more."""
        due = self._registry.next_deadline()
        if due is None or now < due:
            return False
        if now - due > min(STOPPED_FOR, self.silence / 4):
            # We ourselves were stopped or asleep: nodes may have called all the time, and nobody heard.
            self._registry.grant_deadline(now)
            self._stood_still += now - due
            return False
        gone = self._registry.expire(now, SLICE)
        self._keeper.note([NodeLeft(node.node_id) for node in gone])
        self._gone.extend(Gone(node.node_id, node.addr) for node in gone)
        return True

    def _note(self, caller: Caller, changes: Sequence[Change]) -> int | None:
        """The ticket to wait for. What changes nothing may repeat a request that is not safe yet, and must
        not be answered before that one could have been.
        """
        if not changes:
            return self._unsafe.get(caller.node_id)
        ticket = self._unsafe[caller.node_id] = self._keeper.note(changes)
        return ticket

    def _kept(self, caller: Caller, decided: Decided, ticket: int | None) -> Decided:
        """What was decided, once it survives."""
        if ticket is not None:
            self._keeper.wait(ticket)
            with self._lock:
                if self._unsafe.get(caller.node_id) == ticket:
                    del self._unsafe[caller.node_id]
        return decided

    # ---- looking

    def counts(self) -> Counts:
        """How much there is."""
        with self._lock:
            return self._registry.counts()

    def nodes(self, limit: int) -> Sequence[NodeView]:
        """Some nodes."""
        with self._lock:
            return self._registry.nodes(limit)

    def swarms(self, limit: int) -> Sequence[SwarmView]:
        """Those with the most owners, about."""
        with self._lock:
            return self._registry.swarms(limit)

    def health(self) -> str:
        """The keeper's."""
        return self._keeper.health()

    def close(self) -> None:
        """Keep everything."""
        self._keeper.close()

    # ---- for snapshots

    def node_ids(self) -> list[int]:
        """All nodes."""
        with self._lock:
            return self._registry.node_ids()

    def node_records(self, node_ids: Sequence[int]) -> list[NodeRecord]:
        """Those that are in."""
        with self._lock:
            return self._registry.records(node_ids, self._clock())

    def file_names(self) -> list[str]:
        """All names that files are owned under."""
        with self._lock:
            return self._registry.file_names()

    def owners_of(self, names: Sequence[str]) -> list[tuple[str, list[Owners]]]:
        """Who owns files of these names. The lock is held for a copy of each name's list alone."""
        found: list[tuple[str, list[Owners]]] = []
        for name in names:
            with self._lock:
                entries = self._registry.owners_of(name)
            groups: dict[OwnedFile, list[int]] = {}
            nodes: dict[int, tuple[OwnedFile, list[Node]]] = {}
            for entry in entries:
                nodes.setdefault(id(entry.file), (entry.file, []))[1].append(entry.node)
            for file, owners in nodes.values():
                node_ids = [node.node_id for node in owners if not node.gone]
                if node_ids:
                    groups.setdefault(file, []).extend(node_ids)
            if groups:
                found.append((name, list(groups.items())))
        return found
