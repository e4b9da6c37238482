"""The storage in this process: the records behind one lock, and a ``Durability`` that makes them last.

The lock is held while the rules decide and while the writes are queued, so that they become durable in the
order in which they were decided. It is not held while a request waits for the disk. Before each transaction
the nodes past their deadline are removed, a few at a time with the lock released in between. So no request
waits for long, however many nodes fall silent at once, and no request sees a node past its deadline.
"""

from __future__ import annotations

import contextlib
import gc
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from common.errors import StorageFault
from common.messages import OwnedFile, PeerEntry
from tracker import peer_rules
from tracker.clock import wall_clock
from tracker.model import (
    Announcement,
    Caller,
    CompactAnswer,
    Counts,
    Decision,
    ExpiredNode,
    ExpiryResult,
    Found,
    Keys,
    NodeLeft,
    NodeRecord,
    NodeView,
    Owners,
    PeerAnswer,
    PeerLeft,
    ReporterTotal,
    Rules,
    SwarmCounts,
    SwarmView,
    Write,
)
from tracker.owners import Ownership
from tracker.ranking import decayed
from tracker.rules import is_expired, was_suspended
from tracker.storage.base import Durability, Records, RecordSource, T
from tracker.storage.state import State
from tracker.view import View

EXPIRE_NODES = 12  # nodes that are removed while the lock is held
EXPIRE_FILES = 500  # files of removed nodes, after which no further node is removed meanwhile


class NoDurability:
    """Implements Durability: keeps nothing."""

    def load(self) -> Records:
        """No records."""
        return Records()

    def start(self, source: RecordSource) -> None:
        """Nothing to do."""

    def check_writable(self) -> None:
        """Nothing is written."""

    def append(self, writes: Sequence[Write]) -> int:
        """Nothing is kept."""
        return 0

    def sync(self, number: int) -> None:
        """Return at once."""

    def health(self) -> str:
        """Always well."""
        return ""

    def close(self) -> None:
        """Nothing to release."""


@dataclass(frozen=True)
class _Locked:
    """A context manager of two functions. ``contextlib.contextmanager`` takes five times as long."""

    enter: Callable[[], State]
    leave: Callable[[], None]

    def __enter__(self) -> State:
        return self.enter()

    def __exit__(self, *failure: object) -> None:
        self.leave()


class MemoryStorage:
    """Implements Storage, and RecordSource for its durability."""

    def __init__(
        self,
        rules: Rules,
        durability: Durability | None = None,
        clock: Callable[[], float] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """Without ``durability`` the records end with this object. ``clock``: seconds; see ``wall_clock``."""
        self._durability: Durability = durability or NoDurability()
        self._clock = clock or wall_clock()
        self._lock = threading.Lock()
        self._locked_now = _Locked(self._enter, self._leave)
        self._state = State(rules, rng)
        self._again = self._state.peers.again
        self._gone: list[ExpiredNode] = []  # since the last ``expire``
        self._suspended_for = 0.0  # seconds, since the last ``expire``
        self._look_again = 0.0  # seconds; no deadline is earlier
        self._unsynced: dict[int, int] = {}  # caller -> number of its last writes, until they are durable

    @property
    def silence(self) -> float:
        """Seconds without a sign of life until a node is removed; see ``Storage``."""
        return self._state.silence

    @silence.setter
    def silence(self, seconds: float) -> None:
        self._state.silence = seconds
        self._look_again = 0.0

    def open(self) -> Sequence[str]:
        """Take over the durable records."""
        gc.disable()  # a million objects are made and none is freed, but each collection looks at all
        try:
            records = self._durability.load()
            with self._lock:
                self._state.now = self._clock()
                self._state.restore(records.nodes, records.owned, records.totals)
                self._state.peers.restore(records.peers, self._state.now)
            warnings = tuple(records.warnings)
            del records
            gc.freeze()
        finally:
            gc.enable()
        self._durability.start(self)
        return warnings

    def transact(self, keys: Keys, decide: Callable[[View], Decision[T]]) -> T:
        """Decide and apply under the lock, then wait until it is durable."""
        node_id = keys.caller.node_id
        with self._locked_now as state:
            decision = decide(state)
            number = self._commit(node_id, decision.writes)
            if decision.heard:
                state.touch(node_id)
        if number is not None:
            self._durability.sync(number)
            with self._lock:
                if self._unsynced.get(node_id) == number:
                    del self._unsynced[node_id]
        return decision.result

    def search(self, caller: Caller, filename: str | None, info_hash: str | None, limit: int) -> Found:
        """NEED; see ``Storage``."""
        with self._locked_now as state:
            return state.search(caller, filename, info_hash, limit)

    def announce(self, call: Announcement) -> PeerAnswer:
        """See ``Storage``. It does not wait for the disk."""
        with self._locked_now as state:
            decision = peer_rules.announce(state, call)
            if decision.writes:
                self._append(*decision.writes)
            return state.peers.carry_out(call, decision, state.now)

    def announce_again(
        self, key: bytes, endpoint: bytes, complete: bool, wanted: int
    ) -> CompactAnswer | None:
        """See ``Storage``."""
        with self._lock:
            now = self._clock()
            if now >= self._look_again:
                return None
            return self._again(key, endpoint, complete, wanted, now)

    def scrape(self, info_hashes: Sequence[bytes]) -> Sequence[SwarmCounts]:
        """See ``Storage``."""
        with self._locked_now as state:
            return [state.peers.counts(info_hash) for info_hash in info_hashes]

    def standard_peers(self, info_hash: bytes, limit: int) -> Sequence[PeerEntry]:
        """See ``Storage``."""
        with self._locked_now as state:
            return state.peers.newest(info_hash, limit)

    def _append(self, *writes: Write) -> None:
        """Queue writes that no request waits for. A full or failed disk loses them: peers announce again."""
        with contextlib.suppress(StorageFault):
            self._durability.check_writable()
            self._durability.append(writes)

    def _commit(self, node_id: int, writes: Sequence[Write]) -> int | None:
        """Apply and queue the writes; the sequence number to wait for before the answer.

        A request that writes nothing may be a retry of a request that is not durable yet. It waits for that.
        """
        if not writes:
            return self._unsynced.get(node_id)
        self._durability.check_writable()
        self._state.apply(writes)
        number = self._unsynced[node_id] = self._durability.append(writes)
        return number

    # ---- deadlines

    def expire(self) -> ExpiryResult:
        """Remove the nodes past their deadline."""
        with self._locked_now as state:
            deadline = state.next_deadline()
            wait = state.silence  # a node that comes meanwhile has no earlier deadline
            if deadline is not None:
                wait = min(max(deadline - state.now, 0.0), wait)
            result = ExpiryResult(wait, tuple(self._gone), self._suspended_for)
            self._gone, self._suspended_for = [], 0.0
        return result

    def _enter(self) -> State:
        """Take the lock, at a time when no node is past its deadline."""
        while True:
            self._lock.acquire()
            try:
                self._state.now = self._clock()
                more = self._expire_some(self._state)
            except BaseException:
                self._lock.release()
                raise
            if not more:
                return self._state
            self._lock.release()

    def _leave(self) -> None:
        self._lock.release()

    def _expire_some(self, state: State) -> bool:
        """Remove some of the expired nodes or peers. True if there may be more."""
        if state.now < self._look_again:
            return False
        deadline = state.next_deadline()
        if deadline is None or not is_expired(deadline, state.now):
            soonest = state.now + min(state.silence, state.rules.silence, state.rules.announce_silence)
            self._look_again = soonest if deadline is None else min(soonest, deadline)
            return False
        if was_suspended(deadline, state.now, state.silence):
            state.grant_deadline()
            self._suspended_for += state.now - deadline
            return False
        if peers := state.peers.expire(EXPIRE_NODES, state.now):
            self._append(*(PeerLeft(peer.key) for peer in peers))
            return True
        gone = state.expire(EXPIRE_NODES, EXPIRE_FILES)
        self._durability.append([NodeLeft(node.node_id) for node in gone])
        self._gone.extend(ExpiredNode(node.node_id, node.addr) for node in gone)
        return True

    # ---- looking

    def counts(self) -> Counts:
        """How much there is."""
        with self._lock:
            return self._state.counts()

    def nodes(self, limit: int) -> Sequence[NodeView]:
        """Some nodes."""
        with self._lock:
            return self._state.nodes(limit)

    def swarms(self, limit: int) -> Sequence[SwarmView]:
        """About those with the most owners."""
        with self._lock:
            return self._state.swarms(limit)

    def health(self) -> str:
        """The durability's."""
        return self._durability.health()

    def close(self) -> None:
        """Make everything durable."""
        self._durability.close()

    # ---- RecordSource

    def node_ids(self) -> list[int]:
        """All nodes."""
        with self._lock:
            return self._state.node_ids()

    def node_records(self, node_ids: Sequence[int]) -> list[tuple[NodeRecord, list[ReporterTotal]]]:
        """The nodes that are in, with their totals."""
        found = []
        with self._lock:
            now, half_life = self._clock(), self._state.rules.half_life
            for node_id in node_ids:
                node = self._state.node(node_id)
                if node is not None:
                    score = decayed(node.score, now - node.scored_at, half_life) if node.score else 0.0
                    found.append((node._replace(score=score, scored_at=now), self._state.totals(node_id)))
        return found

    def file_names(self) -> list[str]:
        """All names that files are owned under."""
        with self._lock:
            return self._state.file_names()

    def owners_of(self, names: Sequence[str]) -> list[tuple[str, list[Owners]]]:
        """The owners of the files of these names. The lock is held to copy one name's list."""
        found: list[tuple[str, list[Owners]]] = []
        for name in names:
            with self._lock:
                ownerships = self._state.ownerships(name)
            if groups := _grouped(ownerships):
                found.append((name, groups))
        return found


def _grouped(ownerships: Sequence[Ownership]) -> list[Owners]:
    """The owners of each description. Equal descriptions are mostly one object, which is compared faster."""
    by_object: dict[int, Owners] = {}
    for owned in ownerships:
        by_object.setdefault(id(owned.file), (owned.file, []))[1].append(owned.node.record.node_id)
    groups: dict[OwnedFile, list[int]] = {}
    for file, node_ids in by_object.values():
        groups.setdefault(file, []).extend(node_ids)
    return list(groups.items())
