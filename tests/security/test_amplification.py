"""To an address that has not proved itself never more bytes than came from it: kept in books, and attacked.

The attacker writes any source address it likes, but gets mail at its own addresses only. Whatever it sends in
a victim's name, the victim must not be sent more than that cost.
"""

from __future__ import annotations

import math
import random
import secrets
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from unittest.mock import Mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from common.bitfield import Bitfield
from node.chunk_udp import wire
from node.chunk_udp.address_validation import EPOCH, AddressValidator
from node.chunk_udp.owner import Owner
from node.chunk_udp.responder import Responder, SendChunk
from node.chunk_udp.transport import UdpTransport
from node.settings import TransferSettings
from simulator.served import MemoryTorrent

HEADERS = 28  # bytes of IPv4 and UDP that each datagram costs on top
SHARED, PARTIAL, CHANGED, UNKNOWN = (bytes([number]) * 20 for number in range(1, 5))
SIZE, PIECES = 5_000_000, 40
ATTACKERS = [("198.51.100.1", 4000), ("198.51.100.1", 4001), ("198.51.100.2", 4000)]
VICTIMS = [("203.0.113.1", 4000), ("203.0.113.2", 53), ("2001:db8::1", 443), ("198.51.100.1", 53)]

Address = tuple[str, int]


def contents() -> dict[bytes, MemoryTorrent]:
    """A complete torrent, a partial torrent (first half of its pieces), and a torrent with changed
    content."""
    shared, partial, changed = (MemoryTorrent(bytes(SIZE), SIZE // PIECES) for _ in range(3))
    partial.have = Bitfield(PIECES)
    for index in range(PIECES // 2):
        partial.have.set(index)
    changed.is_served = False
    return {SHARED: shared, PARTIAL: partial, CHANGED: changed}


@dataclass
class Books:
    """Bytes received from addresses without a valid token, and bytes sent to them; also with headers."""

    received: Counter[Address]
    sent: Counter[Address]
    received_with_headers: Counter[Address]
    sent_with_headers: Counter[Address]

    @classmethod
    def empty(cls) -> Books:
        return cls(Counter(), Counter(), Counter(), Counter())

    def enter(self, addr: Address, received: int, sent: list[int]) -> None:
        self.received[addr] += received
        self.received_with_headers[addr] += received + HEADERS
        self.sent[addr] += sum(sent)
        self.sent_with_headers[addr] += sum(sent) + HEADERS * len(sent)

    def overdrawn(self) -> list[Address]:
        return [
            addr
            for addr in self.received
            if self.sent[addr] > self.received[addr]
            or self.sent_with_headers[addr] > self.received_with_headers[addr]
        ]


@dataclass(frozen=True)
class Given:
    """A token that the attacker got, and the conditions of its validity."""

    token: bytes
    addr: Address
    epoch: int
    life: int  # of the owner, which may restart with another secret

    def good(self, addr: Address, now: float, life: int) -> bool:
        return self.addr == addr and self.life == life and int(now / EPOCH) - self.epoch in (0, 1)


def sizes_sent(answer: object) -> list[int]:
    """The size of each datagram of an answer."""
    if answer is None:
        return []
    if isinstance(answer, SendChunk):
        request = answer.request
        count = math.ceil(request.length / request.segment_size)
        return [request.length + count * wire.HEADER_SIZE]
    assert isinstance(answer, (wire.Token, wire.Tell, wire.Refuse))
    return [len(wire.encode(answer))]


hashes = st.sampled_from([SHARED, PARTIAL, CHANGED, UNKNOWN])
numbers = st.sampled_from([0, 1, 7, 1440, 2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1)
offsets = st.sampled_from([0, 1, SIZE // 2, SIZE - 1, SIZE, 2**63]) | st.integers(0, 2**64 - 1)
lengths = st.sampled_from([0, 1, 65_536, wire.MAX_REQUEST, wire.MAX_REQUEST + 1])
segments = st.sampled_from([0, 1, 512, 1440, 65_475, 65_476])


class StrangersBooks(RuleBasedStateMachine):
    """Any sequence of datagrams of any type and sender, over hours and restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.life = 1000.0, 0
        self.books = Books.empty()
        self.given: list[Given] = []
        self.last = b""
        self.proved = 0
        self.begin_life()

    def begin_life(self) -> None:
        secret = bytes([self.life]) * 32
        self.answerer = Responder(AddressValidator(secret), contents())

    def deliver(self, datagram: bytes, addr: Address) -> None:
        """Deliver it. Without a token that is valid here and now, the exchange is entered into the books."""
        answer = self.answerer.handle_requests(datagram, addr, self.now)
        if isinstance(answer, wire.Token) and addr in ATTACKERS:
            self.given.append(Given(answer.token, addr, int(self.now / EPOCH), self.life))
        self.last = datagram
        if any(given.good(addr, self.now, self.life) and given.token in datagram for given in self.given):
            self.proved += 1
        else:
            assert not isinstance(answer, (SendChunk, wire.Tell, wire.Refuse)), (
                "answers whom it does not know"
            )
            self.books.enter(addr, len(datagram), sizes_sent(answer))

    def token(self, choice: int) -> bytes:
        """One that was given at some time, to one of the attacker's addresses, or none."""
        return self.given[choice % len(self.given)].token if self.given and choice else wire.NO_TOKEN

    @rule(addr=st.sampled_from(ATTACKERS + VICTIMS), h=hashes, n=numbers, o=offsets, t=st.integers(0, 40))
    def ask(self, addr: Address, h: bytes, n: int, o: int, t: int) -> None:
        self.deliver(wire.encode(wire.Ask(n, n, h, self.token(t), o)), addr)

    @rule(
        addr=st.sampled_from(ATTACKERS + VICTIMS),
        h=hashes,
        o=offsets,
        length=lengths,
        segment=segments,
        t=st.integers(0, 40),
        checked=st.booleans(),
    )
    def request(
        self, addr: Address, h: bytes, o: int, length: int, segment: int, t: int, checked: bool
    ) -> None:
        self.deliver(wire.encode(wire.Request(1, 2, o, length, h, self.token(t), segment, checked)), addr)

    @rule(addr=st.sampled_from(ATTACKERS + VICTIMS), kind=st.integers(0, 3), t=st.integers(0, 40), n=numbers)
    def answer(self, addr: Address, kind: int, t: int, n: int) -> None:
        """Deliver a message that only owners send."""
        messages = (
            wire.Token(n, n, self.token(t)),
            wire.Tell(n, n, SIZE, True),
            wire.Refuse(n, n, wire.Refusal.BUSY, 3),
            wire.Data(n, n, 0, bytes(100), True),
        )
        self.deliver(wire.encode(messages[kind]), addr)

    @rule(addr=st.sampled_from(ATTACKERS + VICTIMS), junk=st.binary(max_size=200))
    def junk(self, addr: Address, junk: bytes) -> None:
        self.deliver(junk, addr)

    @rule(addr=st.sampled_from(ATTACKERS + VICTIMS), times=st.integers(1, 20))
    def replay(self, addr: Address, times: int) -> None:
        """Deliver the last datagram again, from another address."""
        for _ in range(times):
            self.deliver(self.last, addr)

    @rule(addr=st.sampled_from(ATTACKERS + VICTIMS), at=st.integers(0, 127), extra=st.binary(max_size=50))
    def fragments(self, addr: Address, at: int, extra: bytes) -> None:
        """The same in two pieces, and with something behind it."""
        whole = self.last
        for part in (whole[:at], whole[at:], whole + extra):
            self.deliver(part, addr)

    @rule(addr=st.sampled_from(ATTACKERS + VICTIMS), bit=st.integers(0, 128 * 8 - 1))
    def flip(self, addr: Address, bit: int) -> None:
        """The same with one bit changed."""
        flipped = bytearray(self.last)
        if flipped:
            flipped[bit // 8 % len(flipped)] ^= 1 << bit % 8
            self.deliver(bytes(flipped), addr)

    @rule(seconds=st.sampled_from([0.001, 1.0, 29.9, 30.0, 60.0, 3600.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def restart(self) -> None:
        self.life += 1
        self.begin_life()

    @invariant()
    def nobody_was_sent_more_than_came(self) -> None:
        assert self.books.overdrawn() == []


StrangersBooks.TestCase.settings = settings(stateful_step_count=60)
test_the_books_over_any_sequence = StrangersBooks.TestCase


def every_datagram(token: bytes, rng: random.Random) -> Iterator[bytes]:
    """Every type, with every torrent and range, whole, cut, padded and damaged."""
    whole: list[bytes] = []
    for info_hash in (SHARED, PARTIAL, CHANGED, UNKNOWN):
        whole += [wire.encode(wire.Ask(1, 1 << 31, info_hash, token, first)) for first in (0, 8, 2**40)]
        whole += [
            wire.encode(wire.Request(1, 2, offset, length, info_hash, token, segment))
            for offset in (0, SIZE - 1, 2**63)
            for length in (0, 1, wire.MAX_REQUEST, 2**32 - 1)
            for segment in (0, 512, 65_475)
        ]
    whole += [wire.encode(wire.Token(1, 2, token)), wire.encode(wire.Tell(1, 2, SIZE, True))]
    whole += [wire.encode(wire.Refuse(1, 2, reason)) for reason in wire.Refusal]
    whole += [wire.encode(wire.Data(1, 2, 0, bytes(size), True)) for size in (1, 1200, 60_000)]
    for datagram in whole:
        yield from (datagram, datagram)  # twice: state would show
        yield datagram[: rng.randrange(len(datagram))]
        yield datagram + rng.randbytes(20)
        flipped = bytearray(datagram)
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        yield bytes(flipped)
    for kind in range(256):
        yield bytes([wire.MAGIC, wire.VERSION, kind]) + rng.randbytes(rng.choice([29, 69, 125]))
    yield b""


def udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(20)
    return sock


@pytest.fixture
def owner_addr() -> Iterator[Address]:
    """A real owner at a real socket."""
    sock = udp()
    owner = Owner(sock, contents(), bytes(32))
    thread = threading.Thread(target=owner.listen)
    thread.start()
    yield sock.getsockname()
    owner.stop()
    thread.join(20)
    sock.close()


def prove(sock: socket.socket, info_hash: bytes = SHARED) -> bytes:
    """Get a token as every fetcher does."""
    sock.send(wire.encode(wire.Ask(7, 1 << 31, info_hash)))
    answer = wire.decode(sock.recv(65_535))
    assert isinstance(answer, wire.Token)
    return answer.token


def all_was_heard(honest: socket.socket, token: bytes) -> None:
    """Return when the owner has answered ``honest``, and so has done with all that came before."""
    honest.send(wire.encode(wire.Ask(7, 1 << 31, SHARED, token)))
    assert isinstance(wire.decode(honest.recv(65_535)), wire.Tell)


def received_by(sock: socket.socket) -> list[int]:
    """The size of every datagram that waits."""
    sock.setblocking(False)
    sizes = []
    try:
        while True:
            sizes.append(len(sock.recv(65_535)))
    except BlockingIOError:
        return sizes


@pytest.mark.parametrize("whose", ["nobody's", "another's", "made up"])
def test_the_books_of_a_real_owner(owner_addr: Address, whose: str) -> None:
    """Bytes really sent for every type of datagram with an invalid token."""
    with udp() as stranger, udp() as honest:
        stranger.connect(owner_addr)
        honest.connect(owner_addr)
        honests = prove(honest)
        token = {"nobody's": wire.NO_TOKEN, "another's": honests, "made up": b"\x5a" * 16}[whose]
        books, stranger_addr = Books.empty(), stranger.getsockname()
        for number, datagram in enumerate(every_datagram(token, random.Random(4))):
            stranger.send(datagram)
            books.enter(stranger_addr, len(datagram), [])
            if number % 64 == 63:  # nothing is lost in a full buffer
                all_was_heard(honest, honests)
                books.enter(stranger_addr, 0, received_by(stranger))
                books.received_with_headers[stranger_addr] -= HEADERS  # that was no datagram
                stranger.setblocking(True)
        all_was_heard(honest, honests)
        books.enter(stranger_addr, 0, received_by(stranger))
        assert books.sent[stranger_addr] > 0, "no TOKEN ever came: the attack did not reach the owner"
        assert books.overdrawn() == []


def test_a_restarted_owner_honours_no_token_of_its_former_life() -> None:
    """With sockets: the same port, another secret; earlier proofs are void."""
    sock = udp()
    addr = sock.getsockname()
    with udp() as fetcher:
        fetcher.connect(addr)
        for life in range(2):
            owner = Owner(sock, contents(), bytes([life]) * 32)
            thread = threading.Thread(target=owner.listen)
            thread.start()
            if life == 0:
                old = prove(fetcher)
                all_was_heard(fetcher, old)
            else:
                fetcher.send(wire.encode(wire.Request(7, 1, 0, wire.MAX_REQUEST, SHARED, old, 1440)))
                answer = wire.decode(fetcher.recv(65_535))
                assert isinstance(answer, wire.Token) and answer.token != old
                all_was_heard(fetcher, answer.token)
            owner.stop()
            thread.join(20)
            sock.settimeout(0)
            received_by(sock)
    sock.close()


def test_secrets_of_two_owners_differ_and_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key comes from ``secrets`` for each life of a node: 32 bytes."""
    keys: list[bytes] = []
    genuine = secrets.token_bytes

    def token_bytes(size: int) -> bytes:
        keys.append(genuine(size))
        return keys[-1]

    monkeypatch.setattr(secrets, "token_bytes", token_bytes)
    for _ in range(2):
        transport = UdpTransport(TransferSettings(), udp())
        transport.start({}, Mock())
        transport.stop()
    assert len(keys) == 2 and keys[0] != keys[1]
    assert min(map(len, keys)) >= 32
