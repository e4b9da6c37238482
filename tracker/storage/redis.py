"""The storage in Redis, which any number of tracker processes share.

A transaction is optimistic: WATCH the records that the request names and read them, decide, and write inside
MULTI and EXEC. Redis refuses EXEC if another process has changed a watched record meanwhile; then all is done
again. So a request costs two round trips, and a heartbeat one (see ``_heartbeat``). Totals (nodes, claims,
ownerships) are not watched: under a race a limit may be passed by a few.

The time is Redis' own, so the clocks of the trackers' machines do not matter. Redis' own
settings (``appendonly``) decide which records survive a crash; ``open`` warns about losses.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from common.errors import StorageFault, StorageFull, StorageReadOnly, StorageUnreachable
from common.messages import PeerEntry
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
    NodeView,
    PeerAnswer,
    Rules,
    SwarmCounts,
    SwarmView,
)
from tracker.ranking import STRATEGIES, TIES
from tracker.rules import is_expired, speaks_for, was_suspended
from tracker.storage.base import T
from tracker.storage.redis_client import Command, RedisClient, Session, checked
from tracker.storage.redis_keys import RedisKeys
from tracker.storage.redis_peers import RedisPeers
from tracker.storage.redis_search import largest_swarms, node_views, owners
from tracker.storage.redis_view import (
    Reads,
    deadline_reads,
    earliest_deadline,
    node_ids,
    record_reads,
    record_view,
)
from tracker.storage.redis_warnings import warnings_about
from tracker.storage.redis_writes import Writer
from tracker.view import View

FORMAT = "2"  # version of the keys and their content
MAX_SPEAKERS = 100_000  # nodes with a remembered heartbeat
STRIPES = 64  # locks, so that threads of this process do not conflict over one node
RETRY_EXPIRY = 1.0  # seconds until the next look at the deadlines, while Redis is away


class RedisStorage:
    """Implements Storage."""

    def __init__(
        self, rules: Rules, url: str, tag: str = "{tracker}", clock: Callable[[], float] | None = None
    ) -> None:
        """``tag``: the start of all keys; its braces keep them on one server of a cluster. ``clock``:
        seconds, instead of Redis' own; for tests. Connects to nothing yet.
        """
        self.silence = rules.silence
        self._rules = rules
        self._strategy = STRATEGIES[rules.ranking]
        self._clock = clock
        self._offset = 0.0  # seconds from our monotonic clock to Redis' time
        self._names = RedisKeys(tag)
        self._writer = Writer(self._names, self._strategy, rules.half_life)
        self._peers = RedisPeers(self._names, rules)
        self._client = RedisClient(url)
        self._stripes = [threading.Lock() for _ in range(STRIPES)]
        self._speakers: dict[int, tuple[Caller, float]] = {}  # node id -> last heartbeat, and its deadline
        self._lock = threading.Lock()  # guards what follows
        self._gone: list[ExpiredNode] = []  # since the last ``expire``
        self._suspended_for = 0.0  # seconds, since the last ``expire``

    def open(self) -> Sequence[str]:
        """Join the other trackers on the same Redis. Every node gets one whole deadline."""
        names = self._names
        try:
            with self._client.session() as session:
                *_, known, clock = session.run(
                    ("HSETNX", names.meta, "format", FORMAT),
                    ("HSETNX", names.meta, "salt", secrets.randbelow(TIES)),
                    ("HMGET", names.meta, "format", "salt", "ranking", "half_life"),
                    ("TIME",),
                )
                if known[0] != FORMAT:
                    hint = f"delete the keys {names.of('*')}; nodes announce themselves again"
                    raise StorageFault(f"the records in Redis have format {known[0]}, not {FORMAT}; {hint}")
                names.salt = int(known[1])
                self._grant_deadline(session, self._read_clock(clock))
                if known[2:] != [self._rules.ranking, repr(self._rules.half_life)]:
                    self._writer.rank_all(session, self._rules.ranking)
            return warnings_about(self._client.client)
        except StorageUnreachable as error:
            raise StorageFault(f"{error} (setting REDIS_URL)") from None

    # ---- transactions

    def transact(self, keys: Keys, decide: Callable[[View], Decision[T]]) -> T:
        """Load, decide, commit; again if another process has changed the same records meanwhile."""
        decision = self._heartbeat(keys, decide) if keys.heartbeat else None
        if decision is not None:
            return decision.result
        with contextlib.ExitStack() as stack:
            for stripe in sorted({node_id % STRIPES for node_id in node_ids(keys)}):
                stack.enter_context(self._stripes[stripe])
            session = stack.enter_context(self._client.session())
            while decision is None:
                decision = self._attempt(session, keys, decide)
        return decision.result

    def _attempt(
        self, session: Session, keys: Keys, decide: Callable[[View], Decision[T]]
    ) -> Decision[T] | None:
        """Try a transaction once. None: try again."""
        watch: Command = (
            "WATCH",
            *(
                name
                for node_id in node_ids(keys)
                for name in (self._names.node(node_id), self._names.has(node_id))
            ),
        )
        found = self._load(session, record_reads(self._names, keys), watch)
        view = record_view(found, keys, self._read_clock(found["time"]), self.silence, self._rules)
        try:
            decision = decide(view)
            commands, is_whole = self._writer.commands(session, view, decision.writes)
        except BaseException:
            session.try_run(("UNWATCH",))
            raise
        node_id = keys.caller.node_id
        is_in = ("XX",) if view.node(node_id) is not None else ()  # it may have been removed meanwhile
        touch = [self._touch(node_id, view.now, *is_in)] if decision.heard else []
        if not commands:
            session.try_run(("UNWATCH",), *touch)  # a Redis that refuses to write still answers
        elif not session.commit(*commands, *touch) or not is_whole:
            return None
        if decision.heard:
            self._remember(keys.caller, view.now)
        return decision

    def _heartbeat(self, keys: Keys, decide: Callable[[View], Decision[T]]) -> Decision[T] | None:
        """A sign of life in one round trip; None if the request is more than that.

        This process has just accepted a request of the same caller with the same proof. So the deadline is
        set together with reading the records, and the rules look at the records afterwards.
        """
        caller, now = keys.caller, self._now()
        before, deadline = self._speakers.get(caller.node_id, (None, 0.0))
        if before != caller or is_expired(deadline, now):
            return None
        reads = record_reads(self._names, keys)
        with self._client.session() as session:
            *replies, heard = session.try_run(*reads.values(), self._touch(caller.node_id, now, "XX"))
        found = dict(zip(reads, checked(replies), strict=True))
        view = record_view(found, keys, self._read_clock(found["time"]), self.silence, self._rules)
        if view.due is not None and is_expired(view.due, view.now):
            return None
        decision = decide(view)
        if decision.writes or not decision.heard:
            return None
        if isinstance(heard, int):
            self._remember(caller, now)
        return decision

    def search(self, caller: Caller, filename: str | None, info_hash: str | None, limit: int) -> Found:
        """NEED. Owners that leave between the two round trips are left out."""
        kind, what = ("file", info_hash) if info_hash else ("name", filename or "")
        whole, part = self._names.of("w", kind, what), self._names.of("p", kind, what)
        drawn = self._strategy.drawn
        reads: Reads = {
            **record_reads(self._names, Keys(caller)),
            "best": ("ZRANDMEMBER", whole, limit) if drawn else ("ZRANGE", whole, 0, limit - 1),
            "any": ("ZRANDMEMBER", part, limit),
            "total": ("ZCARD", whole),
            "partial": ("ZCARD", part),
        }
        with self._client.session() as session:
            found = self._load(session, reads)
            now = self._read_clock(found["time"])
            node = record_view(found, Keys(caller), now, self.silence, self._rules).node(caller.node_id)
            if node is not None and speaks_for(node, caller):
                session.try_run(self._touch(caller.node_id, now, "XX"))
            members = [*found["best"], *found["any"]][:limit]
            entries, name = owners(session, self._names, members, filename, info_hash)
        return Found(entries, found["total"] + found["partial"], name)

    # ---- standard peers

    def announce(self, call: Announcement) -> PeerAnswer:
        """See ``Storage``."""
        with self._at_a_time() as (session, now):
            return self._peers.announce(session, call, now)

    def announce_again(
        self, key: bytes, endpoint: bytes, complete: bool, wanted: int
    ) -> CompactAnswer | None:
        """There is no shorter way."""
        return None

    def scrape(self, info_hashes: Sequence[bytes]) -> Sequence[SwarmCounts]:
        """See ``Storage``."""
        with self._at_a_time() as (session, _):
            return self._peers.scrape(session, info_hashes)

    def standard_peers(self, info_hash: bytes, limit: int) -> Sequence[PeerEntry]:
        """See ``Storage``."""
        with self._at_a_time() as (session, _):
            return self._peers.newest(session, info_hash, limit)

    @contextlib.contextmanager
    def _at_a_time(self) -> Iterator[tuple[Session, float]]:
        """A session, at a time when no node and no peer is past its deadline."""
        with self._client.session() as session:
            now = self._read_clock(self._load(session, deadline_reads(self._names))["time"])
            self._peers.expire(session, now)
            yield session, now

    # ---- deadlines

    def expire(self) -> ExpiryResult:
        """Remove the nodes past their deadline. While Redis is away none is removed."""
        try:
            with self._client.session() as session:
                found = self._load(session, deadline_reads(self._names))
                self._peers.expire(session, self._read_clock(found["time"]))
        except StorageFault:  # the requests get the reason
            return ExpiryResult(RETRY_EXPIRY)
        due = earliest_deadline(found)
        wait = self.silence if due is None else max(due - self._read_clock(found["time"]), 0.0)
        with self._lock:
            result = ExpiryResult(wait, tuple(self._gone), self._suspended_for)
            self._gone, self._suspended_for = [], 0.0
        return result

    def _load(self, session: Session, reads: Reads, *watch: Command) -> dict[str, Any]:
        """Read, at a time when no node is past its deadline. Expired nodes are removed first."""
        while True:
            replies = session.run(*watch, *reads.values())[len(watch) :]
            found = dict(zip(reads, replies, strict=True))
            now, due = self._read_clock(found["time"]), earliest_deadline(found)
            if due is None or not is_expired(due, now):
                return found
            session.run(("UNWATCH",))
            try:
                self._expire_some(session, now, due, float(found["meta"][1] or 0))
            except (StorageFull, StorageReadOnly):  # then no heartbeat is recorded either: all nodes stay
                return dict(zip(reads, session.run(*watch, *reads.values())[len(watch) :], strict=True))

    def _expire_some(self, session: Session, now: float, due: float, expired_at: float) -> None:
        if was_suspended(max(due, expired_at), now, self.silence):
            self._grant_deadline(session, now)
            with self._lock:
                self._suspended_for += now - due
            return
        gone = self._writer.expire(session, now)
        with self._lock:
            self._gone += gone

    def _grant_deadline(self, session: Session, now: float) -> None:
        """Give every node one whole deadline from now."""
        self._writer.try_write(session, ("HSET", self._names.meta, "grace_until", repr(now + self.silence)))
        self._writer.try_write(session, self._peers.grant_deadline(now))

    def _touch(self, node_id: int, now: float, *flags: str) -> Command:
        return ("ZADD", self._names.deadlines, *flags, "GT", repr(now + self.silence), node_id)

    def _remember(self, caller: Caller, now: float) -> None:
        self._speakers.pop(caller.node_id, None)
        self._speakers[caller.node_id] = caller, now + self.silence
        if len(self._speakers) > MAX_SPEAKERS:
            with contextlib.suppress(KeyError, StopIteration, RuntimeError):  # other threads do the same
                del self._speakers[next(iter(self._speakers))]

    def _read_clock(self, reply: Sequence[str]) -> float:
        """Redis' time, from its answer to TIME."""
        if self._clock is not None:
            return self._clock()
        now = int(reply[0]) + int(reply[1]) / 1e6
        self._offset = now - time.monotonic()
        return now

    def _now(self) -> float:
        """Redis' time, about."""
        return self._clock() if self._clock is not None else time.monotonic() + self._offset

    # ---- looking

    def counts(self) -> Counts:
        """How much there is."""
        names = self._names
        reads: Reads = {
            **deadline_reads(names),
            "nodes": ("ZCARD", names.deadlines),
            "files": ("ZCARD", names.filenames),
            "peers": ("ZCARD", self._peers.deadlines),
        }
        with self._client.session() as session:
            found = self._load(session, reads)
        _, _, claimed, owned = found["meta"]
        return Counts(found["nodes"], int(claimed or 0), found["files"], int(owned or 0), found["peers"])

    def nodes(self, limit: int) -> Sequence[NodeView]:
        """Those with the earliest deadlines."""
        with self._client.session() as session:
            reads = {**deadline_reads(self._names), "ids": ("ZRANGE", self._names.deadlines, 0, limit - 1)}
            return node_views(session, self._names, self._load(session, reads)["ids"])

    def swarms(self, limit: int) -> Sequence[SwarmView]:
        """Those with the most owners."""
        with self._client.session() as session:
            self._load(session, deadline_reads(self._names))
            return largest_swarms(session, self._names, limit)

    def health(self) -> str:
        """Redis' answer to a write that means nothing."""
        try:
            with self._client.session() as session:
                session.run(("HSET", self._names.meta, "tried_at", repr(self._now())))
        except StorageFault as fault:
            return str(fault)
        return ""

    def close(self) -> None:
        """Close the connections: Redis has all records."""
        self._client.close()
