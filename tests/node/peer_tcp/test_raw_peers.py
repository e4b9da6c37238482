"""A transport against peers that are written out byte by byte: what real clients do, and what none should."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from common.bitfield import Bitfield
from common.errors import PeerFault
from node.peer import Peer
from node.peer_tcp import messages as m
from node.peer_tcp.decoder import MessageDecoder
from node.peer_tcp.handshake import HANDSHAKE_SIZE, Handshake, encode_handshake
from node.peer_tcp.transport import TcpTransport
from simulator.served import MemoryTorrent
from tests.node.test_transport_contract import PlayedSession

OWN_ID, PEER_ID = b"-CS0100-ownownownown", b"-XX0100-peerpeerpeer"
CONTENT = bytes(range(256)) * 1024
PATIENCE = 20.0  # seconds


class RawPeer:
    """The other end of a connection, message by message."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        self.sock = sock
        self._decoder = MessageDecoder()
        self._messages: list[m.WireMessage] = []

    def shake(self, info_hash: bytes, peer_id: bytes = PEER_ID, fast: bool = False) -> None:
        """Exchange handshakes, without extensions."""
        self.sock.sendall(encode_handshake(Handshake(info_hash, peer_id, fast=fast, extended=False)))
        handshake = b""
        while len(handshake) < HANDSHAKE_SIZE:
            handshake += self._receive(HANDSHAKE_SIZE - len(handshake))

    def send(self, *messages: m.WireMessage) -> None:
        self.sock.sendall(b"".join(map(m.encode, messages)))

    def next(self) -> m.WireMessage:
        """The next message; EOFError once the connection is closed."""
        while not self._messages:
            for message in m.one_by_one(self._decoder.messages(self._receive(1 << 16))):
                if isinstance(message, m.Block):
                    message = message._replace(data=bytes(message.data))
                self._messages.append(message)
        return self._messages.pop(0)

    def wait_for(self, kind: type[m.WireMessage]) -> m.WireMessage:
        while type(message := self.next()) is not kind:
            pass
        return message

    def is_closed(self) -> bool:
        """True once the other end closed; whatever it sends before is skipped."""
        with contextlib.suppress(ConnectionError):
            while self.sock.recv(1 << 16):
                pass
        return True

    def _receive(self, size: int) -> bytes:
        data = self.sock.recv(size)
        if not data:
            raise EOFError
        return data


Dialled = tuple[RawPeer, PlayedSession, "queue.Queue[PeerFault | None]"]


def torrent(complete: bool) -> MemoryTorrent:
    made = MemoryTorrent(CONTENT)
    if not complete:
        made.have = Bitfield(made.info.geometry.piece_count)
    return made


@contextlib.contextmanager
def transport_of(served: MemoryTorrent) -> Iterator[TcpTransport]:
    made = TcpTransport(OWN_ID, "127.0.0.1")
    made.start({served.info.info_hash: served}, Mock())
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def dialled() -> Iterator[Dialled]:
    """A peer that a download has dialled, the download's session, and how it ended."""
    wanted, ends = torrent(complete=False), queue.Queue[PeerFault | None]()
    with transport_of(wanted) as transport, socket.create_server(("127.0.0.1", 0)) as server:
        session = PlayedSession(wanted.info)
        host, port = server.getsockname()
        connection = transport.connect(Peer(host, port, "tcp"), wanted.info, session)

        def run() -> None:
            try:
                connection.run()
                ends.put(None)
            except PeerFault as fault:
                ends.put(fault)

        thread = threading.Thread(target=run)
        thread.start()
        server.settimeout(PATIENCE)
        sock, _ = server.accept()
        with sock:
            yield RawPeer(sock), session, ends
        session.end()
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.fixture
def accepted() -> Iterator[RawPeer]:
    """A peer that dialled a seed."""
    with transport_of(torrent(complete=True)) as transport, socket.create_connection(transport.addr) as sock:
        yield RawPeer(sock)


INFO_HASH = torrent(complete=True).info.info_hash
ALL = m.PieceSet(Bitfield.full(4).to_bytes())


def test_pieces_that_are_named_after_the_handshake_make_us_interested_at_once(dialled: Dialled) -> None:
    peer, session, _ = dialled
    peer.shake(INFO_HASH)
    session.waits.wait(0.01)  # the transport has seen the handshake alone
    peer.send(ALL)
    assert peer.next() == m.Interested()


def test_a_have_makes_us_interested_at_once(dialled: Dialled) -> None:
    peer, _, _ = dialled
    peer.shake(INFO_HASH)
    peer.send(m.PieceSet(b"\0"))
    peer.send(m.Have(2))
    assert peer.next() == m.Interested()
    peer.send(m.Unchoke())
    request = peer.next()
    assert isinstance(request, m.BlockRequest) and request.piece == 2


def test_a_download_from_a_peer_that_sends_in_reverse_order(dialled: Dialled) -> None:
    peer, session, _ = dialled
    peer.shake(INFO_HASH)
    peer.send(ALL, m.Unchoke(), m.Unchoke())
    peer.wait_for(m.Interested)
    requests = [peer.wait_for(m.BlockRequest) for _ in range(16)]
    for request in reversed(requests):
        assert isinstance(request, m.BlockRequest)
        start = request.piece * 65536 + request.begin
        peer.send(m.Block(*request, 0, CONTENT[start : start + request.length]))
    assert peer.next() == m.NotInterested() or peer.is_closed()
    assert bytes(session.data) == CONTENT


def test_what_was_not_sent_comes_back_when_the_peer_goes(dialled: Dialled) -> None:
    peer, session, ends = dialled
    peer.shake(INFO_HASH)
    peer.send(ALL, m.Unchoke())
    request = peer.wait_for(m.BlockRequest)
    assert isinstance(request, m.BlockRequest)
    data = m.encode(m.Block(*request, 0, CONTENT[: request.length]))
    peer.sock.sendall(data[:1013])
    assert session.received.wait(PATIENCE)
    peer.sock.close()
    assert isinstance(ends.get(timeout=PATIENCE), PeerFault) and not session.owed
    assert session.todo.total == len(CONTENT) - 1000


def test_a_peer_of_another_torrent_is_closed(dialled: Dialled) -> None:
    peer, _, ends = dialled
    peer.sock.sendall(encode_handshake(Handshake(b"u" * 20, PEER_ID)))
    assert peer.is_closed()
    assert "another torrent" in str(ends.get(timeout=PATIENCE))


def test_a_leecher_gets_blocks_and_rejects(accepted: RawPeer) -> None:
    accepted.shake(INFO_HASH, fast=True)
    accepted.send(m.HaveNone(), m.Interested())
    assert accepted.next() == m.HaveAll()
    accepted.wait_for(m.Unchoke)
    accepted.send(m.BlockRequest(1, 5, 70_000 - 65_536), m.BlockRequest(3, 0, 16384))
    assert accepted.wait_for(m.Block)[:3] == (1, 5, 4464)  # type: ignore[index]
    block = accepted.next()
    assert isinstance(block, m.Block) and block.length == 16384


def test_a_choked_leecher_that_is_not_interested_is_not_unchoked(accepted: RawPeer) -> None:
    accepted.shake(INFO_HASH)
    accepted.send(m.BlockRequest(0, 0, 16384), m.Interested())
    assert accepted.next() == m.PieceSet(b"\xf0")
    assert accepted.next() == m.Unchoke()
    accepted.send(m.BlockRequest(0, 0, 16384))
    assert isinstance(accepted.next(), m.Block)


@pytest.mark.parametrize(
    "junk",
    [
        b"\xff\xff\xff\xff\xff",
        m.encode(m.BlockRequest(4, 0, 1)),
        m.encode(m.BlockRequest(0, 0, 1 << 20)),
        m.encode(m.Interested()) + m.encode(ALL),
        m.encode(m.HaveAll()),
        b"\0\0\0\2\5\xff",
    ],
)
def test_bad_messages_close(accepted: RawPeer, junk: bytes) -> None:
    accepted.shake(INFO_HASH)
    accepted.sock.sendall(junk)
    assert accepted.is_closed()


def test_junk_instead_of_a_handshake_closes(accepted: RawPeer) -> None:
    accepted.sock.sendall(b"GET / HTTP/1.1\r\n" * 50)
    assert accepted.is_closed()


def test_a_second_connection_of_a_peer_is_closed(accepted: RawPeer) -> None:
    accepted.shake(INFO_HASH)
    accepted.next()
    with socket.create_connection(accepted.sock.getpeername()) as sock:
        second = RawPeer(sock)
        sock.sendall(encode_handshake(Handshake(INFO_HASH, PEER_ID)))
        assert second.is_closed()
    accepted.send(m.Interested())
    assert accepted.next() == m.Unchoke()


def test_a_connection_to_itself_is_closed(accepted: RawPeer) -> None:
    accepted.sock.sendall(encode_handshake(Handshake(INFO_HASH, OWN_ID)))
    assert accepted.is_closed()


def test_a_peer_that_asks_and_never_reads_is_not_read_without_end(accepted: RawPeer) -> None:
    accepted.shake(INFO_HASH, fast=True)
    accepted.send(m.HaveNone(), m.Interested())
    accepted.wait_for(m.Unchoke)
    requests = m.encode_requests((piece, at, 16384) for piece in range(4) for at in range(0, 65536, 16384))
    accepted.sock.settimeout(0.5)
    with pytest.raises((TimeoutError, ConnectionError)):
        for _ in range(1_000_000):
            accepted.sock.sendall(requests)
