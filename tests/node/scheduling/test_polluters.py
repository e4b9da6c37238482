"""Hundreds of downloads from sources that send wrong bytes, die, or have bad paths; no thread, no socket.

Must hold whatever happens: the content is right, no honest source is banned, polluters are found, and the
download ends.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from common.bitfield import Bitfield
from common.geometry import Geometry
from node.download.known_peers import Candidate, KnownPeers
from node.peer import FoundPeer, Peer
from node.scheduling.piece_progress import Contribution
from node.scheduling.scheduler import PieceResult, Scheduler
from node.scheduling.smart_ban import Evidence

RUNS, BATCHES = 300, 3
MAX_STEPS = 50_000


@dataclass
class OwnerUnderTest:
    """One source, honest unless it lies, and its path."""

    source: Peer
    lies: float = 0.0  # probability that a range that it sends is wrong
    lies_after: int = 0  # bytes that it sends first, to be trusted
    spoils: float = 0.0  # probability that its path changes a byte of an unchecked range
    dies: float = 0.0  # probability, each time it could deliver
    candidate: Candidate | None = None  # while it works
    checked: bool = True
    sent: int = 0
    lied: set[int] = field(default_factory=set)  # failed pieces with wrong bytes of its own in them
    under_way: list[tuple[int, int]] = field(default_factory=list)


class DownloadUnderTest:
    """The pure parts of a download: content, scheduler and known peers."""

    def __init__(self, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.now = 0.0
        self.geometry = Geometry(
            chance.randint(1, 40) * 100 - chance.randint(0, 99), chance.choice([50, 100, 700])
        )
        self.content = chance.randbytes(self.geometry.size)
        self.got = bytearray(self.geometry.size)
        held, own = Bitfield(self.geometry.piece_count), Peer("127.0.0.2", seed)
        self.scheduler = Scheduler(self.geometry, held, self.now, own)
        self.known = KnownPeers(Peer("127.0.0.1", 1, node_id=99))
        self.most = chance.choice([1, 2, 3, 3, 5])
        self.owners = {owner.source: owner for owner in self._draw_owners()}
        self.wrong_pieces: list[tuple[int, set[Peer]]] = []
        self.wrong_bytes: dict[int, set[Peer]] = {}  # sources of wrong bytes, by unhashed piece
        self.started = False

    def _draw_owners(self) -> list[OwnerUnderTest]:
        """At least one honest owner that never dies, and all kinds of further owners."""
        chance = self.chance
        owners = [OwnerUnderTest(Peer("127.0.0.1", 1001, node_id=1))]
        for number in range(2, chance.randint(3, 7)):
            owner = OwnerUnderTest(Peer("127.0.0.1", 1000 + number), dies=chance.choice([0.0, 0.0, 0.05]))
            kind = chance.choice(["honest", "liar", "late liar", "sometimes", "spoilt"])
            if kind != "honest":
                owner.lies = {"liar": 1.0, "late liar": 1.0, "sometimes": 0.3, "spoilt": 0.0}[kind]
                owner.lies_after = chance.randint(1, 1000) if kind == "late liar" else 0
                owner.spoils = chance.choice([0.05, 0.5]) if kind == "spoilt" else 0.0
            owners.append(owner)
        if chance.random() < 0.3:
            owners[0].spoils = 0.2
        return owners

    # ---- what happens

    def fill(self) -> None:
        self.known.update([FoundPeer(owner.source) for owner in self.owners.values()])
        self.scheduler.set_only_source(self.known.only_one())
        free = self.most - sum(candidate.active for candidate in self.known)
        no_progress = self.scheduler.makes_no_progress(self.now)
        chosen = self.known.choose(free, self.now, no_progress) if free > 0 else []
        sources = [candidate.peer for candidate in chosen]
        if sources and not self.started:
            self.started = True
            self.scheduler.start(sources)
        for source, candidate in zip(sources, chosen, strict=True):
            self.scheduler.join(source)
            owner = self.owners[source]
            owner.candidate, owner.under_way = candidate, []
            owner.checked = bool(candidate.suspect) or self.chance.random() < 0.5

    def step(self, owner: OwnerUnderTest) -> None:
        """``owner`` is asked for something, or delivers something, or dies."""
        assert owner.candidate is not None
        if self.scheduler.is_closed(owner.source):
            self._end(owner, "")
        elif owner.dies and self.chance.random() < owner.dies:
            self._end(owner, "silent")
        elif owner.under_way and self.chance.random() < 0.6:
            self._deliver(owner)
        elif taken := self.scheduler.take(owner.source, self.chance.choice([7, 60, 10_000]), self.now):
            owner.under_way.append((taken.start, taken.end))
            self.chance.shuffle(owner.under_way)

    def _end(self, owner: OwnerUnderTest, why: str) -> None:
        assert owner.candidate is not None
        self.scheduler.give_back(owner.source, owner.under_way)
        self.scheduler.leave(owner.source)
        if why and not owner.candidate.banned:
            KnownPeers.failed(owner.candidate, why, self.now)
        else:
            KnownPeers.released(owner.candidate)
        owner.candidate = None

    def _deliver(self, owner: OwnerUnderTest) -> None:
        start, end = owner.under_way.pop()
        cut = self.chance.randint(start + 1, end)
        if cut < end:
            owner.under_way.append((cut, end))
        checked = owner.checked or not self.scheduler.trusts(owner.source)
        for first, last in self.scheduler.accept(owner.source, start, cut, self.now).ranges:
            self.got[first:last] = self._payload(owner, first, last, checked)
            for piece in self.scheduler.arrived(owner.source, first, last, checked):
                self._on_piece(piece)
        if self.chance.random() < 0.1:  # the same bytes once more
            assert not self.scheduler.accept(owner.source, start, cut, self.now).ranges

    def _payload(self, owner: OwnerUnderTest, start: int, end: int, checked: bool) -> bytes:
        payload = bytearray(self.content[start:end])
        owner.sent += end - start
        lies = owner.sent > owner.lies_after and self.chance.random() < owner.lies
        if lies or (not checked and self.chance.random() < owner.spoils):
            at = self.chance.randrange(len(payload))
            payload[at] ^= self.chance.randint(1, 255)
            self.wrong_bytes.setdefault((start + at) // self.geometry.piece_length, set()).add(owner.source)
        return bytes(payload)

    def _on_piece(self, piece: int) -> None:
        start, end = self.geometry.piece_range(piece)
        contributions = self.scheduler.contributions(piece)
        for source in self.wrong_bytes.pop(piece, ()):
            if source in {item.source for item in contributions}:
                self.owners[source].lied.add(piece)
        if self.got[start:end] == self.content[start:end]:
            digests = [self._digest(item) for item in self.scheduler.failed_contributions(piece)]
            self._ban(self.scheduler.piece_passed(piece, digests))
        else:
            self.wrong_pieces.append((piece, {item.source for item in contributions}))
            evidence = [Evidence(item, self._digest(item)) for item in contributions]
            self._ban(self.scheduler.piece_failed(piece, evidence))

    def _digest(self, contribution: Contribution) -> bytes:
        return hashlib.sha1(b"".join(self.got[start:end] for start, end in contribution.spans)).digest()

    def _ban(self, result: PieceResult) -> None:
        for wrong in result.wrong:
            if self.known.ban(wrong) is not None:
                self.scheduler.dismiss(wrong.source)

    def run(self) -> None:
        for _ in range(MAX_STEPS):
            if self.scheduler.over:
                return
            self.fill()
            working = [owner for owner in self.owners.values() if owner.candidate is not None]
            for owner in self.chance.sample(working, len(working)):
                if owner.candidate is not None:
                    self.step(owner)
            self.now += self.chance.choice([0.0001, 0.001, 0.01])
        raise AssertionError("hangs")


def check(download: DownloadUnderTest) -> Counter[str]:
    """Check the invariants at the end of a run; returns counts of its events."""
    assert bytes(download.got) == download.content
    for owner in download.owners.values():
        candidate = download.known.find(owner.source)
        assert candidate is not None
        honest = owner.lies == 0.0
        assert not (honest and candidate.banned), f"{owner} is banned, and is honest"
        assert not (honest and not owner.spoils and candidate.suspect), f"{owner} and its path are honest"
        assert not owner.lied or candidate.banned or candidate.suspect, f"{owner} is not found"
        if owner.lies == 1.0 and not owner.lies_after:  # a mixed piece, and one that it delivers alone
            theirs = [piece for piece, sources in download.wrong_pieces if owner.source in sources]
            assert len(theirs) <= 2, f"{owner} has spoilt pieces {theirs}"
    return Counter(
        wrong=len(download.wrong_pieces),
        mixed=sum(len(sources) > 1 for _, sources in download.wrong_pieces),
        banned=sum(candidate.banned for candidate in download.known),
        suspect=sum(bool(candidate.suspect) for candidate in download.known),
    )


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_honest_source_is_banned_and_every_polluter_is_found(batch: int) -> None:
    each = RUNS // BATCHES
    happened: Counter[str] = Counter()
    for seed in range(batch * each, (batch + 1) * each):
        download = DownloadUnderTest(seed)
        try:
            download.run()
            happened += check(download)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    assert min(happened[what] for what in ("wrong", "mixed", "banned", "suspect")) > 0, happened
