"""Connections between TCP transports: one for each peer, found at its address, ended with a reason."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from common.bitfield import Bitfield
from common.errors import PeerFault
from common.peer_id import new_peer_id
from node.peer import FoundPeer, Peer
from node.peer_tcp import peer_table, transport
from node.peer_tcp.choke_rounds import ChokeRounds
from node.peer_tcp.config import Encryption
from node.peer_tcp.peer_thread import PeerThread
from node.peer_tcp.transport import TcpTransport
from node.transport import ServedTorrent
from simulator.served import MemoryTorrent
from tests.node.test_transport_contract import CONTENT, INFO_HASH, PATIENCE, PIECE, FoundPeers, PlayedSession
from tests.waiting import until

Make = Callable[..., "End"]


class End:
    """A node with a TCP transport, and one torrent."""

    def __init__(self, host: str, complete: bool, **options: object) -> None:
        self.torrent = MemoryTorrent(CONTENT, PIECE)
        if not complete:
            self.torrent.have = Bitfield(self.torrent.have.size)
        self.observer = FoundPeers()
        self.torrents: dict[bytes, ServedTorrent] = {INFO_HASH: self.torrent}
        self.transport = TcpTransport(new_peer_id(), host, **options)  # type: ignore[arg-type]
        self.transport.start(self.torrents, self.observer)

    @property
    def peer(self) -> Peer:
        return Peer(*self.transport.addr, "tcp")

    @property
    def connections(self) -> int:
        return len(self.transport._table.of(INFO_HASH))

    def fetch(self, other: Peer, session: PlayedSession | None = None) -> PlayedSession:
        session = session or PlayedSession(self.torrent.info)
        self.transport.connect(other, self.torrent.info, session).run()
        return session


@pytest.fixture
def end() -> Iterator[Make]:
    """``end(complete)``: a node on an address of its own."""
    made: list[End] = []

    def make(complete: bool = False, **options: object) -> End:
        made.append(End(f"127.0.5.{len(made) + 1}", complete, **options))
        return made[-1]

    yield make
    for each in made:
        each.transport.stop()
    assert [fault for each in made for fault in each.observer.faults] == []


def call(leecher: End, seed: End) -> None:
    """The seed hears of the leecher."""
    seed.transport.meet(INFO_HASH, [FoundPeer(leecher.peer, complete=False)])


def test_a_connection_serves_and_fetches_at_once(end: Make) -> None:
    """Each of two leechers has half of the pieces."""
    left, right = end(), end()
    for piece in range(left.torrent.have.size):
        (left if piece % 2 else right).torrent.have.set(piece)
    wants = {id(left): range(0, left.torrent.have.size, 2), id(right): range(1, left.torrent.have.size, 2)}
    sessions = {key: PlayedSession(left.torrent.info, pieces) for key, pieces in wants.items()}
    other = threading.Thread(target=lambda: right.fetch(left.peer, sessions[id(right)]))
    call(left, right)
    assert left.observer.found.wait(PATIENCE)
    other.start()
    left.fetch(right.peer, sessions[id(left)])
    other.join(PATIENCE)
    assert all(not session.missing for session in sessions.values())
    assert left.connections == right.connections == 1, "both directions used one connection"


def test_a_peer_that_connected_is_reported_at_its_listening_port_and_used(end: Make) -> None:
    leecher, seed = end(), end(complete=True)
    call(leecher, seed)
    assert leecher.observer.found.wait(PATIENCE)
    assert leecher.observer.peers == [(INFO_HASH, FoundPeer(seed.peer, complete=True))]
    assert leecher.transport.clients() == {seed.peer.addr: "classroom-swarm"}
    assert leecher.fetch(seed.peer).data == CONTENT
    assert leecher.connections <= 1


def test_a_seed_dials_no_seed(end: Make) -> None:
    seed, other = end(complete=True), end(complete=True)
    seed.transport.meet(INFO_HASH, [FoundPeer(other.peer, complete=True)])
    assert seed.transport._table.all() == []


def test_two_seeds_do_not_stay_connected(end: Make) -> None:
    seed, other = end(complete=True), end(complete=True)
    with pytest.raises(PeerFault, match="it has everything, as we do|closed the connection"):
        seed.fetch(other.peer)
    until(lambda: seed.transport._table.all() == other.transport._table.all() == [])


def test_a_node_notices_that_it_dialled_itself(end: Make) -> None:
    alone = end()
    with pytest.raises(PeerFault, match="this node itself|before its handshake"):
        alone.fetch(alone.peer)


def test_a_second_connection_to_a_peer_is_refused_and_the_first_one_used(
    end: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer is dialled at an address that is not known to be the same peer's."""
    monkeypatch.setattr(peer_table, "SIMULTANEOUS", 0.0)
    leecher, seed = end(), end(complete=True)
    call(leecher, seed)
    until(lambda: leecher.connections == 1)
    seed_at_its_source = Peer(seed.peer.host, seed.peer.port, "tcp")
    thread = next(iter(leecher.transport._table.of(INFO_HASH)))
    until(lambda: thread.peer == seed_at_its_source)
    leecher.transport._table._by_addr.clear()  # as if the address were another one
    with pytest.raises(PeerFault, match="is connected already|before its handshake"):
        leecher.fetch(seed_at_its_source)
    assert leecher.fetch(seed_at_its_source).data == CONTENT, "the connection that was open"


def test_peers_that_dial_each_other_keep_one_connection(end: Make) -> None:
    left, right = end(), end()
    together = threading.Barrier(2)

    def dial(one: End, other: End) -> None:
        together.wait(PATIENCE)
        call(other, one)

    threads = [threading.Thread(target=dial, args=pair) for pair in ((left, right), (right, left))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    until(lambda: left.connections == right.connections == 1)
    until(lambda: len(left.transport._table.all()) == len(right.transport._table.all()) == 1)


def test_one_session_at_a_time_uses_a_connection(end: Make) -> None:
    leecher, seed = end(), end(complete=True)
    seed.torrent.have.clear(0)  # so that the first session waits
    first, second = PlayedSession(leecher.torrent.info), PlayedSession(leecher.torrent.info)
    thread = threading.Thread(target=lambda: leecher.fetch(seed.peer, first))
    thread.start()
    assert first.waits.wait(PATIENCE)
    with pytest.raises(PeerFault, match="the same peer is used"):
        leecher.fetch(seed.peer, second)
    first.end()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_the_connection_outlives_the_session_and_serves_the_next(end: Make) -> None:
    leecher, seed = end(), end(complete=True)
    assert leecher.fetch(seed.peer, PlayedSession(leecher.torrent.info, wanted=[3])).received.is_set()
    thread = next(iter(leecher.transport._table.of(INFO_HASH)))
    assert leecher.fetch(seed.peer).data == CONTENT
    assert leecher.transport._table.of(INFO_HASH) == [thread]


def test_the_number_of_connections_of_a_torrent_is_limited(end: Make) -> None:
    seed = end(complete=True, max_peers=2)
    leechers = [end() for _ in range(4)]
    for leecher in leechers:
        leecher.transport.meet(INFO_HASH, [FoundPeer(seed.peer, complete=False)])
    until(lambda: sum(bool(leecher.transport._table.all()) for leecher in leechers) == 2)
    assert seed.connections == 2


def test_accepted_connections_without_a_handshake_are_limited(
    end: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_table, "MAX_OPENING", 3)
    seed = end(complete=True)
    sockets = [socket.create_connection(seed.transport.addr, PATIENCE) for _ in range(5)]
    try:
        ended = [sock for sock in sockets[3:] if sock.recv(1) == b""]
        assert len(ended) == 2 and len(seed.transport._table.all()) == 3
    finally:
        for sock in sockets:
            sock.close()
    until(lambda: seed.transport._table.all() == [])
    leecher = end()
    assert leecher.fetch(seed.peer).data == CONTENT


def test_one_host_cannot_keep_other_peers_out(end: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_table, "MAX_OPENING_OF_HOST", 3)
    seed, leecher = end(complete=True), end()
    address, here = seed.transport.addr, ("127.0.5.77", 0)
    sockets = [socket.create_connection(address, PATIENCE, source_address=here) for _ in range(4)]
    try:
        assert sockets[3].recv(1) == b"", "closed"
        assert leecher.fetch(seed.peer).data == CONTENT
    finally:
        for sock in sockets:
            sock.close()


def test_the_first_wrong_byte_closes_the_connection(end: Make) -> None:
    seed = end(complete=True, encryption=Encryption.OFF)
    with socket.create_connection(seed.transport.addr, PATIENCE) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n")
        assert sock.recv(1) == b""


@pytest.mark.parametrize("theirs", Encryption)
@pytest.mark.parametrize("ours", Encryption)
def test_every_policy_on_encryption_with_every_other(end: Make, ours: Encryption, theirs: Encryption) -> None:
    leecher, seed = end(encryption=ours), end(complete=True, encryption=theirs)
    if {ours, theirs} == {Encryption.OFF, Encryption.REQUIRE}:
        with pytest.raises(PeerFault):
            leecher.fetch(seed.peer)
    else:
        assert leecher.fetch(seed.peer).data == CONTENT


def test_a_torrent_that_is_stopped_ends_its_connections(end: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    leecher, seed = end(), end(complete=True)
    leecher.fetch(seed.peer, PlayedSession(leecher.torrent.info, wanted=[3]))
    del seed.torrents[INFO_HASH]
    seed.transport._rounds.poke()
    until(lambda: seed.connections == leecher.connections == 0)


def test_a_connection_without_use_makes_room_for_one_to_fetch_over(end: Make) -> None:
    leecher, idle, seed = end(max_peers=1), end(), end(complete=True)
    call(leecher, idle)
    until(lambda: leecher.connections == 1)
    session = PlayedSession(leecher.torrent.info)
    connection = leecher.transport.connect(seed.peer, leecher.torrent.info, session)
    until(lambda: idle.connections == 0)  # before the session is attached
    connection.run()
    assert session.data == CONTENT


def test_uploads_of_ended_connections_stay_in_the_sums(end: Make) -> None:
    leecher, seed = end(), end(complete=True)
    leecher.fetch(seed.peer)
    leecher.transport.stop()
    until(lambda: seed.transport._table.all() == [])
    assert seed.transport.uploaded(INFO_HASH) == len(CONTENT)
    (row,) = seed.transport.uploads()
    assert row.client == "classroom-swarm"
    assert (row.peer, row.uploaded) == (leecher.peer, len(CONTENT))
    assert transport.MAX_ENDED > 0


def test_an_ended_connection_has_no_upload_rate(end: Make) -> None:
    leecher, seed = end(), end(complete=True)
    leecher.fetch(seed.peer, PlayedSession(leecher.torrent.info, wanted=[0, 1]))
    (thread,) = seed.transport._table.all()
    thread.rate = 3e6  # as measured while the pieces were sent
    leecher.transport.stop()
    until(lambda: seed.transport._table.all() == [])
    assert [row.rate for row in seed.transport.uploads()] == [0.0]


def test_the_upload_rate_of_an_idle_connection_becomes_zero(end: Make) -> None:
    leecher, seed = end(), end(complete=True)
    leecher.fetch(seed.peer, PlayedSession(leecher.torrent.info, wanted=[0, 1]))
    (thread,) = seed.transport._table.all()
    rounds = ChokeRounds(seed.transport._table, seed.torrents, None)
    seed.transport._rounds.stop()  # only the looks below measure
    thread.rate, rates = 3e6, []
    for now in range(1_000_000, 1_000_120):
        rounds.look(now, was_poked=False)
        rates.append(thread.rate)
    assert rates == sorted(rates, reverse=True) and rates[3] > 0.0
    assert rates[-1] == 0.0


def test_a_session_learns_in_words_why_nothing_comes(end: Make) -> None:
    leecher, seed = end(), end(complete=True)
    for piece in range(1, seed.torrent.have.size):
        seed.torrent.have.clear(piece)
    session = PlayedSession(leecher.torrent.info)
    thread = threading.Thread(target=lambda: leecher.fetch(seed.peer, session))
    thread.start()
    assert session.received.wait(PATIENCE)
    leecher.torrent.have = seed.torrent.have.copy()  # what the seed has is verified here
    until(lambda: session.statuses[-1:] == ["it has nothing that we need"])
    session.end()
    thread.join(PATIENCE)
    assert session.statuses[-3:] == ["it choked us", "", "it has nothing that we need"]


def test_a_banned_peer_is_let_go_and_refused(end: Make) -> None:
    leecher, seed = end(), end(complete=True)
    session = PlayedSession(leecher.torrent.info)
    take = session.on_data

    def on_data(offset: int, data: bytes | memoryview) -> None:
        take(offset, data)
        session.banned = True
        session.end()

    session.on_data = on_data  # type: ignore[method-assign]
    leecher.fetch(seed.peer, session)
    assert not session.owed
    until(lambda: leecher.transport._table.all() == seed.transport._table.all() == [])
    with pytest.raises(PeerFault, match="is banned|before its handshake"):
        leecher.fetch(seed.peer)


def test_a_session_may_end_while_its_peer_is_dialled(end: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    leecher, seed = end(), end(complete=True)
    dialled, answers = threading.Event(), threading.Event()

    def dial(peer: Peer, host: str) -> socket.socket:
        dialled.set()
        answers.wait(PATIENCE)
        raise PeerFault("does not answer")

    monkeypatch.setattr(transport, "dial", dial)
    session = PlayedSession(leecher.torrent.info)
    thread = threading.Thread(target=lambda: leecher.fetch(seed.peer, session))
    thread.start()
    assert dialled.wait(PATIENCE)
    session.end()
    thread.join(PATIENCE)
    assert not thread.is_alive() and not answers.is_set()
    answers.set()
    until(lambda: leecher.transport._table.all() == [])


@pytest.mark.parametrize("is_accepted", [False, True])
def test_a_node_may_stop_while_a_connection_starts(
    end: Make, monkeypatch: pytest.MonkeyPatch, is_accepted: bool
) -> None:
    seed = end(complete=True)
    starts, go, start = threading.Event(), threading.Event(), PeerThread.start
    faults: list[RuntimeError] = []

    def slow(thread: PeerThread) -> None:
        starts.set()
        assert go.wait(PATIENCE)
        start(thread)

    def stop() -> None:
        try:
            seed.transport.stop()
        except RuntimeError as fault:  # it cannot join a thread that is not started
            faults.append(fault)

    monkeypatch.setattr(PeerThread, "start", slow)
    with socket.create_server(("127.0.5.9", 0)) as server, socket.socket() as dialling:
        leecher = FoundPeer(Peer("127.0.5.9", server.getsockname()[1], "tcp"), complete=False)
        meeting = threading.Thread(target=lambda: seed.transport.meet(INFO_HASH, [leecher]))
        if is_accepted:
            dialling.connect(seed.transport.addr)
        else:
            meeting.start()
        assert starts.wait(PATIENCE)
        stopping = threading.Thread(target=stop)
        stopping.start()
        stopping.join(0.1)  # it waits for the start; a fault would have come by now
        go.set()
        stopping.join(PATIENCE)
        assert faults == []
        until(lambda: seed.transport._table.all() == [])


def test_a_node_that_has_stopped_dials_nobody(end: Make) -> None:
    leecher, seed = end(), end(complete=True)
    leecher.transport.stop()
    for _ in range(2):  # nor does the first attempt leave anything that the second one finds
        with pytest.raises(PeerFault, match="not needed"):
            leecher.fetch(seed.peer)
    assert leecher.transport._table.all() == []
