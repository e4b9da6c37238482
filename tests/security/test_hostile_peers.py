"""Strangers on the TCP port: each is disconnected, and honest peers are served meanwhile."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from node.peer_tcp import messages as m
from node.peer_tcp import peer_thread
from node.peer_tcp.handshake import PROTOCOL, Handshake, encode_handshake
from node.peer_tcp.mse import KEY_SIZE
from node.peer_tcp.peer_table import MAX_OPENING
from simulator.served import MemoryTorrent
from tests.node.test_transport_contract import CONTENT, INFO_HASH, PIECE, Ends, PlayedSession, make_tcp
from tests.waiting import until

STRANGERS = 8  # at a time, of each kind

Attack = Callable[[socket.socket], None]


def shaken(sock: socket.socket) -> None:
    sock.sendall(encode_handshake(Handshake(INFO_HASH, os.urandom(20))))
    sock.recv(1 << 16)


def junk(sock: socket.socket) -> None:
    sock.sendall(os.urandom(5000))


def half_a_handshake(sock: socket.socket) -> None:
    sock.sendall(PROTOCOL + bytes(10))
    sock.recv(1)


def half_an_encrypted_one(sock: socket.socket) -> None:
    sock.sendall(os.urandom(KEY_SIZE))
    while sock.recv(1 << 16):
        pass


def another_torrent(sock: socket.socket) -> None:
    sock.sendall(encode_handshake(Handshake(os.urandom(20), os.urandom(20))))


def a_giant_message(sock: socket.socket) -> None:
    shaken(sock)
    sock.sendall(b"\xff" * 4 + bytes(100_000))


def a_bencode_bomb(sock: socket.socket) -> None:
    shaken(sock)
    sock.sendall(m.encode(m.Extended(0, b"l" * 60_000)))


def a_flood_of_requests(sock: socket.socket) -> None:
    shaken(sock)
    sock.sendall(m.encode(m.HaveNone()) + m.encode(m.Interested()))
    requests = m.encode_requests((0, at, 1) for at in range(10_000))
    while True:
        sock.sendall(requests)


def a_flood_of_messages(sock: socket.socket) -> None:
    shaken(sock)
    while True:
        sock.sendall(m.encode(m.Have(0)) * 1000)


def unrequested_blocks(sock: socket.socket) -> None:
    shaken(sock)
    sock.sendall(m.encode(m.HaveAll()))
    block = m.encode(m.Block(0, 0, 16384, 0, bytes(16384)))
    while True:
        sock.sendall(block)


ATTACKS: list[Attack] = [
    junk,
    half_a_handshake,
    half_an_encrypted_one,
    another_torrent,
    a_giant_message,
    a_bencode_bomb,
    a_flood_of_requests,
    a_flood_of_messages,
    unrequested_blocks,
]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A seed and a leecher."""
    made = Ends(make_tcp, MemoryTorrent(CONTENT, PIECE))
    yield made
    made.close()


@contextlib.contextmanager
def under_attack(addr: tuple[str, int], attack: Attack) -> Iterator[None]:
    """Strangers do ``attack``, connect again when they are disconnected, and so on."""
    stop = threading.Event()

    def keep_attacking() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError), socket.create_connection(addr, 5) as sock:
                sock.settimeout(1)
                attack(sock)

    threads = [threading.Thread(target=keep_attacking) for _ in range(STRANGERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_honest_peer_is_served_meanwhile(
    ends: Ends, attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(peer_thread, "log", lines.append)
    with under_attack(ends.peer.addr, attack):
        session = PlayedSession(ends.served.info)
        ends.fetch(session)
    assert session.data == CONTENT
    assert ends.observer.faults == [] and not [line for line in lines if "fault of this program" in line]


def test_connections_that_say_nothing_are_bounded(ends: Ends) -> None:
    with contextlib.ExitStack() as stack:
        socks = [
            stack.enter_context(socket.create_connection(ends.peer.addr, 5)) for _ in range(MAX_OPENING + 20)
        ]
        for sock in socks:
            sock.setblocking(False)

        def closed() -> int:
            count = 0
            for sock in socks:
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    count += sock.recv(1) == b""
            return count

        until(lambda: closed() >= 20)
