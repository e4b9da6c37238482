"""A download while it fetches: made once it is known which pieces are here already.

The coordinator's thread keeps sources at work. Each source's thread takes requests from ``state`` and adds
the bytes that arrive to its write buffer. Hashing threads write and hash them; the results go to ``state``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from common.bitfield import Bitfield
from common.errors import DownloadFailed, FileFault, PluginError, SwarmError
from node import events
from node.content.store import ContentStore
from node.download.buffer_pool import pool_for
from node.download.disk_full import RetryWhenFull
from node.download.known_peers import Candidate, KnownPeers, OwnerRanking
from node.download.peer_search import PeerSearch
from node.download.piece_copies import Copies
from node.download.piece_results import PieceResults
from node.download.reasons import Situation
from node.download.reporting import DownloadReporter, foreign_rows, source_rows
from node.download.search_backoff import SearchBackoff, SearchStep
from node.download.source import Source, SourceThread
from node.download.source_pool import SourceLimits, SourcePool
from node.download.state import DownloadState
from node.download.swarm import NodeParts, SwarmTrackers, owned_file
from node.download.unexpected import unexpected_fault
from node.download.write_buffer import Destination, WriteBuffer
from node.notes import ConnectionSample
from node.peer import FoundPeer, Peer

JOIN_LIMIT = 5.0  # seconds to wait for a source's thread to end
MIN_PAUSE = 0.01  # seconds between two looks of the coordinator
NO_OWNER = "the tracker knows no owner"


class LiveDownload:
    """Fetches the pieces of ``content`` that are not in ``have``."""

    def __init__(
        self,
        content: ContentStore,
        have: Bitfield,
        swarm: SwarmTrackers,
        parts: NodeParts,
        report: DownloadReporter,
    ) -> None:
        info, settings = content.info, parts.settings
        self._info, self._settings = info, settings
        self._content = content
        self._swarm = swarm
        self._parts = parts
        self._report = report
        order = settings.piece_order() if settings.piece_order is not None else None
        self._ranking: OwnerRanking | None = settings.owner_ranking and settings.owner_ranking()
        self.state = DownloadState(
            info.geometry, have, parts.own, order=order, wanted=content.wanted, own_tcp=parts.own_tcp
        )
        self._lock = threading.Lock()  # guards the known peers, and the pool's sources
        self._known = KnownPeers(parts.own, parts.transports, parts.own_tcp)
        standard = settings.peer_wire.max_peers if "tcp" in parts.transports else 0
        limits = SourceLimits(settings.max_owners, settings.max_partial_owners, standard)
        self._pool = SourcePool(self._known, self._lock, limits, self._make_source)
        self._search = PeerSearch(swarm.sources, info, self._on_found)
        self._writer = RetryWhenFull(content, settings.room_limit, self.state.wait_until_over, report.waiting)
        self._destination: Destination | None = self._make_destination(limits)
        self._no_owner_reason = NO_OWNER
        self._is_announced = False

    def _make_destination(self, limits: SourceLimits) -> Destination:
        results = PieceResults(
            self.state, self._writer, self._known, self._lock, self._on_piece, self._on_banned
        )
        return Destination(
            self._info,
            self.state,
            self._writer,
            self._parts.hash_pool,
            pool_for(self._info, limits.threads),
            results.on_piece_hashed,
            self._pool.cancel,
        )

    # ---- for the coordinator

    @property
    def is_fetching(self) -> bool:
        """True while there is a source."""
        return self._pool.size > 0

    @property
    def disk_full_reason(self) -> str:
        """Why nothing can be written at the moment; "" if it can."""
        return self._writer.reason

    def source_rows(self) -> tuple[events.SourceProgress, ...]:
        """One row for each known peer."""
        with self._lock:
            candidates, foreign = list(self._known), self._known.foreign
        settings, own = self._settings, self._parts.own
        useless = self.state.useless(self._content.have)
        situation = Situation(own, settings.max_owners, settings.max_partial_owners, useless)
        rows = source_rows(candidates, self.state, situation, self.state.complete)
        return rows + foreign_rows(foreign, situation.own_name, list(self._parts.transports))

    def copies(self) -> Copies:
        """How many copies of each piece there are at present."""
        return self.state.copies(self._content.have)

    def samples(self) -> list[tuple[Peer, ConnectionSample]]:
        """The limits of the requests to each source at present."""
        return self._pool.samples()

    def credits(self) -> list[tuple[int, int]]:
        """``(node_id, bytes)``: the verified bytes that each node delivered."""
        with self._lock:
            peers = [candidate.peer for candidate in self._known]
        amounts = ((peer.node_id, self.state.verified_from(peer)) for peer in peers)
        return [(node_id, amount) for node_id, amount in amounts if amount and node_id is not None]

    def stop(self) -> None:
        """Fetch no more. Returns at once."""
        self.state.stop()

    def close(self) -> None:
        """Wait for the sources' threads to end, and free the buffers: only what -status shows is kept."""
        self.state.stop()
        self.state.wake()  # also if ``stop`` could not
        self._pool.join(JOIN_LIMIT)  # nothing is written once every piece is verified
        self._destination = None

    def run(self, on_progress: Callable[[], None]) -> None:
        """Keep sources at work until every piece is verified; raises the fault that prevents that."""
        self._search.ask()
        ticked = time.monotonic()
        backoff = SearchBackoff(self._settings.search_limit, ticked)
        while not self.state.over:
            if (stuck := self._pool.stuck_fault()) is not None:
                raise stuck
            now = time.monotonic()
            self._fill(backoff, now)
            pause = backoff.seconds_left(now) or self._settings.progress_interval
            self.state.wait(max(MIN_PAUSE, min(pause, self._settings.progress_interval)))
            if now - ticked >= self._settings.progress_interval:
                ticked = now
                self.state.tick()
                on_progress()
        if self.state.fault is not None:
            raise self.state.fault
        if not self.state.complete:
            raise stopped(self._info.name)

    def _fill(self, backoff: SearchBackoff, now: float) -> None:
        """Start sources, announce the first verified pieces, and search for peers when it is time."""
        chosen = self._pool.fill(self.state, now)
        if chosen:
            with self._lock:
                known = list(self._known)
            self._report.owners_found(known, chosen)
        if not self._is_announced and self.state.verified:
            self._is_announced = True
            self._swarm.announce(owned_file(self._info, False))
        backoff.note_progress(self.state.received, now)
        if self._pool.size:
            if self._pool.has_room() and backoff.wants_refresh(now):
                self._search.ask()
        elif not self._search.asking and not self._writer.reason:
            self._search_again(backoff, now)

    def _search_again(self, backoff: SearchBackoff, now: float) -> None:
        """There is no source: wait, search, or give up."""
        step, is_new = backoff.next_step(now)
        if step is SearchStep.GIVE_UP:
            name, limit = self._info.name, self._settings.search_limit
            reason = self._no_owner_reason
            raise DownloadFailed(f"{name}: no owner for {limit:g} s ({reason}); {name}.part is kept")
        if step is SearchStep.ASK:
            self._search.ask()
        elif is_new:
            with self._lock:
                retry = self._known.seconds_to_retry(now)
            self._report.waiting(min(backoff.seconds_left(now), retry), self._no_owner_reason)

    # ---- peers; on threads of the search and of the sources

    def _on_found(self, found: list[FoundPeer] | None, why: str) -> None:
        """The trackers have answered; None: no tracker has."""
        try:
            self._no_owner_reason = why if found is None else self._update(found)
        except PluginError as error:
            self.state.stop(error)
        except BaseException as error:  # any: the coordinator waits for the end of the search
            self.state.stop(unexpected_fault(self._info.name, error))
        self.state.wake()

    def _update(self, found: list[FoundPeer]) -> str:
        """Take the trackers' answer; returns why no peer of it may be used."""
        ranked = self._ranked(found)
        with self._lock:
            self._known.update(ranked, ranked=self._ranking is not None)
            partial = self._known.partial_peers()
            failed = [candidate for candidate in self._known if candidate.reason]
        self.state.set_partial_peers(partial)
        own = self._parts.own
        if all(peer.peer in (own, self._parts.own_tcp) or own.is_same_node(peer.peer) for peer in found):
            return NO_OWNER
        if not ranked:
            return f"{self._ranking_name} returned none of {len(found)} owners"
        return "; ".join(f"{c.peer}: {c.reason}" for c in failed) or "none of its owners can be used"

    def add_peer(self, found: FoundPeer) -> None:
        """A peer that no tracker named: it is a candidate from now on. Returns at once."""
        with self._lock:
            is_news = self._known.add(found)
        if is_news:
            self.state.wake()

    def _ranked(self, found: list[FoundPeer]) -> list[FoundPeer]:
        """``found`` in the order of the user's ranking, which is called without a lock: it may not return."""
        if self._ranking is None:
            return found
        self._no_owner_reason = f"{self._ranking_name} orders {len(found)} owners"  # meanwhile
        return self._ranking.rank(list(found))

    @property
    def _ranking_name(self) -> str:
        return f"{getattr(self._ranking, 'name', type(self._ranking).__name__)}.rank (-use)"

    def _make_source(self, candidate: Candidate) -> Source:
        assert self._destination is not None
        buffer = WriteBuffer(candidate.peer, self._destination)
        transport = self._parts.transports[candidate.peer.transport]
        return SourceThread(candidate, self._info, self.state, buffer, transport, self._on_source_end)

    def _on_source_end(self, source: Source, why: SwarmError | None) -> None:
        self._pool.ended(source, why)
        if isinstance(why, (FileFault, PluginError, DownloadFailed)):  # another source would meet it, too
            self.state.stop(why)
        elif why is not None and not source.candidate.banned and not self.state.over:
            self._report.lost(source.candidate)
            self._search.ask()
        self.state.wake()

    # ---- pieces; on threads that hash

    def _on_piece(self, index: int, right: bool, sources: Iterable[Peer]) -> None:
        """A piece was hashed. A right one is served from now on."""
        if right:
            self._content.mark_verified(index)
        self._report.piece(index, right, sources)

    def _on_banned(self, candidate: Candidate) -> None:
        self._report.lost(candidate)
        self._search.ask()


def stopped(name: str) -> DownloadFailed:
    """The fault of a download that the user ended."""
    return DownloadFailed(f"{name}: stopped; what is here of it is kept")
