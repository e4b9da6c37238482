"""The owner's answers and the tracker's rules, driven by scripts: any sequence of datagrams or requests."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from common.bitfield import Bitfield
from common.errors import Forbidden, MessageError, NodeConflict, RateLimited, TrackerFull
from common.messages import Exit, Mode, Need, NeedAnswer, Own, Register, Update
from common.validation import decode_object
from fuzz.parsers import DATAGRAMS, HASH, JSON_WORDS, REQUESTS, resealed
from fuzz.target import Script, Target, outcome
from node.chunk_udp import wire
from node.chunk_udp.address_validation import AddressValidator
from node.chunk_udp.responder import Responder, SendChunk
from simulator.served import MemoryTorrent
from tracker.auth import Credentials
from tracker.model import Rules
from tracker.service import TrackerService
from tracker.storage.memory import MemoryStorage

MAX_OPERATIONS = 300  # of one script
SIZE = 1 << 20  # bytes of the content that is shared
HELD = 1 << 12  # bytes that are here of the one that is shared in part


# ---- the owner's side


def _torrent(held: bool = True, is_served: bool = True) -> MemoryTorrent:
    torrent = MemoryTorrent(bytes(SIZE), HELD)
    if not held:
        torrent.have = Bitfield(torrent.info.geometry.piece_count)
        torrent.have.set(0)
    torrent.is_served = is_served
    return torrent


_TORRENTS = {HASH: _torrent(), bytes(20): _torrent(held=False), b"\xff" * 20: _torrent(is_served=False)}


def run_answers(data: bytes) -> str:
    """``Responder``: never raises, and sends an unvalidated address less than it received."""
    script = Script(data)
    mint = AddressValidator(b"secret")
    answerer = Responder(mint, _TORRENTS)
    now, seen = 100.0, set()
    for _ in range(MAX_OPERATIONS):
        if script.ended:
            break
        choice, length = script.byte(), script.number(1)
        addr = ("127.0.0.1", 1 + choice % 2)
        now += (choice >> 6) * 11
        datagram = script.take(length)
        if choice & 0x10:  # with a valid token of this address
            datagram = datagram[:52] + mint.make(addr, now) + datagram[68:]
        if choice & 0x20:
            datagram = resealed(datagram)
        answer = answerer.handle_requests(datagram, addr, now)
        seen.add(type(answer).__name__)
        if isinstance(answer, SendChunk):
            request = answer.request
            assert 0 < request.length <= wire.MAX_REQUEST and request.offset + request.length <= SIZE
            assert request.length <= wire.MAX_SEGMENTS_PER_REQUEST * request.segment_size
            assert mint.accepts(request.token, addr, now)
        elif answer is not None and not mint.accepts(datagram[52:68], addr, now):
            assert len(wire.encode(answer)) < len(datagram), "sends more than it received"
    return " ".join(sorted(seen))


_QUESTIONS = [datagram for datagram in DATAGRAMS if len(datagram) < 256]
_CONVERSATIONS = [
    b"".join(bytes([choice, len(datagram)]) + datagram for datagram in _QUESTIONS)
    for choice in (0x00, 0x10, 0x30, 0x31, 0xF0)
]


# ---- the tracker's rules


def run_tracker(data: bytes) -> str:
    """``TrackerService``: lines of JSON as requests, over hours; its answers are JSON."""
    now = [0.0]
    rules = Rules(30.0, 11.0)
    storage = MemoryStorage(rules, clock=lambda: now[0], rng=random.Random(1))
    service = TrackerService(storage, rules, max_results=5, clock=lambda: now[0])
    handlers: dict[Mode, tuple[Any, Callable[[Any, Credentials], dict[str, Any] | NeedAnswer]]] = {
        Mode.REGISTER: (Register, service.register_node),
        Mode.OWN: (Own, service.add_file_owner),
        Mode.NEED: (Need, service.search_file),
        Mode.UPDATE: (Update, service.update_db),
        Mode.EXIT: (Exit, service.remove_node),
    }
    seen = set()
    for line in data.split(b"\n")[:MAX_OPERATIONS]:
        now[0] += len(line) % 16
        if gone := storage.expire().gone:
            seen.add(f"expired {min(len(gone), 2)}")
        try:
            fields = decode_object(line)
            secret = fields.get("filename")  # any text
            by = Credentials(secret if len(line) % 2 and isinstance(secret, str) else None)
            kind, handle = handlers[Mode.from_json(fields.get("mode"))]
            answer = handle(kind.from_json(fields), by)
            fields = answer.to_json() if isinstance(answer, NeedAnswer) else answer
            decode_object(json.dumps(fields).encode())
            seen.add(kind.__name__)
        except (MessageError, NodeConflict, Forbidden, RateLimited, TrackerFull) as error:
            seen.add(outcome(error)[:40])
    counts = storage.counts()
    assert counts.nodes == len(storage.nodes(MAX_OPERATIONS)) == len(storage.node_ids())
    owners = [node_ids for _, groups in storage.owners_of(storage.file_names()) for _, node_ids in groups]
    assert counts.owned == sum(map(len, owners)) and counts.claimed <= counts.nodes
    return " ".join(sorted(seen))


TARGETS = [
    Target("owner", run_answers, _CONVERSATIONS, 8),
    Target(
        "tracker",
        run_tracker,
        [b"\n".join(REQUESTS), b"\n".join(REQUESTS * 3)],
        3,
        None,
        [*JSON_WORDS, b"\n"],
    ),
]
