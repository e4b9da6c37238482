"""A thousand downloads among liars: every file right, every liar found out, no honest owner ever banned.

No network and no threads: owners take spans from a real board and deliver them in pieces, late, in any
order, twice, or not at all, and die and come back. Some lie, always, later, or now and then; some are honest
and have a path that spoils bytes, with or without checksums. A seed says all.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from common.bitfield import Bitfield
from common.geometry import Geometry
from node.download.known_peers import Candidate, KnownPeers
from node.download.piece_results import PieceResults
from node.download.source_pool import MAX_WITNESSES
from node.download.state import DownloadState
from node.peer import FoundPeer, Peer

RUNS, BATCHES = 1000, 10
MOST_STEPS = 50_000


@dataclass
class Owner:
    """One owner: honest unless it lies, and its path."""

    source: Peer
    lies: float = 0.0  # probability that a span that it sends is wrong
    lies_after: int = 0  # bytes that it sends first, to be trusted
    spoils: float = 0.0  # probability that its path changes a byte without anybody noticing
    dies: float = 0.0  # probability, each time it could deliver
    candidate: Candidate | None = None  # while it works
    checked: bool = True
    sent: int = 0
    lied: set[int] = field(default_factory=set)  # pieces that were judged with wrong bytes of its own in them
    under_way: list[tuple[int, int]] = field(default_factory=list)


class Download:
    """What a download is without threads: a part, a board, candidates and a judge."""

    def __init__(self, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.now = 0.0
        self.geometry = Geometry(
            chance.randint(1, 40) * 100 - chance.randint(0, 99), chance.choice([50, 100, 700])
        )
        self.content = chance.randbytes(self.geometry.size)
        self.got = bytearray(self.geometry.size)
        self.board = DownloadState(
            self.geometry, Bitfield(self.geometry.piece_count), Peer("127.0.0.2", seed), lambda: self.now
        )
        self.candidates = KnownPeers(Peer("127.0.0.1", 1, node_id=99))
        self.most = chance.choice([1, 2, 3, 3, 5])
        self.owners = {owner.source: owner for owner in self._cast()}
        self.judge = PieceResults(self.board, self, self.candidates, threading.Lock(), self, lambda: None)
        self.wrong_pieces: list[tuple[int, set[Peer]]] = []
        self.wrong_bytes: dict[int, set[Peer]] = {}  # who has put wrong bytes into a piece on its way
        self.started = False

    def _cast(self) -> list[Owner]:
        """One honest owner that never dies at least, and all kinds of others."""
        chance = self.chance
        cast = [Owner(Peer("127.0.0.1", 1001, node_id=1))]
        for number in range(2, chance.randint(3, 7)):
            owner = Owner(Peer("127.0.0.1", 1000 + number), dies=chance.choice([0.0, 0.0, 0.05]))
            kind = chance.choice(["honest", "liar", "late liar", "sometimes", "spoilt"])
            if kind != "honest":
                owner.lies = {"liar": 1.0, "late liar": 1.0, "sometimes": 0.3, "spoilt": 0.0}[kind]
                owner.lies_after = chance.randint(1, 1000) if kind == "late liar" else 0
                owner.spoils = chance.choice([0.05, 0.5]) if kind == "spoilt" else 0.0
            cast.append(owner)
        if chance.random() < 0.3:
            cast[0].spoils = 0.2
        return cast

    @property
    def steady(self) -> bool:
        """Whether there always is an owner to rely on."""
        return not any(owner.dies or owner.spoils for owner in self.owners.values())

    # ---- the judge's part, and whom it tells

    def read_into(self, offset: int, buffer: memoryview) -> int:
        buffer[:] = self.got[offset : offset + len(buffer)]
        return len(buffer)

    def write(self, offset: int, buffers: object) -> None:
        raise NotImplementedError

    def piece(self, index: int, right: bool, deliverers: Mapping[Peer, int]) -> None:
        if not right:
            self.wrong_pieces.append((index, set(deliverers)))

    def lost(self, owner: Candidate) -> None:
        pass

    # ---- what happens

    def engage(self) -> None:
        entries = [FoundPeer(owner.source) for owner in self.owners.values()]
        self.candidates.update(entries)
        active = sum(candidate.active for candidate in self.candidates)
        wanted = self.most + min(self.board.suspects, MAX_WITNESSES) - active
        chosen = self.candidates.choose(wanted, self.now, self.board.helpless(self.now)) if wanted > 0 else []
        sources = [candidate.peer for candidate in chosen]
        if sources and not self.started:
            self.started = True
            self.board.start(sources)
        for source, candidate in zip(sources, chosen, strict=True):
            self.board.join(source)
            owner = self.owners[source]
            owner.candidate, owner.under_way = candidate, []
            owner.checked = bool(candidate.doubt) or self.chance.random() < 0.5

    def step(self, owner: Owner) -> None:
        """``owner`` asks for something, or delivers something, or dies."""
        assert owner.candidate is not None
        if self.board.over_for(owner.source):
            self._end(owner, "")
        elif owner.dies and self.chance.random() < owner.dies:
            self._end(owner, "silent")
        elif owner.under_way and self.chance.random() < 0.6:
            self._deliver(owner)
        elif (span := self.board.take(owner.source, self.chance.choice([7, 60, 10_000]))) is not None:
            owner.under_way.append(span)
            self.chance.shuffle(owner.under_way)

    def _end(self, owner: Owner, why: str) -> None:
        assert owner.candidate is not None
        self.board.give_back(owner.under_way, owner.source)
        self.board.leave(owner.source)
        if why and not owner.candidate.blamed:
            KnownPeers.failed(owner.candidate, why, self.now)
        else:
            KnownPeers.released(owner.candidate)
        owner.candidate = None

    def _deliver(self, owner: Owner) -> None:
        start, end = owner.under_way.pop()
        cut = self.chance.randint(start + 1, end)
        if cut < end:
            owner.under_way.append((cut, end))
        checked = owner.checked or not self.board.trusts(owner.source)
        for first, last in self.board.accept(owner.source, start, cut):
            self.got[first:last] = self._payload(owner, first, last, checked)
            for piece in self.board.arrived(owner.source, first, last, checked):
                self._judge_piece(piece)
        if self.chance.random() < 0.1:  # the same bytes once more
            assert not self.board.accept(owner.source, start, cut)

    def _payload(self, owner: Owner, start: int, end: int, checked: bool) -> bytes:
        payload = bytearray(self.content[start:end])
        owner.sent += end - start
        lies = owner.sent > owner.lies_after and self.chance.random() < owner.lies
        if lies or (not checked and self.chance.random() < owner.spoils):
            at = self.chance.randrange(len(payload))
            payload[at] ^= self.chance.randint(1, 255)
            self.wrong_bytes.setdefault((start + at) // self.geometry.piece_length, set()).add(owner.source)
        return bytes(payload)

    def _judge_piece(self, piece: int) -> None:
        start, end = self.geometry.piece_range(piece)
        right = self.got[start:end] == self.content[start:end]
        for source in self.wrong_bytes.pop(piece, ()):
            if source in {share.source for share in self.board.shares(piece)}:
                self.owners[source].lied.add(piece)
        self.judge.judged(piece, right)

    def run(self) -> None:
        for _ in range(MOST_STEPS):
            if self.board.over:
                return
            self.engage()
            working = [owner for owner in self.owners.values() if owner.candidate is not None]
            for owner in self.chance.sample(working, len(working)):
                if owner.candidate is not None:
                    self.step(owner)
            self.now += self.chance.choice([0.0001, 0.001, 0.01])
        raise AssertionError("hangs")


def check(download: Download) -> Counter[str]:
    """What must be so at the end of every run; what happened, to count."""
    assert bytes(download.got) == download.content
    assert download.board.fault is None
    for owner in download.owners.values():
        candidate = download.candidates.find(owner.source)
        assert candidate is not None
        honest = owner.lies == 0.0
        assert not (honest and candidate.blamed), f"{owner} is banned, and is honest"
        assert not (honest and not owner.spoils and candidate.doubt), (
            f"{owner} is doubted, and so is its path"
        )
        assert not owner.lied or candidate.blamed or candidate.doubt, f"{owner} is not found out"
        if owner.lies == 1.0 and not owner.lies_after:  # one piece; two if at times there was nobody else
            theirs = [piece for piece, deliverers in download.wrong_pieces if owner.source in deliverers]
            assert len(theirs) <= (1 if download.steady else 2), f"{owner} has spoilt pieces {theirs}"
    happened = Counter(
        wrong=len(download.wrong_pieces),
        mixed=sum(len(deliverers) > 1 for _, deliverers in download.wrong_pieces),
        banned=sum(candidate.blamed for candidate in download.candidates),
        doubted=sum(bool(candidate.doubt) for candidate in download.candidates),
    )
    return happened


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_honest_owner_is_banned_and_every_liar_is_found_out(batch: int) -> None:
    each = RUNS // BATCHES
    happened: Counter[str] = Counter()
    for seed in range(batch * each, (batch + 1) * each):
        download = Download(seed)
        try:
            download.run()
            happened += check(download)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    assert min(happened[what] for what in ("wrong", "mixed", "banned", "doubted")) > 0, happened
