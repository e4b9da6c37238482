"""The BitTorrent peer wire: its parsers, one connection under any script, two over a bad link."""

from __future__ import annotations

import random

from common.bitfield import Bitfield
from common.errors import PeerFault, PeerWireError
from common.geometry import Geometry
from common.ranges import RangeSet
from fuzz.target import Script, Target, outcome
from node.peer_tcp import events as ev
from node.peer_tcp import limits
from node.peer_tcp import messages as m
from node.peer_tcp.config import Encryption, WireConfig, WireTorrent
from node.peer_tcp.connection import PeerWire
from node.peer_tcp.decoder import MessageDecoder
from node.peer_tcp.extension import ExtendedHandshake, decode_extended_handshake, encode_extended_handshake
from node.peer_tcp.handshake import Handshake, encode_handshake
from node.peer_tcp.metadata import MetadataKind, MetadataMessage, decode_metadata, encode_metadata
from node.peer_tcp.mse import MseInitiator, MseResponder
from node.peer_tcp.states import WireState

HASH = b"h" * 20
RAW_INFO = b"d6:lengthi300000e4:name1:xe" * 800  # 21,600 bytes: two pieces of metadata
GEOMETRY = Geometry(300_000, 1 << 16)  # 5 pieces, the last one short
CONTENT = bytes(range(250)) * 1200
MAX_OPERATIONS = 200  # of one script
MAX_ANSWERED = 64  # bytes that a connection may have to send for each byte that it received, and a constant


class FuzzedTorrent:
    """A node with one torrent."""

    def __init__(self, pieces: Bitfield) -> None:
        self._torrent = WireTorrent(HASH, GEOMETRY, lambda: pieces, RAW_INFO)

    def info_hashes(self) -> list[bytes]:
        return [b"o" * 20, HASH]

    def find(self, info_hash: bytes) -> WireTorrent | None:
        return self._torrent if info_hash == HASH else None

    def refusal(self, info_hash: bytes, peer_id: bytes) -> str:
        return "is not wanted" if peer_id == b"n" * 20 else ""


def _config(number: int, held: int, encryption: Encryption) -> WireConfig:
    """``held``: the pieces as the bits of a byte."""
    pieces = Bitfield(5)
    for piece in range(5):
        if held & 1 << piece:
            pieces.set(piece)
    random_bytes = random.Random(number).randbytes
    host = FuzzedTorrent(pieces)
    return WireConfig(
        bytes([number]) * 20, host, encryption, peer_host="127.0.0.1", random_bytes=random_bytes
    )


# ---- the parsers

_EXTENDED = ExtendedHandshake({"ut_metadata": 3}, 250, "c 1", 6881, bytes(4), 9)
MESSAGES: list[m.WireMessage] = [
    m.KeepAlive(),
    m.Choke(),
    m.Unchoke(),
    m.Interested(),
    m.NotInterested(),
    m.Have(3),
    m.PieceSet(b"\xf8"),
    m.BlockRequest(1, 16384, 16384),
    m.Block(1, 16384, 40, 0, b"b" * 40),
    m.Cancel(1, 16384, 16384),
    m.Port(6881),
    m.SuggestPiece(2),
    m.HaveAll(),
    m.HaveNone(),
    m.RejectRequest(0, 0, 16384),
    m.AllowedFast(4),
    m.Extended(0, encode_extended_handshake(_EXTENDED)),
    m.Extended(2, encode_metadata(MetadataMessage(MetadataKind.REQUEST, 0))),
]
ENCODED = [m.encode(message) for message in MESSAGES]
REQUESTS = m.encode_requests((0, at, 16384) for at in range(0, 65536, 16384))


def _decoded(data: bytes, step: int) -> tuple[list[m.WireMessage], str]:
    """The messages, each block as one, and the error. ``data`` comes ``step`` bytes at a time."""
    decoder, messages, error = MessageDecoder(), list[m.WireMessage](), ""
    try:
        for at in range(0, len(data), step):
            for message in m.one_by_one(decoder.messages(data[at : at + step])):
                if isinstance(message, m.Block):
                    whole = message._replace(data=bytes(message.data))
                    if message.at:
                        before = messages.pop()
                        assert isinstance(before, m.Block) and len(before.data) == message.at
                        whole = whole._replace(at=0, data=bytes(before.data) + bytes(message.data))
                    message = whole
                messages.append(message)
    except PeerWireError as fault:
        error = str(fault)
    return messages, error


def run_messages(data: bytes) -> str:
    """``MessageDecoder``: the same messages however the bytes are cut, and the same bytes again."""
    messages, error = _decoded(data, max(1, len(data)))
    assert _decoded(data, 1) == (messages, error) == _decoded(data, 7)
    again = b""
    for message in messages:
        if isinstance(message, m.Unknown):
            break
        if isinstance(message, m.Block) and len(message.data) < message.length:
            again += m.block_header(*message[:3]) + bytes(message.data)
        else:
            again += m.encode(message)
    assert data.startswith(again)
    return f"{sorted({type(message).__name__ for message in messages})[:3]} {error[:30]}"


def run_extended(data: bytes) -> str:
    """The payloads of extended messages."""
    said = []
    try:
        handshake = decode_extended_handshake(data)
        assert decode_extended_handshake(encode_extended_handshake(handshake)) == handshake
        said.append(f"handshake {len(handshake.numbers)} {bool(handshake.client)}")
    except PeerWireError as error:
        said.append(outcome(error))
    try:
        message = decode_metadata(data)
        if message is not None:
            assert decode_metadata(encode_metadata(message)) == message
        said.append(f"metadata {message.kind if message else None}")
    except PeerWireError as error:
        said.append(outcome(error))
    return " ".join(said)


# ---- the encrypted handshake


def run_mse(data: bytes) -> str:
    """Both sides; the script changes, drops and repeats bytes on their way. The first byte says which."""
    script = Script(data)
    a: MseInitiator | None = MseInitiator(HASH, b"i" * 68, 1 + script.pick(3), random.Random(1).randbytes)
    b: MseResponder | None = MseResponder([HASH], 1 + script.pick(3), random.Random(2).randbytes)
    said = ""
    for _ in range(6):
        for sender, receiver in ((a, b), (b, a)):
            if sender is None or receiver is None or receiver.done:
                continue
            sent = b"".join(sender.unsent)
            sender.unsent.clear()
            try:
                receiver.receive(memoryview(_damaged(sent, script)))
            except (PeerWireError, PeerFault) as error:
                return said + outcome(error)
        said = f"{a.done if a else ''} {b.done if b else ''} "
    return said


def _damaged(data: bytes, script: Script) -> bytes:
    kind = script.pick(16)
    at = script.number(2) % (len(data) + 1)
    if kind == 1:
        return data[:at] + script.take(3) + data[at:]
    if kind == 2:
        return data[:at]
    if kind == 3 and at < len(data):
        return data[:at] + bytes([data[at] ^ (1 + script.pick(255))]) + data[at + 1 :]
    if kind == 4:
        return data + data[:at]
    return data


# ---- connections


class CheckedWire:
    """A connection and a record of its requests: each requested byte comes once or is given back once."""

    def __init__(self, wire: PeerWire) -> None:
        self.wire = wire
        self.asked = RangeSet()
        self.seen: set[str] = set()

    def take(self, events: list[ev.WireEvent]) -> None:
        """Check what happened."""
        events = list(ev.one_by_one(events))
        for at, event in enumerate(events):
            self.seen.add(type(event).__name__)
            if isinstance(event, ev.BlockData):
                self._end(event.offset, event.offset + len(event.data))
            elif isinstance(event, (ev.PeerChoked, ev.RequestsRejected, ev.RequestsReturned)):
                for start, end in event.ranges:
                    self._end(start, end)
            elif isinstance(event, ev.WireFailed):
                assert at == len(events) - 1 and self.wire.state is WireState.CLOSED
                self.seen.add(outcome(event.fault))

    def request(self, start: int, length: int, now: float) -> None:
        """Ask for bytes that are not asked for yet, as far as the window goes."""
        wire = self.wire
        if wire.peer is None or wire.state is WireState.CLOSED:
            return
        end = min(GEOMETRY.size, start + min(length, wire.download.room()))
        if start < end and not self.asked.overlap(start, end):
            wire.download.request(start, end, now)
            self.asked.add(start, end)

    def cancel(self, start: int, end: int) -> None:
        """Withdraw requests."""
        if self.wire.peer is not None:
            for first, last in self.wire.download.cancel(start, end):
                self._end(first, last)

    def finish(self) -> str:
        """Close. Nothing is forgotten."""
        assert self.wire.unreceived() == list(self.asked)
        assert self.wire.next_timer() is None
        return " ".join(sorted(self.seen))

    def _end(self, start: int, end: int) -> None:
        assert self.asked.cut(start, end) == [(start, end)], "bytes that were not asked for, or twice"


def run_connection(data: bytes) -> str:
    """An accepted connection under a script of bytes, timers and commands. Its memory stays bounded."""
    script = Script(data)
    checked = CheckedWire(PeerWire(_config(1, script.byte(), Encryption.PREFER), 0.0))
    wire, now, sent = checked.wire, 0.0, 0
    if script.pick(8):
        checked.take(wire.receive(encode_handshake(Handshake(HASH, b"p" * 20, bool(script.pick(4)))), now))
    for _ in range(MAX_OPERATIONS):
        if script.ended:
            break
        what = script.pick(8)
        if what < 3:
            checked.take(wire.receive(script.take(script.number(1)), now))
        else:
            now = _operate(checked, what, script, now)
        sent += len(wire.data_to_send(now))
        due = wire.next_timer()
        assert due is None or due > now - 200
        if wire.peer is not None:
            assert len(wire.upload.requests) <= limits.REQUESTS_ACCEPTED
            assert len(wire.download.requests) <= limits.REQUESTS_AT_MOST
    return checked.finish()


def _operate(checked: CheckedWire, what: int, script: Script, now: float) -> float:
    wire = checked.wire
    if what == 3:
        now += script.byte()
        checked.take(wire.on_timer(now))
    elif what == 4:
        checked.request(script.number(2) * 8, script.number(2), now)
    elif what == 5:
        start = script.number(2) * 8
        checked.cancel(start, start + script.number(2))
    elif wire.peer is not None and what == 6:
        if script.pick(2):
            wire.upload.unchoke()
        else:
            wire.upload.choke()
    elif wire.peer is not None:
        wire.next_block(now)
        wire.download.set_interested(bool(script.pick(2)))
    return now


# ---- a whole session


def run_session(data: bytes) -> str:
    """Two connections over a link that changes, drops, repeats and delays bytes as the script says."""
    script = Script(data)
    policies = list(Encryption)
    held_a, held_b = script.byte(), script.byte()
    encryption_a, encryption_b = policies[script.pick(3)], policies[script.pick(3)]
    a = CheckedWire(PeerWire(_config(1, held_a, encryption_a), 0.0, HASH, encryption_a is not Encryption.OFF))
    b = CheckedWire(PeerWire(_config(2, held_b, encryption_b), 0.0))
    now, link = 0.0, {id(a): b"", id(b): b""}
    for _ in range(MAX_OPERATIONS):
        for sender, receiver in ((a, b), (b, a)):
            link[id(sender)] += _sent_by(sender.wire, now)
            passed = link[id(sender)]
            kind = script.pick(32)
            if kind < 8:  # only a part of it arrives now
                passed = passed[: script.number(2)]
            link[id(sender)] = link[id(sender)][len(passed) :]
            receiver.take(receiver.wire.receive(_damaged(passed, script) if kind == 31 else passed, now))
            _drive(receiver, script, now)
        now += 0.1 * script.pick(4) if script.pick(64) else 30.0
        a.take(a.wire.on_timer(now))
        b.take(b.wire.on_timer(now))
        if script.ended or WireState.CLOSED in (a.wire.state, b.wire.state):
            break
    return f"{a.finish()} | {b.finish()}"


def _sent_by(wire: PeerWire, now: float) -> bytes:
    data = wire.data_to_send(now)
    while block := wire.next_block(now):
        data += block.header + wire.encrypt(CONTENT[block.offset : block.offset + block.length])
    return data


def _drive(checked: CheckedWire, script: Script, now: float) -> None:
    """What a transport and a download would do."""
    wire = checked.wire
    if wire.peer is None or wire.state is WireState.CLOSED:
        return
    what = script.pick(16)
    wire.download.set_interested(what != 1)
    if what == 2:
        wire.upload.choke()
    else:
        wire.upload.unchoke()
    if what == 3:
        checked.cancel(0, GEOMETRY.size)
    elif what == 4:
        checked.take(wire.fetch_metadata(now))
    elif what == 5:
        wire.upload.announce(script.pick(5))
    else:
        checked.request(script.number(2) * 5, 1 << 15, now)


_OPENED = b"\x1f\1\1\0\5" + ENCODED[13]  # the seed of the torrent; a peer with BEP 6 that holds nothing
_SCRIPTS = [
    *(b"\x1f\1\1\0" + bytes([len(message)]) + message for message in ENCODED),
    *(_OPENED + b"\0" + bytes([len(message)]) + message for message in ENCODED),
    _OPENED + b"\0\5" + ENCODED[3] + b"\6\1\0" + bytes([len(REQUESTS)]) + REQUESTS + b"\7\1\7\0\6\0",
    _OPENED + b"\0\5" + ENCODED[2] + b"\4\0\0\xff\xff\0\x35" + ENCODED[8] + b"\5\0\0\xff\xff\3\x15",
    b"\0\1\1" + b"\3\x96" * 3,
]
_SESSIONS = [
    bytes([0, 31, first, second]) + bytes([each]) * 400
    for first in range(3)
    for second in range(3)
    for each in (9, 13)
]

TARGETS = [
    Target("peer_messages", run_messages, [*ENCODED, b"".join(ENCODED), REQUESTS, b"\xff" * 8], 8),
    Target(
        "peer_extended",
        run_extended,
        [message.payload for message in MESSAGES if isinstance(message, m.Extended)]
        + [b"d8:msg_typei1e5:piecei0e10:total_sizei9ee123456789", b"de", b"l" * 99, b"d1:a" * 99, b"i1e"],
        4,
        None,
        [b"d1:m", b"4:reqq", b"1:v", b"1:p", b"6:yourip", b"11:ut_metadata", b"i-1e", b"le", b"8:msg_type"],
    ),
    Target(
        "peer_mse",
        run_mse,
        [
            bytes([a, b]) + tail
            for a in range(3)
            for b in range(3)
            for tail in (b"", b"\0\0\0\1\0\5", b"\3\0\x70\5")
        ],
        1,
    ),
    Target("peer_wire", run_connection, _SCRIPTS, 6),
    Target("peer_session", run_session, _SESSIONS, 2),
]
