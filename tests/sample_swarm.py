"""The swarm of the made-up recording: its nodes, their transfers and their reports."""

from __future__ import annotations

import hashlib
import heapq
import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from common.events import SwarmEvent, check_event
from tests.sample_troubles import PIECE_LENGTH, SEED, Name, Troubles

STANDARD = "198.51.100.7:51413"  # a peer without a node_id
STEP = 50.0  # ms
SLOT_MS = 5000.0
SLOTS = 4


@dataclass
class PieceTransfer:
    """One piece on its way from ``giver`` to ``taker``."""

    giver: Name
    taker: Name
    piece: int
    done: float = 0.0


@dataclass
class SampleMember:
    name: Name
    upload: float  # bytes a ms
    held: set[int] = field(default_factory=set)
    slots: dict[Name, float] = field(default_factory=dict)  # holder: since when, ms
    served: list[Name] = field(default_factory=list)  # as last reported
    queue: list[Name] = field(default_factory=list)
    moved_in: dict[Name, int] = field(default_factory=dict)
    moved_out: dict[Name, int] = field(default_factory=dict)
    down: int = 0
    up: int = 0
    present: bool = False
    views: dict[Name, tuple[Any, ...]] = field(default_factory=dict)  # its last report about each peer
    uploads: int = 0
    salt: int = 0  # so that nodes choose different pieces


class SampleSwarm:
    """Produces the events of one run, in order of their times."""

    def __init__(self, nodes: int, pieces: int, seconds: float, seed: int) -> None:
        self.dice = random.Random(seed)
        self.pieces, self.end = pieces, seconds * 1000
        self.info_hash = hashlib.sha1(b"sample %d" % seed).hexdigest()
        self.torrent = self.info_hash[:12]
        self.size = pieces * PIECE_LENGTH - 4321
        rate = self.size * nodes / (nodes + 1) / (0.65 * self.end)  # bytes a ms
        self.members: dict[Name, SampleMember] = {
            name: SampleMember(name, rate * self.dice.uniform(0.7, 1.3))
            for name in [*range(1, nodes + 1), STANDARD]
        }
        self.members[SEED].upload, self.members[STANDARD].upload = rate, rate / 3
        self.members[SEED].held = set(range(pieces))
        self.interval = 500 if rate > 250 else 1000  # ms: slow nodes report less often
        for salt, member in enumerate(self.members.values()):
            member.salt = salt
        self.copies = [1] * pieces
        self.transfers: list[PieceTransfer] = []
        self.now = 0.0
        self.heap: list[tuple[float, int, Name, str, dict[str, Any]]] = []
        self.count = 0
        self.seq: dict[Name, int] = {}
        self.bad: set[tuple[Name, int]] = set()  # pieces that are not asked for again yet
        self.dumps = 0
        self.plans = self._plans()

    # ---- writing

    def write(self, node: Name, name: str, after: float = 0.0, /, **data: Any) -> None:
        """Note an event, ``after`` ms from now. Nodes other than ours write nothing."""
        if isinstance(node, str):
            return
        self.count += 1
        heapq.heappush(self.heap, (self.now + after, self.count, node, name, data))

    def about(self, node: Name, name: str, after: float = 0.0, /, **data: Any) -> None:
        """The same for an event with a torrent."""
        self.write(node, name, after, torrent=self.torrent, **data)

    def events(self) -> Iterator[SwarmEvent]:
        """All events of the run."""
        self.write(None, "tracker:started", epoch="5a3c", addr="127.0.0.1:12345")
        while self.now < self.end:
            while self.plans and self.plans[0][0] <= self.now:
                self.plans.pop(0)[1]()
            self._step()
            self.now += STEP
            while self.heap and self.heap[0][0] < self.now:
                time, _, node, name, data = heapq.heappop(self.heap)
                self.seq[node] = self.seq.get(node, 0) + 1
                yield check_event(SwarmEvent(time, node, self.seq[node], name, data))

    # ---- what happens when

    def _plans(self) -> list[tuple[float, Callable[[], None]]]:
        names, troubles = list(self.members), Troubles(self)
        plans = [
            (self.end * 0.004 * at, lambda name=name: self._enter(name)) for at, name in enumerate(names)
        ]
        plans += [(each * 10_000.0, self._clocks) for each in range(1, int(self.end // 10_000) + 1)]
        plans += [
            (self.end * share, plan)
            for share, plan in [
                (0.2, troubles.lose),
                (0.21, troubles.lose),
                (0.3, troubles.spoil),
                (0.33, troubles.lose),
                (0.45, troubles.silent),
                (0.6, troubles.gap),
                (0.7, troubles.reduce),
                (0.92, troubles.leave),
            ]
        ]
        return sorted(plans, key=lambda plan: plan[0])

    def _enter(self, name: Name) -> None:
        member = self.members[name]
        member.present = True
        if isinstance(name, str):
            return
        addr = f"192.0.2.{name}:{4000 + name}"
        self.write(
            name,
            "node:started",
            addr=addr,
            tcp_addr=f"192.0.2.{name}:6881",
            up_limit=int(member.upload * 1000),
            down_limit=None,
            slots=SLOTS,
            transports=["udp", "tcp"],
            program="classroom swarm 0.1.0",
        )
        self.write(None, "tracker:register", 1, node=name, addr=addr)
        self.about(
            name,
            "torrent:known",
            2,
            info_hash=self.info_hash,
            name="lecture.mp4",
            size=self.size,
            piece_length=PIECE_LENGTH,
            pieces=self.pieces,
        )
        self.about(name, "piece:held", 3, ranges=[[0, self.pieces]] if name == SEED else [])
        if name == SEED:
            self.about(None, "tracker:own", 4, node=name, complete=True)
            self.about(name, "torrent:state", 4, state="seeding", reason="")
            return
        self.about(name, "torrent:state", 4, state="searching", reason="")
        others = sorted(
            (m for m in self.members.values() if m.present and m.held and isinstance(m.name, int)),
            key=lambda m: -m.uploads,
        )
        answer = [
            {"peer": m.name, "uploads": m.uploads, "reason": f"{m.uploads} uploads counted"} for m in others
        ]
        self.about(None, "tracker:need", 6, node=name, answer=answer)
        self.about(name, "torrent:state", 8, state="downloading", reason="")

    def _clocks(self) -> None:
        for name in self.members:
            if isinstance(name, int):
                bound = round(self.dice.uniform(0.2, 0.6), 3)
                self.write(None, "clock", node=name, offset_ms=round(-1000.25 * name, 3), bound_ms=bound)

    # ---- moving bytes

    def _step(self) -> None:
        self._ask()
        for giver in self.members.values():
            mine = [each for each in self.transfers if each.giver == giver.name]
            for each in mine:
                self._move(each, giver.upload * STEP / len(mine))
        if self.now % self.interval < STEP:
            for member in self.members.values():
                self._report(member)

    def _move(self, each: PieceTransfer, amount: float) -> None:
        giver, taker = self.members[each.giver], self.members[each.taker]
        length = min(PIECE_LENGTH, self.size - each.piece * PIECE_LENGTH)
        moved = (
            int(min(amount, length - each.done)) + 1
            if each.done + amount < length
            else int(length - each.done)
        )
        each.done += moved
        giver.up += moved
        taker.down += moved
        giver.moved_out[each.taker] = giver.moved_out.get(each.taker, 0) + moved
        taker.moved_in[each.giver] = taker.moved_in.get(each.giver, 0) + moved
        if each.done >= length:
            self.transfers.remove(each)
            taker.held.add(each.piece)
            self.copies[each.piece] += 1
            if self.dice.random() < 0.2:  # else it is verified before a look at the node sees it
                self.about(each.taker, "piece:received", STEP / 2, piece=each.piece)
            self.about(each.taker, "piece:verified", STEP / 2 + 8, piece=each.piece, peers=[each.giver])
            giver.uploads += 1
            if len(taker.held) == 1 and isinstance(each.taker, int):
                self.about(None, "tracker:own", 60, node=each.taker, complete=False)
            if len(taker.held) == self.pieces:
                self._complete(taker)

    def _complete(self, member: SampleMember) -> None:
        self.about(member.name, "torrent:state", STEP, state="seeding", reason="")
        if isinstance(member.name, int):
            self.about(None, "tracker:own", STEP + 5, node=member.name, complete=True)
            for other in self.members.values():
                if isinstance(other.name, int):
                    self.write(
                        None,
                        "tracker:update",
                        STEP + 6,
                        node=other.name,
                        uploads=other.uploads,
                        by=member.name,
                    )

    def give_up(self, each: PieceTransfer, reason: str) -> None:
        self.transfers.remove(each)
        self.about(each.taker, "piece:missing", piece=each.piece)
        self.view(each.taker, each.giver, "lost", 0, reason)
        self.about(each.giver, "slot:withdrawn", peer=each.taker, reason=reason)

    def _ask(self) -> None:
        """Each taker asks up to three uploaders; those without a free slot queue it."""
        running: dict[Name, list[PieceTransfer]] = {name: [] for name in self.members}
        for each in self.transfers:
            running[each.taker].append(each)
        for taker in self.dice.sample(list(self.members.values()), len(self.members)):
            mine = running[taker.name]
            if not taker.present or len(mine) >= 3 or len(taker.held) == self.pieces:
                continue
            out = taker.held | {each.piece for each in mine}
            out |= {piece for name, piece in self.bad if name == taker.name}
            busy = {each.giver for each in mine}
            for giver in self.members.values():
                if len(mine) < 3 and giver.present and giver is not taker and giver.name not in busy:
                    self._ask_one(taker, giver, out, mine)

    def _ask_one(
        self, taker: SampleMember, giver: SampleMember, out: set[int], mine: list[PieceTransfer]
    ) -> None:
        if not self._gets_slot(taker, giver):
            return
        wanted = giver.held - out
        if not wanted:
            giver.slots.pop(taker.name, None)
            return
        piece = min(wanted, key=lambda at: (self.copies[at], zlib.crc32(b"%d %d" % (at, taker.salt))))
        mine.append(PieceTransfer(giver.name, taker.name, piece))
        out.add(piece)
        self.transfers.append(mine[-1])
        self.about(taker.name, "piece:requested", self.dice.random() * 10, piece=piece, peers=[giver.name])

    def _gets_slot(self, taker: SampleMember, giver: SampleMember) -> bool:
        """A holder keeps its slot for SLOT_MS while fetchers wait, as in a real owner."""
        since = giver.slots.get(taker.name)
        if since is not None and (not giver.queue or self.now < since + SLOT_MS):
            return True
        giver.slots.pop(taker.name, None)
        if taker.name not in giver.queue[: max(0, SLOTS - len(giver.slots))] and (
            giver.queue or len(giver.slots) >= SLOTS
        ):
            if (
                taker.name not in giver.queue
                and len(giver.queue) < 3
                and len(giver.held) > len(taker.held) / 2
            ):
                giver.queue.append(taker.name)
            return False
        if taker.name in giver.queue:
            giver.queue.remove(taker.name)
        giver.slots[taker.name] = self.now
        return True

    # ---- each node's reports about itself

    def _report(self, member: SampleMember) -> None:
        if isinstance(member.name, str) or not member.present:
            return
        moved = {
            "in": sorted(member.moved_in.items(), key=str),
            "out": sorted(member.moved_out.items(), key=str),
        }
        if moved["in"] or moved["out"]:
            self.about(
                member.name, "link:bytes", **moved, down=member.down, up=member.up, span_ms=self.interval
            )
            for peer in list(member.moved_in)[:1]:
                self.about(
                    member.name,
                    "congestion:sample",
                    1,
                    peer=peer,
                    window=48_000 + self.dice.randrange(9) * 1000,
                    rtt_ms=round(self.dice.uniform(1, 9), 2),
                    outstanding=self.dice.randrange(48_000),
                )
        member.moved_in, member.moved_out = {}, {}
        fetching = {each.taker for each in self.transfers if each.giver == member.name}
        member.slots = {peer: since for peer, since in member.slots.items() if peer in fetching}
        served = list(member.slots)
        for peer in sorted(set(served) ^ set(member.served), key=str):
            if peer in served:
                self.about(member.name, "slot:granted", peer=peer)
            else:
                self.about(member.name, "slot:withdrawn", peer=peer, reason="wants nothing at present")
        queue = [
            peer
            for peer in member.queue
            if self.members[peer].present and len(self.members[peer].held) < self.pieces
        ]
        if (queue, served) != (member.views.get("queue"), member.served):
            self.about(member.name, "slot:queue", 2, queue=queue, slots=SLOTS, served=served)
        member.queue, member.served, member.views["queue"] = queue, served, list(queue)
        for peer in self.members.values() if self.now % 2000 < STEP else ():
            if peer is not member and peer.present and peer.held and len(member.held) < self.pieces:
                self._look(member, peer)

    def _look(self, member: SampleMember, peer: SampleMember) -> None:
        if member.name in peer.queue:
            place = peer.queue.index(member.name) + 1
            self.view(
                member.name,
                peer.name,
                "queued",
                place,
                f"all {SLOTS} slots are taken: place {place} in the queue",
            )
        elif any(each.giver == peer.name and each.taker == member.name for each in self.transfers):
            self.view(member.name, peer.name, "active", 0, "")
        elif not peer.held - member.held:
            self.view(member.name, peer.name, "idle", 0, "it has no piece that is missing here")
        else:
            self.view(member.name, peer.name, "unused", 0, "3 other peers are asked, and that is the limit")

    def view(self, node: Name, peer: Name, state: str, place: int, reason: str) -> None:
        other, views = self.members[peer], self.members[node].views
        complete, held = len(other.held) == self.pieces, len(other.held)
        if views.get(peer) != (state, place, reason):
            views[peer] = (state, place, reason)
            self.about(
                node,
                "peer:state",
                3,
                peer=peer,
                transport="tcp" if isinstance(peer, str) else "udp",
                state=state,
                place=place,
                reason=reason,
                complete=complete,
                held=held,
            )
