"""Standard peers in Redis: announces, scrapes and the removal of silent peers.

    peer-deadlines           sorted set: key of a peer (hex) -> deadline (seconds since 1970)
    peer:KEY                 text: "w" (complete) or "p", its IPv4 endpoint, IPv6 endpoint and client address
    seeds:HASH leechers:HASH sets of contacts, see ``Contact``: peers, and nodes that listen on TCP
    standard-seeds:HASH standard-leechers:HASH
                             sets of keys (hex): the standard peers alone, to count them
    places:HASH              hash: endpoint (hex) -> key of the peer that listens there
    downloaded:HASH          downloads that ended with "completed"; it is forgotten after DOWNLOADED_SECONDS

An announce is optimistic as every transaction here: WATCH the peer, decide, write inside MULTI and EXEC.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from common.compact_peers import encode_peer
from common.errors import StorageFull, StorageReadOnly
from common.messages import OwnedFile, PeerEntry
from tracker import peer_rules
from tracker.model import Announcement, NodeRecord, PeerAnswer, PeerLeft, PeerRecord, Rules, SwarmCounts
from tracker.storage.peer_state import entry_of
from tracker.storage.redis_client import Command, Session
from tracker.storage.redis_keys import RedisKeys

DOWNLOADED_SECONDS = 86_400  # after the last completed download
EXPIRE_PEERS = 24  # peers that are removed at a time
IPV4_DIGITS = 12  # hex digits of an IPv4 endpoint


class Contact(NamedTuple):
    """A member of seeds:HASH or leechers:HASH: its endpoints in hex, and the key or the node id."""

    name: str
    ipv4: str
    ipv6: str

    def text(self) -> str:
        """As Redis keeps it."""
        return " ".join(self)

    @property
    def peer(self) -> bytes | int:
        """As ``PeerAnswer.names`` has it."""
        return int(self.name) if len(self.name) < 2 * 44 else bytes.fromhex(self.name)


def contact(text: str) -> Contact:
    """The reverse of ``Contact.text``."""
    return Contact(*text.split(" "))


def node_contact(names: RedisKeys, node: NodeRecord, file: OwnedFile) -> tuple[str, str] | None:
    """The set that lists an owner on TCP, and its member; None if the owner is not on TCP."""
    if node.tcp_port is None or file.info_hash is None:
        return None
    digits = encode_peer((node.addr[0], node.tcp_port)).hex()
    both = (digits, "") if len(digits) == IPV4_DIGITS else ("", digits)
    return names.of(_side(file.complete), file.info_hash), Contact(str(node.node_id), *both).text()


def _side(complete: bool) -> str:
    return "seeds" if complete else "leechers"


@dataclass(frozen=True)
class RedisPeerView:
    """Implements peer_rules.PeerView."""

    rules: Rules
    known: PeerRecord | None
    other: PeerRecord | None  # at the same endpoint
    count: int
    at_home: int

    def peer(self, key: bytes) -> PeerRecord | None:
        return self.known

    def peer_at(self, info_hash: bytes, endpoint: bytes) -> PeerRecord | None:
        return self.other

    def peer_count(self) -> int:
        return self.count

    def nodes_from(self, home: str) -> int:
        return self.at_home


class RedisPeers:
    """The standard peers under the names of one tracker. Each method takes a session and the time."""

    def __init__(self, names: RedisKeys, rules: Rules) -> None:
        self._names = names
        self._rules = rules

    @property
    def deadlines(self) -> str:
        """The sorted set of deadlines."""
        return self._names.of("peer-deadlines")

    # ---- announce

    def announce(self, session: Session, call: Announcement, now: float) -> PeerAnswer:
        """Decide, write, and choose the peers."""
        decision = None
        with contextlib.suppress(StorageFull, StorageReadOnly):  # it is answered in any case
            while decision is None:
                decision = self._attempt(session, call, now)
        return self._answer(session, call, names_peers=decision is None or decision.is_in)

    def _attempt(self, session: Session, call: Announcement, now: float) -> peer_rules.PeerDecision | None:
        """Try the transaction once. None: try again."""
        names, home = self._names, call.home or ""
        places = names.of("places", call.key[:20].hex())
        text, place, count, at_home = session.run(
            ("WATCH", self._record(call.key), places),
            ("GET", self._record(call.key)),
            ("HGET", places, call.endpoint.hex()),
            ("ZCARD", self.deadlines),
            ("ZSCORE", names.homes, home),
        )[1:]
        known = None if text is None else _read(call.key, text)
        other = self._other(session, place) if place and place != call.key.hex() else None
        view = RedisPeerView(self._rules, known, other, count, int(float(at_home or 0)))
        try:
            decision = peer_rules.announce(view, call)
        except BaseException:
            session.try_run(("UNWATCH",))
            raise
        commands: list[Command] = []
        for write in reversed(decision.writes):  # the peer that is replaced gives up its place first
            commands += self._commands(known if write.key == call.key else other, write)
        if decision.is_in:
            deadline = repr(now + self._rules.announce_silence)
            commands.append(("ZADD", self.deadlines, "GT", deadline, call.key.hex()))
        if decision.finished:
            downloaded = names.of("downloaded", call.key[:20].hex())
            commands += [("INCR", downloaded), ("EXPIRE", downloaded, DOWNLOADED_SECONDS)]
        if not commands:
            session.try_run(("UNWATCH",))
            return decision
        return decision if session.commit(*commands) else None

    def _other(self, session: Session, digits: str) -> PeerRecord | None:
        """The record of another peer, watched."""
        key = bytes.fromhex(digits)
        _, text = session.run(("WATCH", self._record(key)), ("GET", self._record(key)))
        return None if text is None else _read(key, text)

    def _commands(self, before: PeerRecord | None, write: PeerRecord | PeerLeft) -> list[Command]:
        commands: list[Command] = []
        places = self._names.of("places", write.key[:20].hex())
        if before is not None:
            commands += [("SREM", *member) for member in _members(self._names, before)]
            commands.append(("HDEL", places, *_endpoints(before)))
        if isinstance(write, PeerRecord):
            commands.append(("SET", self._record(write.key), _text(write)))
            commands += [("SADD", *member) for member in _members(self._names, write)]
            commands += [("HSET", places, endpoint, write.key.hex()) for endpoint in _endpoints(write)]
            if before is None and write.home is not None:
                commands.append(("ZINCRBY", self._names.homes, 1, write.home))
            return commands
        commands += [("DEL", self._record(write.key)), ("ZREM", self.deadlines, write.key.hex())]
        if before is not None and before.home is not None:
            commands.append(("ZINCRBY", self._names.homes, -1, before.home))
            commands.append(("ZREMRANGEBYSCORE", self._names.homes, "-inf", 0))
        return commands

    def _answer(self, session: Session, call: Announcement, names_peers: bool) -> PeerAnswer:
        seeds, leechers = (self._names.of(side, call.key[:20].hex()) for side in ("seeds", "leechers"))
        complete, incomplete, some_seeds, some_leechers = session.run(
            ("SCARD", seeds),
            ("SCARD", leechers),
            ("SRANDMEMBER", seeds, 0 if call.leechers_only else call.wanted + 1),
            ("SRANDMEMBER", leechers, call.wanted + 1),
        )
        if not names_peers:
            return PeerAnswer(complete, incomplete)
        own = call.key.hex()
        found = [contact(text) for text in [*some_leechers, *some_seeds] if not text.startswith(own)]
        random.shuffle(found)
        ipv4 = [one for one in found if one.ipv4][: call.wanted]
        ipv6 = [one for one in found if one.ipv6][: call.wanted]
        return PeerAnswer(
            complete,
            incomplete,
            bytes.fromhex("".join(one.ipv4 for one in ipv4)),
            bytes.fromhex("".join(one.ipv6 for one in ipv6)),
            [one.peer for one in (*ipv4, *ipv6)],
        )

    # ---- looking

    def scrape(self, session: Session, info_hashes: Sequence[bytes]) -> list[SwarmCounts]:
        """The counts of these swarms."""
        commands: list[Command] = []
        for digits in map(bytes.hex, info_hashes):
            commands.append(("SCARD", self._names.of("seeds", digits)))
            commands.append(("GET", self._names.of("downloaded", digits)))
            others = ("leechers", "standard-seeds", "standard-leechers")
            commands += [("SCARD", self._names.of(side, digits)) for side in others]
        found = session.run(*commands) if commands else []
        width = len(SwarmCounts._fields)
        rows = [found[start : start + width] for start in range(0, len(found), width)]
        return [SwarmCounts(seeds, int(finished or 0), *others) for seeds, finished, *others in rows]

    def newest(self, session: Session, info_hash: bytes, limit: int) -> list[PeerEntry]:
        """Some standard peers of a swarm."""
        replies = session.run(
            *(("SMEMBERS", self._names.of(side, info_hash.hex())) for side in ("seeds", "leechers"))
        )
        keys = [
            found.peer for texts in replies for found in map(contact, texts) if isinstance(found.peer, bytes)
        ][:limit]
        records = session.run(*(("GET", self._record(key)) for key in keys)) if keys else []
        return [entry_of(_read(key, text)) for key, text in zip(keys, records, strict=True) if text]

    # ---- deadlines

    def grant_deadline(self, now: float) -> Command:
        """Give every peer one whole deadline from now."""
        return ("HSET", self._names.meta, "peers_until", repr(now + self._rules.announce_silence))

    def expire(self, session: Session, now: float) -> None:
        """Remove the peers past their deadline. Nothing is removed while Redis refuses to write."""
        with contextlib.suppress(StorageFull, StorageReadOnly):
            while self._expire_some(session, now):
                pass

    def _expire_some(self, session: Session, now: float) -> bool:
        keys, until = session.run(
            ("ZRANGE", self.deadlines, "-inf", repr(now), "BYSCORE", "LIMIT", 0, EXPIRE_PEERS),
            ("HGET", self._names.meta, "peers_until"),
        )
        if not keys or now < float(until or 0):
            return False
        records = [self._record(bytes.fromhex(digits)) for digits in keys]
        texts = session.run(("WATCH", *records), *(("GET", record) for record in records))[1:]
        commands: list[Command] = []
        for digits, text in zip(keys, texts, strict=True):
            key = bytes.fromhex(digits)
            before = None if text is None else _read(key, text)
            commands += self._commands(before, PeerLeft(key))
        session.commit(*commands)
        return True

    def _record(self, key: bytes) -> str:
        return self._names.of("peer", key.hex())


def _members(names: RedisKeys, record: PeerRecord) -> list[tuple[str, str]]:
    """The sets that list a standard peer, each with its member."""
    key, side, info_hash = record.key.hex(), _side(record.complete), record.info_hash.hex()
    text = Contact(key, record.ipv4.hex(), record.ipv6.hex()).text()
    return [(names.of(side, info_hash), text), (names.of(f"standard-{side}", info_hash), key)]


def _endpoints(record: PeerRecord) -> list[str]:
    return [endpoint.hex() for endpoint in (record.ipv4, record.ipv6) if endpoint]


def _text(record: PeerRecord) -> str:
    side = "w" if record.complete else "p"
    return " ".join((side, record.ipv4.hex(), record.ipv6.hex(), record.home or ""))


def _read(key: bytes, text: str) -> PeerRecord:
    side, ipv4, ipv6, home = text.split(" ")
    return PeerRecord(key, bytes.fromhex(ipv4), bytes.fromhex(ipv6), side == "w", home or None)
