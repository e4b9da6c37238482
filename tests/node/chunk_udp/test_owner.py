"""The owner's loop over real sockets: the rate limit, the queue, and errors of the system."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from common.errors import TransientFileFault
from node.chunk_udp import owner as owner_module
from node.chunk_udp import sockets, wire
from node.chunk_udp.datagram_size import DATAGRAMS_PER_BURST
from node.chunk_udp.flood import bpf_filter
from node.chunk_udp.flood.token_tag import TagKeys
from node.chunk_udp.flood.unvalidated import FLOOD_PER_SECOND
from node.chunk_udp.owner import UNREADABLE_LIMIT, Owner
from node.settings import TransferSettings
from simulator.served import MemoryTorrent

INFO_HASH = b"i" * 20
CONTENT = bytes(range(251)) * 4000


class RequestingPeer:
    """A fetcher of one's own making: asks what it wants, and sees every answer."""

    def __init__(self, addr: tuple[str, int]) -> None:
        self.sock = sockets.udp_socket("127.0.0.1", 0, 4 << 20)
        self.sock.connect(addr)
        self.sock.settimeout(10)
        self.token = wire.NO_TOKEN
        self.asked = 0  # REQUESTs, which have numbers of their own each
        answer = self.ask()
        assert isinstance(answer, wire.Token)
        self.token = answer.token

    def send(self, message: wire.Message) -> None:
        self.sock.send(wire.encode(message))

    def hear(self) -> wire.Message:
        return wire.decode(self.sock.recv(65_535))

    def ask(self) -> wire.Message:
        self.send(wire.Ask(7, 1 << 31, INFO_HASH, self.token))
        return self.hear()

    def ask_until_told(self) -> None:
        """Until the owner has answered, however full its buffer is: it has seen all that came earlier."""
        self.sock.settimeout(0.5)
        for _ in range(20):
            with contextlib.suppress(TimeoutError):
                assert isinstance(self.ask(), wire.Tell)
                break
        else:
            raise AssertionError("no answer in 10 s")
        self.sock.settimeout(10)

    def request(self, offset: int, length: int, segment: int = 1000) -> None:
        self.asked += 1
        self.send(wire.Request(7, self.asked, offset, length, INFO_HASH, self.token, segment))

    def fetch(self, offset: int, length: int, segment: int = 1000) -> bytes:
        """The answer to one request, when it is complete."""
        self.request(offset, length, segment)
        parts: dict[int, bytes] = {}
        while sum(map(len, parts.values())) < length:
            message = self.hear()
            assert isinstance(message, wire.Data)
            parts[message.offset] = bytes(message.payload)
        return b"".join(parts[at] for at in sorted(parts))


@pytest.fixture
def content() -> MemoryTorrent:
    return MemoryTorrent(CONTENT)


Serve = Callable[..., Owner]


@pytest.fixture
def serve(content: MemoryTorrent) -> Iterator[Serve]:
    with contextlib.ExitStack() as stack:

        def start(**settings: int) -> Owner:
            sock = stack.enter_context(sockets.udp_socket("127.0.0.1", 0, 4 << 20))
            owner = Owner(sock, {INFO_HASH: content}, b"secret", TransferSettings(**settings))
            thread = threading.Thread(target=owner.listen)
            thread.start()
            stack.callback(lambda: (owner.stop(), thread.join(20)))
            return owner

        yield start


@pytest.fixture
def peer() -> Iterator[Callable[[Owner], RequestingPeer]]:
    with contextlib.ExitStack() as stack:

        def connect(owner: Owner) -> RequestingPeer:
            made = RequestingPeer(owner._sock.getsockname())
            stack.enter_context(made.sock)
            return made

        yield connect


def test_an_upload_limit_holds_and_is_reached(serve: Serve, peer: Callable[[Owner], RequestingPeer]) -> None:
    """A fetcher with much asked for all the time; a loose bound, as this machine may be busy."""
    rate = 1_000_000
    fetcher = peer(serve(upload_limit=rate))
    for number in range(4):
        fetcher.request(number * 60_000, 60_000)
    begun = time.monotonic()
    asked, received, datagrams = 240_000, 0, 0
    while (seconds := time.monotonic() - begun) < 2.5:
        message = fetcher.hear()
        assert isinstance(message, wire.Data)
        received += len(message.payload)
        datagrams += 1
        if asked - received < 180_000:
            fetcher.request(asked % 900_000, 60_000)
            asked += 60_000
    total = received + datagrams * wire.HEADER_SIZE
    assert (
        total <= 1.1 * rate * seconds
    )  # a late receiver sees no more; tests/node/test_rate_limit.py checks each second
    assert total >= 0.8 * rate * seconds


def test_under_a_limit_segments_are_smaller_than_asked_for(
    serve: Serve, peer: Callable[[Owner], RequestingPeer]
) -> None:
    fetcher = peer(serve(upload_limit=1_000_000))
    fetcher.request(0, 20_000, 20_000)
    message = fetcher.hear()
    assert (
        isinstance(message, wire.Data)
        and wire.MIN_SEGMENT <= len(message.payload) <= 30_000 // DATAGRAMS_PER_BURST
    )


def test_two_who_ask_at_once_are_served_in_turn(
    serve: Serve, peer: Callable[[Owner], RequestingPeer]
) -> None:
    owner = serve(upload_limit=50_000)
    first, second = peer(owner), peer(owner)
    for number in range(8):
        first.request(number * 10_000, 10_000)
    assert isinstance(first.hear(), wire.Data)
    asked = time.monotonic()
    assert second.fetch(0, 5000) == CONTENT[:5000]
    assert time.monotonic() - asked < 1.5  # all bytes for the first fetcher would take 1.6


def test_who_comes_when_all_slots_are_taken_waits_in_line(
    serve: Serve, peer: Callable[[Owner], RequestingPeer]
) -> None:
    owner = serve(upload_slots=1)
    peers = [peer(owner) for _ in range(3)]
    assert peers[0].fetch(0, 1000) == CONTENT[:1000]
    for place, waiting in enumerate(peers[1:], 1):
        assert waiting.ask() == wire.Refuse(7, 1 << 31, wire.Refusal.BUSY, place)
    peers[2].request(0, 1000)
    assert peers[2].hear() == wire.Refuse(7, 1, wire.Refusal.BUSY, 2)
    assert [addr for addr, _ in owner.slots.queue()] == [p.sock.getsockname() for p in peers[1:]]


def test_who_loses_its_slot_is_told_and_what_it_asked_for_is_not_sent(
    serve: Serve, peer: Callable[[Owner], RequestingPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.chunk_udp.slots.SLOT_SECONDS", 0.0)
    owner = serve(upload_slots=1, upload_limit=16_000)
    first, second = peer(owner), peer(owner)
    first.request(0, 4000)
    assert isinstance(first.hear(), wire.Data)
    second.request(0, 500, 512)
    assert second.hear().sequence == 1
    heard = []
    while not heard or not isinstance(heard[-1], wire.Refuse):
        heard.append(first.hear())
    assert heard[-1] == wire.Refuse(7, 1, wire.Refusal.BUSY, 1)
    assert len(heard) < 4


# ---- what the system does not give, or not take


def test_a_file_that_cannot_be_opened_just_now_is_served_later(
    serve: Serve, peer: Callable[[Owner], RequestingPeer], content: MemoryTorrent
) -> None:
    fetcher = peer(serve())
    content.fault = TransientFileFault("too many open files")
    fetcher.sock.settimeout(UNREADABLE_LIMIT / 5)
    answer: wire.Message | None = None
    while answer is None:  # silence first: a part that gets its final name is back at once
        fetcher.request(0, 1000)
        with contextlib.suppress(TimeoutError):
            answer = fetcher.hear()
    assert fetcher.asked > 2
    assert answer == wire.Refuse(7, fetcher.asked, wire.Refusal.BUSY, 0)
    content.fault = None
    assert fetcher.fetch(0, 1000) == CONTENT[:1000]


@pytest.mark.parametrize("alone_after", [0.0, 1000.0])
def test_when_the_system_takes_no_more_the_rest_is_sent_later(
    serve: Serve, peer: Callable[[Owner], RequestingPeer], monkeypatch: pytest.MonkeyPatch, alone_after: float
) -> None:
    monkeypatch.setattr("node.chunk_udp.upload_queue.ALONE_AFTER", alone_after)
    send, calls = sockets.send_parts, 0

    def grudgingly(*args: object) -> None:
        nonlocal calls
        calls += 1
        if calls % 3 == 0:
            raise BlockingIOError(errno.EAGAIN, "try again")
        send(*args)  # type: ignore[arg-type]

    fetcher = peer(serve())
    monkeypatch.setattr(sockets, "send_parts", grudgingly)
    fetcher.fetch(0, 1000)
    assert fetcher.fetch(0, 256_000, 8000) == CONTENT[:256_000]
    assert calls >= 5


@pytest.mark.parametrize(("length", "then"), [(4000, 4000), (12_000, wire.SMALL_SEGMENT)])
def test_only_chunks_that_do_not_fit_a_path_make_segments_smaller(
    serve: Serve,
    peer: Callable[[Owner], RequestingPeer],
    monkeypatch: pytest.MonkeyPatch,
    length: int,
    then: int,
) -> None:
    """A single segment may be a probe: the fetcher discovers the path's MTU."""
    owner = serve()
    fetcher = peer(owner)
    send = sockets.send_parts
    refused = threading.Event()

    def narrow(*args: object) -> None:
        refused.set()
        raise OSError(errno.EMSGSIZE, "message too long")

    monkeypatch.setattr(sockets, "send_parts", narrow)
    fetcher.request(0, length, 4000)
    assert refused.wait(10)
    fetcher.request(0, 0)  # out of bounds: counted when the one before is done with
    deadline = time.monotonic() + 10
    while not owner.counts["out of bounds"] and time.monotonic() < deadline:
        time.sleep(0.001)
    monkeypatch.setattr(sockets, "send_parts", send)
    fetcher.request(0, 8000, 4000)
    message = fetcher.hear()
    assert isinstance(message, wire.Data) and len(message.payload) == then


# ---- floods


@pytest.mark.skipif(not sockets.LINUX, reason="only Linux filters for us")
def test_a_flood_sets_off_the_systems_filter_and_honest_ones_get_through(
    serve: Serve, peer: Callable[[Owner], RequestingPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    attached = threading.Event()
    attach = bpf_filter.attach

    def noted(sock: socket.socket, keys: TagKeys, share: float, draw: int) -> bool:
        done = attach(sock, keys, share, draw)
        if done:
            attached.set()
        return done

    monkeypatch.setattr(owner_module.bpf_filter, "attach", noted)
    owner = serve()
    fetcher, stranger = peer(owner), peer(owner)
    for _ in range(20 * FLOOD_PER_SECOND):
        stranger.sock.send(b"junk")
        if attached.is_set():
            break
    assert attached.wait(10)
    fetcher.ask_until_told()  # datagrams that were buffered before the filter are counted by now
    seen = owner.counts["malformed"]
    for _ in range(100):
        stranger.sock.send(b"junk" * 18)  # as long as a REQUEST
    assert fetcher.fetch(0, 60_000) == CONTENT[:60_000]
    fetcher.ask_until_told()
    assert owner.counts["malformed"] == seen
