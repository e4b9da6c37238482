"""At MAX_PEERS: which standard peer makes room for an untried one."""

from __future__ import annotations

import threading
from typing import Any

from node.download.known_peers import Candidate, KnownPeers
from node.download.source_pool import QUIET_LIMIT, SourceLimits, SourcePool
from node.peer import FoundPeer, Peer

PEERS = [Peer("127.0.0.9", port, "tcp") for port in (1, 2, 3)]


class PlayedSource:
    """A source that sends at the test's command."""

    def __init__(self, candidate: Candidate) -> None:
        self.candidate, self.peer = candidate, candidate.peer
        self.quiet_since = 0.0
        self.delivered = False

    def start(self) -> None: ...


class PlayedState:
    """The pool's calls of the download."""

    def __init__(self) -> None:
        self.released: list[Peer] = []
        self.release = self.released.append

    def makes_no_progress(self, now: float) -> bool:
        return False

    def set_only_source(self, peer: Peer | None) -> None: ...

    def start(self, sources: list[Peer]) -> None: ...


def test_a_quiet_standard_peer_makes_room_for_an_untried_one() -> None:
    known, state, made = KnownPeers(Peer("127.0.0.1", 1), ("tcp",)), PlayedState(), dict[Peer, PlayedSource]()

    def make(candidate: Candidate) -> Any:
        return made.setdefault(candidate.peer, PlayedSource(candidate))

    pool = SourcePool(known, threading.Lock(), SourceLimits(0, 0, standard=2), make, lambda: 0.0)
    known.update([FoundPeer(peer, complete=True) for peer in PEERS[:2]])
    pool.fill(state, 0.0)  # type: ignore[arg-type]
    assert set(made) == set(PEERS[:2])
    made[PEERS[1]].quiet_since = 20.0
    pool.fill(state, 2 * QUIET_LIMIT)  # type: ignore[arg-type]
    assert state.released == [], "no other peer waits"
    known.add(FoundPeer(PEERS[2], complete=True))
    pool.fill(state, QUIET_LIMIT)  # type: ignore[arg-type]
    assert state.released == [], "none was quiet for so long"
    pool.fill(state, QUIET_LIMIT + 1)  # type: ignore[arg-type]
    assert state.released == [PEERS[0]]
    pool.ended(made[PEERS[0]], None)  # type: ignore[arg-type]
    pool.fill(state, QUIET_LIMIT + 1)  # type: ignore[arg-type]
    assert set(made) == set(PEERS)
