"""Two connections under any sequence of commands and cuts: every request is answered once, or comes back."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from common.bitfield import Bitfield
from common.ranges import RangeSet
from node.peer_tcp import events as ev
from node.peer_tcp import limits
from node.peer_tcp.config import Encryption, WireTorrent
from node.peer_tcp.connection import PeerWire
from node.peer_tcp.states import WireState
from tests.node.peer_tcp.pair import CONTENT, GEOMETRY, ID_A, ID_B, INFO_HASH, RAW_INFO, config_of

offsets = st.integers(0, GEOMETRY.size)


class Conversation(RuleBasedStateMachine):
    """A leecher ``a`` that dialled ``b``, which gains pieces meanwhile."""

    @initialize(
        encryption=st.sampled_from(
            [(Encryption.PREFER, True), (Encryption.OFF, False), (Encryption.REQUIRE, True)]
        ),
        held=st.integers(0, 31),
    )
    def start(self, encryption: tuple[Encryption, bool], held: int) -> None:
        policy, encrypted = encryption
        self.have = Bitfield(GEOMETRY.piece_count)
        for piece in range(GEOMETRY.piece_count):
            if held & 1 << piece:
                self.have.set(piece)
        nothing = Bitfield(GEOMETRY.piece_count)
        torrent_a = WireTorrent(INFO_HASH, GEOMETRY, lambda: nothing, RAW_INFO)
        torrent_b = WireTorrent(INFO_HASH, GEOMETRY, lambda: self.have, RAW_INFO)
        self.now = 0.0
        self.a = PeerWire(config_of(ID_A, torrent_a, encryption=policy), self.now, INFO_HASH, encrypted)
        self.b = PeerWire(config_of(ID_B, torrent_b, encryption=policy), self.now)
        self.to_a, self.to_b = bytearray(), bytearray()
        self.asked = RangeSet()
        self.choked_by_us = True

    # ---- what the link does

    @rule(size=st.integers(1, 40_000))
    def pass_to_a(self, size: int) -> None:
        self.to_a += self._sent_by_b()
        self._take(self.a.receive(bytes(self.to_a[:size]), self.now))
        del self.to_a[:size]

    @rule(size=st.integers(1, 500))
    def pass_to_b(self, size: int) -> None:
        self.to_b += self.a.data_to_send(self.now)
        self._check_b(self.b.receive(bytes(self.to_b[:size]), self.now))
        del self.to_b[:size]

    @rule(seconds=st.sampled_from([0.01, 1.0, 19.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.pump()  # silence is not the subject here
        self._take(self.a.on_timer(self.now))
        self._check_b(self.b.on_timer(self.now))

    @rule()
    def pump(self) -> None:
        """Everything arrives."""
        while True:
            self.to_b += self.a.data_to_send(self.now)
            self.to_a += self._sent_by_b()
            if not self.to_a and not self.to_b:
                return
            to_a, self.to_a = bytes(self.to_a), bytearray()
            to_b, self.to_b = bytes(self.to_b), bytearray()
            self._take(self.a.receive(to_a, self.now))
            self._check_b(self.b.receive(to_b, self.now))

    # ---- what the two nodes do

    @precondition(lambda self: self.a.peer is not None)
    @rule(start=offsets, length=st.integers(1, 100_000))
    def request(self, start: int, length: int) -> None:
        end = min(GEOMETRY.size, start + min(length, self.a.download.room()))
        pieces = GEOMETRY.pieces_touched(start, end) if start < end else range(0)
        held = all(piece in self.a.download.held for piece in pieces)
        if start < end and held and not self.asked.overlap(start, end):
            self.a.download.request(start, end, self.now)
            self.asked.add(start, end)

    @precondition(lambda self: self.a.peer is not None)
    @rule(start=offsets, length=st.integers(1, 100_000))
    def cancel(self, start: int, length: int) -> None:
        for span in self.a.download.cancel(start, start + length):
            self._end(*span)

    @precondition(lambda self: self.a.peer is not None)
    @rule(interested=st.booleans())
    def set_interested(self, interested: bool) -> None:
        self.a.download.set_interested(interested)

    @precondition(lambda self: self.a.peer is not None)
    @rule()
    def withdraw(self) -> None:
        for span in self.a.download.withdraw():
            self._end(*span)

    @precondition(lambda self: self.b.peer is not None)
    @rule(unchoke=st.booleans())
    def choke_or_unchoke(self, unchoke: bool) -> None:
        if unchoke:
            self.b.upload.unchoke()
        else:
            self.b.upload.choke()

    @precondition(lambda self: self.b.peer is not None)
    @rule(piece=st.integers(0, GEOMETRY.piece_count - 1))
    def gain_piece(self, piece: int) -> None:
        if piece not in self.have:
            self.have = self.have.copy()
            self.have.set(piece)
            self.b.upload.announce(piece)

    # ---- what must hold

    @invariant()
    def both_are_open(self) -> None:
        if hasattr(self, "a"):
            assert WireState.CLOSED not in (self.a.state, self.b.state)
            assert self.b.peer is None or len(self.b.upload.requests) <= limits.REQUESTS_ACCEPTED

    def teardown(self) -> None:
        if hasattr(self, "a"):
            self.pump()
            assert not self.asked, "with the fast extension every request is answered or rejected"
            assert self.a.unreceived() == []

    # ---- inside

    def _sent_by_b(self) -> bytes:
        data = self.b.data_to_send(self.now)
        while block := self.b.next_block(self.now):
            data += block.header + self.b.encrypt(CONTENT[block.offset : block.offset + block.length])
        return data

    def _take(self, events: list[ev.WireEvent]) -> None:
        for event in ev.one_by_one(events):
            assert not isinstance(event, ev.WireFailed), event.fault
            if isinstance(event, ev.BlockData):
                end = event.offset + len(event.data)
                assert event.data == CONTENT[event.offset : end]
                self._end(event.offset, end)
            elif isinstance(event, (ev.PeerChoked, ev.RequestsRejected, ev.RequestsReturned)):
                for span in event.ranges:
                    self._end(*span)

    def _check_b(self, events: list[ev.WireEvent]) -> None:
        for event in events:
            assert not isinstance(event, ev.WireFailed), event.fault

    def _end(self, start: int, end: int) -> None:
        assert self.asked.cut(start, end) == [(start, end)], "what was asked for ends once"


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
