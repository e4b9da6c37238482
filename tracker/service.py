"""One method per request: check the swarm key, let the storage carry out the rules, make the answer.

Thread-safe; knows nothing of HTTP. Each request is a message of ``common.messages`` and its credentials. The
log has a line for each request that changed or asked something, none for heartbeats, and never a secret.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from common.addresses import Addr
from common.logs import log
from common.messages import (
    TCP,
    Exit,
    Need,
    NeedAnswer,
    Own,
    OwnedFile,
    PeerEntry,
    Register,
    RegisterAnswer,
    Update,
)
from tracker import rules
from tracker.announce_service import AnnounceService
from tracker.auth import ANONYMOUS, Credentials, SwarmKey, digest, new_secret
from tracker.errors import where
from tracker.heartbeat import RequestRate, interval_factor
from tracker.kept_owners import note_kept_owners
from tracker.listings import listed_nodes, listed_torrents
from tracker.log_keeper import LogKeeper
from tracker.model import (
    Caller,
    Counts,
    Keys,
    Receipt,
    Rules,
    SwarmView,
    file_key,
)
from tracker.see.report import NodeReport, ReportAnswer
from tracker.storage.base import Storage

INTERVAL_SECONDS = 1.0  # between two computations of the heartbeat interval


class TrackerService:
    """One method per request."""

    def __init__(
        self,
        storage: Storage,
        rules: Rules,
        *,
        max_results: int = 50,
        swarm_key: SwarmKey | None = None,
        clock: Callable[[], float] = time.monotonic,
        live: LogKeeper | None = None,
    ) -> None:
        """``rules``: as the storage has them; ``max_results``: max owners in an answer to NEED."""
        self.live = live or LogKeeper(rules.ranking)
        """The live log of this tracker."""
        self._storage = storage
        self._rules = rules
        self._max_results = max_results
        self._swarm_key = swarm_key or SwarmKey(None)
        self._clock = clock
        self._lock = threading.Lock()  # guards what follows
        self._other_requests = RequestRate()  # that are not heartbeats
        self._interval = rules.interval
        self._look_again = clock()
        self.announces = AnnounceService(storage, self._swarm_key, rules, self._count, self.live)
        """The requests of standard peers."""

    def open(self) -> Sequence[str]:
        """Take over the records of an earlier run; warnings for people, a line each."""
        return self._storage.open()

    def check_key(self, by: Credentials) -> None:
        """Forbidden if there is a swarm key and the request came without it. The five requests call this."""
        self._swarm_key.check(by)

    def register_node(self, request: Register, by: Credentials = ANONYMOUS) -> dict[str, Any]:
        """REGISTER: a node comes in, or sends a heartbeat; it may claim its node_id with a secret."""
        self.check_key(by)
        secret = by.secret
        if request.claim and secret is None:
            secret = new_secret()
        wants = secret is not None and (request.claim or self._rules.require_claim)
        claim = digest(secret) if secret is not None and wants else None
        interval = self._heartbeat_interval()  # first: the deadline that goes with it is given with the next
        caller = _caller(request.node_id, request.addr, by, request.tcp_port)
        decided = self._storage.transact(
            Keys(caller, heartbeat=True), lambda view: rules.register(view, caller, claim)
        )
        if not decided.known or decided.granted:
            with_secret = ", claimed" if decided.granted else ""
            log(f"REGISTER node {request.node_id} at {where(request.addr)}{with_secret}")
        self.live.on_register(request.node_id, request.addr)
        given = secret if decided.granted else None
        return RegisterAnswer(interval, decided.known, decided.files, decided.claimed, given).to_json()

    def add_file_owner(self, request: Own, by: Credentials = ANONYMOUS) -> dict[str, Any]:
        """OWN: a node serves files."""
        self._begin(by)
        caller = _caller(request.node_id, request.addr, by, request.tcp_port)
        keys = Keys(caller, files=[file_key(file.filename, file.info_hash) for file in request.files])
        if request.withdraw:
            left = self._storage.transact(keys, lambda view: rules.withdraw(view, caller, keys.files))
            log(f"OWN node {request.node_id} withdraws {_named(request.files)}")
            return {"status": "File owner removed", "files": left}
        decided = self._storage.transact(keys, lambda view: rules.own(view, caller, request.files))
        if decided.news:
            news = decided.news
            self.live.on_register(request.node_id, request.addr)
            self.live.on_own(request.node_id, news)
            log(f"OWN node {request.node_id} at {where(request.addr)}: {_named(news)}")
        return {"status": "File owner added", "files": decided.files}

    def search_file(self, request: Need, by: Credentials = ANONYMOUS) -> NeedAnswer:
        """NEED: the owners of a file, best first; standard peers only for a node that speaks TCP."""
        self._begin(by)
        caller = _caller(request.node_id, request.addr, by)
        found = self._storage.search(caller, request.filename, request.info_hash, self._max_results)
        filename = request.filename or found.filename
        peers: Sequence[PeerEntry] = ()
        if TCP in request.transports and request.info_hash is not None:
            info_hash = bytes.fromhex(request.info_hash)
            peers = self._storage.standard_peers(info_hash, self._max_results)
        others = found.total - any(owner.node_id == request.node_id for owner in found.owners)
        standard = f", standard peers: {len(peers)}" if peers else ""
        asked = filename or request.info_hash
        log(f"NEED node {request.node_id}: {asked!r}, other owners: {others}{standard}")
        self.live.on_need(request.node_id, filename, request.info_hash, found.owners, peers)
        return NeedAnswer(request.node_id, filename, found.owners, tuple(peers))

    def update_db(self, request: Update, by: Credentials = ANONYMOUS) -> dict[str, Any]:
        """UPDATE: a node has uploaded, unverified or confirmed by a receipt."""
        self._begin(by)
        caller = _caller(request.node_id, request.addr, by)
        receipt = Receipt(request.filename, request.owner, request.info_hash, request.bytes, request.receipt)
        keys = Keys(caller, request.owner, [file_key(request.filename, request.info_hash)])
        decided = self._storage.transact(keys, lambda view: rules.update(view, caller, receipt))
        if decided.counted:
            log(f"UPDATE node {decided.node_id}: {request.filename!r}, uploads: {decided.uploads}")
            self.live.on_update(decided.node_id, decided.uploads, request.node_id)
        return {"status": "Database updated", "uploads": decided.uploads, "counted": decided.counted}

    def remove_node(self, request: Exit, by: Credentials = ANONYMOUS) -> dict[str, Any]:
        """EXIT: a node leaves. A node that is not in has left already: the answer is the same."""
        self._begin(by)
        caller = _caller(request.node_id, request.addr, by)
        if self._storage.transact(Keys(caller), lambda view: rules.leave(view, caller)):
            log(f"EXIT node {request.node_id}")
            self.live.on_exit(request.node_id)
        return {"status": "Node removed"}

    def take_report(
        self, report: NodeReport, received_ms: float, by: Credentials = ANONYMOUS
    ) -> ReportAnswer:
        """A report for the live log, from a node that is in. ``received_ms``: on the log's clock.

        The events are checked last, because that takes longest.
        """
        self._begin(by)
        caller = _caller(report.node_id, None, by)
        self._storage.transact(Keys(caller), lambda view: rules.report(view, caller))
        return self.live.take_report(report, received_ms)

    def note_kept_owners(self) -> None:
        """Begin the live log with the owners that an earlier run has left."""
        note_kept_owners(self._storage, self.live)

    def sweep(self) -> float:
        """Remove the nodes past their deadline; seconds until the next deadline."""
        expiry = self._storage.expire()
        if expiry.suspended_for:
            log(f"this tracker stood still for {expiry.suspended_for:.1f} s; all nodes get a new deadline")
        for node in expiry.gone:
            silence = f"silent for {self._storage.silence:g} s"
            log(f"removed node {node.node_id} at {where(node.addr)}: {silence}")
            self.live.on_removed(node.node_id, self._storage.silence)
        return expiry.wait

    def overview(self, limit: int) -> dict[str, Any]:
        """How much there is, and up to ``limit`` of the nodes."""
        return listed_nodes(self._storage.counts(), self._storage.nodes(limit))

    def counts(self) -> Counts:
        """How much there is."""
        return self._storage.counts()

    def swarms(self, limit: int) -> Sequence[SwarmView]:
        """Up to ``limit`` files, those with the most owners."""
        return self._storage.swarms(limit)

    def torrents(self, limit: int) -> dict[str, Any]:
        """Up to ``limit`` files that nodes own, for people who look for one; about the largest swarms."""
        swarms = self._storage.swarms(limit)
        hashes = [bytes.fromhex(swarm.info_hash) for swarm in swarms if swarm.info_hash is not None]
        counts = dict(zip(hashes, self._storage.scrape(hashes), strict=True))
        return {"torrents": listed_torrents(swarms, counts), "total": self._storage.counts().files}

    def health(self) -> str:
        """Why nothing can be written just now; "" if it can."""
        return self._storage.health()

    def close(self) -> None:
        """Make everything durable, and stop."""
        self._storage.close()

    def _begin(self, by: Credentials) -> None:
        """The start of each request that is not a heartbeat."""
        self.check_key(by)
        self._count(1)

    def _count(self, requests: int) -> None:
        with self._lock:
            self._other_requests.note(self._clock(), requests)

    def _heartbeat_interval(self) -> float:
        """Seconds until a node's next heartbeat. The deadlines are stretched by the same factor."""
        if self._clock() < self._look_again:  # nearly always, and no lock to wait for
            return self._interval
        with self._lock:
            now = self._clock()
            if now < self._look_again:  # another thread has just looked
                return self._interval
            self._look_again = now + INTERVAL_SECONDS
            others = self._other_requests.at(now)
        factor = interval_factor(self._rules.interval, self._storage.counts().nodes, others)
        self._storage.silence = self._rules.silence * factor
        with self._lock:
            self._interval = self._rules.interval * factor
            return self._interval


def _named(files: Sequence[OwnedFile]) -> str:
    """The files of an OWN, for the log."""
    if len(files) != 1:
        return f"{len(files)} files"
    return f"{'' if files[0].complete else 'a part of '}{files[0].filename!r}"


def _caller(node_id: int, addr: Addr | None, by: Credentials, tcp_port: int | None = None) -> Caller:
    return Caller(node_id, addr, by.proof, by.remote, tcp_port)
