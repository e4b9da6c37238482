"""What the tracker does with each request: decide, record, then answer. Thread-safe; knows nothing of HTTP.

One lock guards the registry. It is held while the rules decide and while the storage takes note, so that
records are in the order of the facts; it is not held while ranking, waiting for the disk or writing the
log.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from common.fields import Addr
from common.logs import log
from common.messages import (
    Exit,
    Need,
    NeedAnswer,
    Own,
    OwnerEntry,
    Register,
    RegisterAnswer,
    Update,
)
from tracker.decisions import Counts, SwarmView
from tracker.ranking import Candidate, Circumstances, Strategy, decayed
from tracker.registry import Node, Registry
from tracker.storage.former import Change, DropNode, NodeRecord, RecordStorage, SaveNode, SaveOwner

SAVE_PATIENCE = 2.0  # seconds for which an answer waits to be on disk, at most
STOPPED_FOR = 1.0  # seconds; a sweep later than this means that the tracker itself was stopped


class TrackerService:
    """One method per request."""

    def __init__(
        self,
        registry: Registry,
        storage: RecordStorage,
        rank: Strategy,
        *,
        interval: float,
        max_results: int,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        """``interval``: seconds between heartbeats, told to nodes; ``max_results``: owners in an answer."""
        self._registry = registry
        self._storage = storage
        self._rank = rank
        self._interval = interval
        self._max_results = max_results
        self._clock = clock
        self._rng = rng or random.Random()
        self._lock = threading.Lock()

    def restore(self) -> list[str]:
        """Read an earlier run's records, with one deadline to hear from each node; remarks, a line each."""
        records = self._storage.load()
        with self._lock:
            now = self._clock()
            nodes = [Node(n.node_id, n.addr, now, n.uploads, n.score, now) for n in records.nodes]
            self._registry.restore(nodes, records.owned)
        return list(records.remarks)

    def register_node(self, request: Register) -> dict[str, Any]:
        """REGISTER: a node comes in, or is still there."""
        ticket = None
        with self._deciding() as now:
            node, known = self._registry.register_node(request.node_id, request.addr, now)
            if not known:
                ticket = self._storage.record([SaveNode(self._record_of(node, now))])
            answer = RegisterAnswer(self._interval, known, len(node.files)).to_json()
        if ticket is not None:
            log(f"REGISTER node {request.node_id} at {_where(request.addr)}")
        return self._kept(answer, ticket)

    def add_file_owner(self, request: Own) -> dict[str, Any]:
        """OWN: a node serves files."""
        with self._deciding() as now:
            node, known, news = self._registry.add_file_owner(
                request.node_id, request.addr, request.files, now
            )
            changes: list[Change] = [] if known else [SaveNode(self._record_of(node, now))]
            if news:
                changes.append(SaveOwner(request.node_id, tuple(news)))
            ticket = self._storage.record(changes) if changes else None
            answer = {"status": "File owner added", "files": len(node.files)}
        if news:
            what = repr(news[0].filename) if len(news) == 1 else f"{len(news)} files"
            log(f"OWN node {request.node_id} at {_where(request.addr)}: {what}")
        return self._kept(answer, ticket)

    def search_file(self, request: Need) -> dict[str, Any]:
        """NEED: who has a file, best first."""
        with self._deciding() as now:
            self._registry.heard(request.node_id, request.addr, now)
            owners = self._registry.search_file(request.filename, request.info_hash)
            circumstances = Circumstances(now, self._registry.half_life, self._rng)
        best = self._rank(owners, self._max_results, circumstances)
        filename = request.filename or (best[0].file.filename if best else None)
        log(f"NEED node {request.node_id}: {filename or request.info_hash!r}, owners: {len(owners)}")
        return NeedAnswer(request.node_id, filename, tuple(map(_entry, best))).to_json()

    def update_db(self, request: Update) -> dict[str, Any]:
        """UPDATE: a node has uploaded once more."""
        with self._deciding() as now:
            self._registry.check_addr(request.node_id, request.addr)
            credited = request.node_id if request.owner is None else request.owner
            field = "node_id" if request.owner is None else "owner"
            node = self._registry.update_db(credited, now, field)
            self._registry.heard(request.node_id, request.addr, now)
            uploads = node.uploads
            ticket = self._storage.record([SaveNode(self._record_of(node, now))])
        log(f"UPDATE node {credited}: {request.filename!r}, uploads: {uploads}")
        return self._kept({"status": "Database updated", "uploads": uploads}, ticket)

    def remove_node(self, request: Exit) -> dict[str, Any]:
        """EXIT: a node leaves. One that is not in has left already, which is as good."""
        with self._deciding():
            self._registry.check_addr(request.node_id, request.addr)
            node = self._registry.remove_node(request.node_id)
            ticket = self._storage.record([DropNode(request.node_id)]) if node else None
        if node is not None:
            log(f"EXIT node {request.node_id}")
        return self._kept({"status": "Node removed"}, ticket)

    def sweep(self) -> float:
        """Remove the nodes that fell silent; seconds after which to look again, so as to miss no deadline."""
        with self._deciding() as now:
            due = self._registry.next_deadline()
            return self._registry.silence if due is None else max(due - now, 0.0)

    def overview(self, limit: int) -> dict[str, Any]:
        """How much there is, and up to ``limit`` of the nodes."""
        with self._lock:
            nodes, names, owned = self._registry.counts
            some = [
                {"node_id": n.node_id, "addr": list(n.addr), "uploads": n.uploads, "files": len(n.files)}
                for n in self._registry.nodes(limit)
            ]
        return {"nodes": nodes, "files": names, "owned": owned, "some_nodes": some}

    def counts(self) -> Counts:
        """How much there is."""
        with self._lock:
            nodes, files, owned = self._registry.counts
        return Counts(nodes, 0, files, owned)

    def swarms(self, limit: int) -> list[SwarmView]:
        """Up to ``limit`` files that somebody has."""
        with self._lock:
            swarms = self._registry.swarms(limit)
        return [SwarmView(f.filename, f.info_hash, f.size, whole, part) for f, whole, part in swarms]

    def health(self) -> str:
        """Why records cannot be kept; "" if they can."""
        return ""

    def close(self) -> None:
        """Save everything and stop."""
        self._storage.close()

    @contextmanager
    def _deciding(self) -> Iterator[float]:
        """Hold the lock, after those whose deadline has come have been removed; gives the time."""
        lines: list[str] = []
        try:
            with self._lock:
                now = self._clock()
                self._remove_silent(now, lines)
                yield now
        finally:
            for line in lines:
                log(line)

    def _remove_silent(self, now: float, lines: list[str]) -> None:
        due = self._registry.next_deadline()
        if due is None or now < due:
            return
        if now - due > min(STOPPED_FOR, self._registry.silence / 4):
            # We ourselves were stopped or asleep: nodes may have called all the time, and nobody heard.
            self._registry.grant_deadline(now)
            lines.append(f"this tracker stood still for {now - due:.1f} s; all nodes get a new deadline")
        gone = self._registry.expire(now)
        if gone:
            self._storage.record([DropNode(node.node_id) for node in gone], urgent=False)
        silence = f"silent for {self._registry.silence:g} s"
        lines.extend(f"removed node {node.node_id} at {_where(node.addr)}: {silence}" for node in gone)

    def _record_of(self, node: Node, now: float) -> NodeRecord:
        score = decayed(node.score, now - node.scored_at, self._registry.half_life)
        return NodeRecord(node.node_id, node.addr, node.uploads, score)

    def _kept(self, answer: dict[str, Any], ticket: int | None) -> dict[str, Any]:
        """The answer, once what it says is on disk; marked if that is not possible."""
        if ticket is not None and not self._storage.wait(ticket, SAVE_PATIENCE):
            answer["saved"] = False
        return answer


def _entry(owner: Candidate) -> OwnerEntry:
    file = owner.file
    return OwnerEntry(owner.node_id, owner.addr, owner.uploads, file.info_hash, file.complete, file.size)


def _where(addr: Addr) -> str:
    host, port = addr
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
