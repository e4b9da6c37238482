"""An owner in virtual time: the real responder, slots and queue, and how it misbehaves."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from common.bitfield import Bitfield
from common.geometry import Geometry
from node.chunk_udp import wire
from node.chunk_udp.address_validation import Address, AddressValidator
from node.chunk_udp.drr_queue import SendBatch
from node.chunk_udp.responder import Responder, SendChunk
from node.chunk_udp.slots import Slots
from node.chunk_udp.upload_queue import UploadQueue
from node.rate_limit import limit_of
from node.report.names import PeerName
from node.report.snapshot import SlotsView
from node.transport import SentBlock, StreamSocket
from simulator.clock import Clock
from simulator.recorder import Uplink
from simulator.scenario import Behaviour, OwnerPlan
from simulator.served import memory_info

NEW_PIECES_INTERVAL = 0.5  # seconds after which a partial owner has some more pieces
LIE_PROBABILITY = 0.05  # that a segment of Behaviour.SOMETIMES is wrong
COMPETITOR_INTERVAL = 0.5  # seconds between two visits of a fetcher that competes for the slots
Send = Callable[[bytes], None]


class SimulatedOwner:
    """One owner of ``content``. ``receive`` takes datagrams; the answers go through its ``send``."""

    def __init__(
        self, plan: OwnerPlan, content: bytes, geometry: Geometry, info_hash: bytes, clock: Clock, seed: int
    ) -> None:
        self.plan = plan
        self.is_served = True
        size = len(content) + (plan.behaviour is Behaviour.OTHER_SIZE)
        self.info = memory_info(size, geometry.piece_length, info_hash)
        self._all = Bitfield.full(self.info.geometry.piece_count)
        self.held: Bitfield | None = None
        self.alive = True
        self.sent_wrong = 0  # segments
        self._content, self._geometry, self._info_hash = content, geometry, info_hash
        self._clock = clock
        self._chance = random.Random(seed)
        self._sent = 0  # bytes
        self.fetchers: dict[Address, int] = {}  # node_ids, if the run is recorded
        self._sent_to: Counter[Address] = Counter()  # bytes
        self._senders: dict[Address, Send] = {}
        self._armed = False
        self._start()
        if plan.part < 1.0:
            self._get_some(plan.part)
        if plan.dies_at is not None:
            clock.at(clock.now + plan.dies_at, self._die)

    # ---- starting, dying, growing

    def _start(self) -> None:
        """Begin as a new process, which has forgotten everything."""
        plan = self.plan
        slots = Slots(plan.slots) if plan.slots is not None else None
        self._uploads = UploadQueue(limit_of(plan.upload_limit), self._clock.now)
        validator = AddressValidator(self._chance.randbytes(32))
        self._responder = Responder(validator, {self._info_hash: self}, slots, self._uploads)
        self._slots = slots
        if slots is not None:
            self._clock.at(self._clock.now, lambda: self._compete(slots))

    def _compete(self, slots: Slots) -> None:
        """Another fetcher that sometimes wants to be served."""
        if slots is self._slots and self._chance.random() < 0.7:
            slots.admit(("192.0.2.99", 9), self._info_hash, True, self._clock.now)
        if slots is self._slots and self._clock.now < 3600:
            self._clock.at(self._clock.now + COMPETITOR_INTERVAL, lambda: self._compete(slots))

    def _die(self) -> None:
        self.alive = False
        if self.plan.back_after is not None:
            self._clock.at(self._clock.now + self.plan.back_after, self._come_back)

    def _come_back(self) -> None:
        self.alive = True
        self._start()

    def _get_some(self, part: float) -> None:
        """A partial owner gets more pieces, until it has all."""
        held = Bitfield(self._geometry.piece_count) if self.held is None else self.held
        for piece in range(held.size):
            if piece not in held and self._chance.random() < part:
                held.set(piece)
        self.held = held
        if not held.all():
            self._clock.at(self._clock.now + NEW_PIECES_INTERVAL, lambda: self._get_some(0.2))

    @property
    def have(self) -> Bitfield:
        """The pieces that it announces."""
        return self._all if self.held is None else self.held

    def uplink(self) -> Uplink:
        """What it sent, for the log."""
        sent: Counter[PeerName] = Counter()
        for addr, amount in self._sent_to.items():
            sent[self._name(addr)] += amount
        if self._slots is None:
            return Uplink(SlotsView(), sent, self._sent, self.alive)
        served = dict.fromkeys(map(self._name, self._slots.served()))
        queue = dict.fromkeys(self._name(addr) for addr, _ in self._slots.queue())
        waiting = tuple(name for name in queue if name not in served)
        return Uplink(SlotsView(self._slots.count, tuple(served), waiting), sent, self._sent, self.alive)

    def _name(self, addr: Address) -> PeerName:
        return self.fetchers.get(addr, f"{addr[0]}:{addr[1]}")

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` with right bytes; wrong ones are made when they are sent."""
        buffer[:] = self._content[offset : offset + len(buffer)]

    def send_to(self, sock: StreamSocket, offset: int, length: int) -> int:
        """Send right bytes."""
        return sock.send(memoryview(self._content)[offset : offset + length])

    def send_blocks(self, sock: StreamSocket, blocks: Sequence[SentBlock]) -> None:
        """The blocks are read."""

    # ---- requests and answers

    def receive(self, datagram: bytes, addr: Address, send: Send) -> None:
        """``datagram`` came from ``addr``; ``send`` takes answers there."""
        if not self.alive:
            return
        self._senders[addr] = send
        answer = self._responder.handle_requests(datagram, addr, self._clock.now)
        for notice, displaced in self._responder.take_notices():
            self._senders[displaced](wire.encode(notice))
        if self.plan.behaviour is Behaviour.BUSY and isinstance(answer, (SendChunk, wire.Tell)):
            asked = answer.request if isinstance(answer, SendChunk) else answer
            answer = wire.Refuse(asked.transfer_id, asked.sequence, wire.Refusal.BUSY, 1)
        if self.plan.behaviour is Behaviour.EMPTY and isinstance(answer, SendChunk):
            answer = wire.Refuse(answer.request.transfer_id, answer.request.sequence, wire.Refusal.NOT_HELD)
        if isinstance(answer, SendChunk):
            self._uploads.add(answer.request, addr, wire.MAX_SEGMENT, self._clock.now)
            self._serve()
        elif answer is not None:
            send(wire.encode(answer))

    def _serve(self) -> None:
        """Send everything that the upload limit allows now, and the rest later."""
        uploads, clock = self._uploads, self._clock
        if not self.alive:
            return
        while (batch := uploads.next(clock.now)) is not None:
            for datagram in self._segments(batch):
                self._senders[batch.addr](datagram)
            self._sent_to[batch.addr] += batch.length
            uploads.sent(batch, batch.length, clock.now)
        wait = uploads.wait(clock.now)
        if wait is not None and not self._armed:
            self._armed = True
            clock.at(clock.now + max(wait, 1e-6), self._serve_again)

    def _serve_again(self) -> None:
        self._armed = False
        self._serve()

    def _segments(self, batch: SendBatch) -> Iterator[bytes]:
        request, end = batch.request, batch.offset + batch.length
        for at in range(batch.offset, end, batch.segment):
            payload = self._content[at : min(at + batch.segment, end)]
            self._sent += len(payload)
            if self.plan.behaviour is not Behaviour.MUTE:
                payload = self._bend(payload)
                data = wire.Data(request.transfer_id, request.sequence, at, payload, request.checked)
                yield wire.encode(data)

    def _bend(self, payload: bytes) -> bytes:
        """The bytes that it sends in place of ``payload``."""
        behaviour = self.plan.behaviour
        wrong = (
            behaviour is Behaviour.POLLUTER
            or (behaviour is Behaviour.LATE_POLLUTER and self._sent > 2 * self._geometry.piece_length)
            or (behaviour is Behaviour.SOMETIMES and self._chance.random() < LIE_PROBABILITY)
        )
        if not wrong:
            return payload
        self.sent_wrong += 1
        at = self._chance.randrange(len(payload))
        return payload[:at] + bytes([payload[at] ^ self._chance.randint(1, 255)]) + payload[at + 1 :]
