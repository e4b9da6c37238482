"""Which trackers a node speaks to, in which language: the classroom's, or BitTorrent's."""

from __future__ import annotations

import json
import queue
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common import bencode
from common.compact_peers import encode_peers
from common.errors import CommandError
from common.messages import OwnedFile
from common.metainfo import FileEntry, Metainfo
from node import events
from node.discovery.base import TcpListener, TransferTotals
from node.discovery.classroom import TrackerClient
from node.discovery.standard_announcer import StandardAnnouncer
from node.peer import FoundPeer, Peer
from node.settings import NodeSettings
from node.trackers import Trackers
from tests.node.discovery.pretend_trackers import PEERS, HttpServer, PretendUdpTracker, response, usual
from tests.waiting import until

PATIENCE = 20.0  # seconds
ADDR = ("127.0.0.1", 4001)
TCP = TcpListener(b"-CS0100-abcdefghijkl", "127.0.0.1", 7001)
HASH = b"H" * 20
COMPLETE = OwnedFile("x", HASH.hex(), 10, True)
ANNOUNCED = response(bencode.encode({b"interval": 900, b"peers": encode_peers(PEERS)}))


def classroom(sock: socket.socket, head: bytes) -> None:
    """A classroom tracker that answers every request, and 400 to an announce."""
    if head.startswith(b"GET"):
        sock.sendall(response(b"d14:failure reason2:noe", status="400 Bad Request"))
    else:
        fields = {"status": "ok", "interval": 100.0, "known": False, "search_result": []}
        sock.sendall(response(json.dumps(fields).encode()))


def standard(sock: socket.socket, head: bytes) -> None:
    """A standard tracker, which knows /announce only."""
    sock.sendall(
        ANNOUNCED if head.startswith(b"GET /announce") else response(b"what?", status="404 Not Found")
    )


class TrackerScene:
    """A node's trackers, and servers that they may ask."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.emitted: queue.Queue[events.Event] = queue.Queue()
        self.servers: list[HttpServer | PretendUdpTracker] = []
        self.made: list[Trackers] = []
        self.met: queue.Queue[Any] = queue.Queue()

    def http(self, talk: Callable[[socket.socket, bytes], None]) -> HttpServer:
        self.servers.append(HttpServer(talk))
        return self.servers[-1]

    def udp(self) -> PretendUdpTracker:
        self.servers.append(PretendUdpTracker(usual))
        return self.servers[-1]

    def enter(self, *own: HttpServer, node_id: int | None = 1, tcp: TcpListener | None = TCP) -> Trackers:
        urls = tuple(server.url.removesuffix("/announce") for server in own)
        settings = NodeSettings(node_id, self.folder, urls)
        self.made.append(
            Trackers(
                settings,
                lambda urls: [COMPLETE],
                self.emitted.put,
                lambda info_hash: TransferTotals(0, 0, 0),
                lambda info_hash, peers: self.met.put(peers),
            )
        )
        self.made[-1].enter(ADDR, tcp)
        return self.made[-1]

    def close(self) -> None:
        for trackers in self.made:
            trackers.leave()
        for server in self.servers:
            server.stop()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[TrackerScene]:
    scene = TrackerScene(tmp_path)
    yield scene
    scene.close()


def info_of(*tiers: list[HttpServer | PretendUdpTracker | str], private: bool = False) -> Metainfo:
    urls = tuple(tuple(each if isinstance(each, str) else each.url for each in tier) for tier in tiers)
    first = urls[0][0] if urls else ""
    files = (FileEntry(("x",), 10),)
    return Metainfo("x", files, 16384, b"p" * 20, HASH, first, b"", private=private, tiers=urls)


def gets(server: HttpServer) -> list[bytes]:
    return [request for request in server.requests if request.startswith(b"GET")]


def announce(trackers: Trackers, info: Metainfo) -> None:
    for announcer in trackers.of(info):
        announcer.announce(COMPLETE)
        announcer.flush(PATIENCE)


def test_a_standard_peer_asks_standard_trackers_only(scene: TrackerScene) -> None:
    http, udp = scene.http(standard), scene.udp()
    trackers = scene.enter(node_id=None)
    announce(trackers, info_of([http], [udp], ["wss://127.0.0.1:1"]))
    assert [request[:14] for request in http.requests] == [b"GET /announce?"]
    assert len(udp.announces()) == 1
    assert [row.url for row in trackers.statuses()] == [http.url, udp.url]
    assert scene.met.get(timeout=PATIENCE) == [
        FoundPeer(Peer(*addr, "tcp"), complete=False) for addr in PEERS
    ]
    with pytest.raises(CommandError):
        trackers.own  # noqa: B018
    trackers.leave()
    assert b"event=stopped" in http.requests[-1]
    assert udp.announces()[-1].event.name == "STOPPED"
    assert all(request.startswith(b"GET") for request in http.requests)


def test_a_classroom_tracker_gets_no_announce_not_even_over_udp(scene: TrackerScene) -> None:
    own = scene.http(classroom)
    trackers = scene.enter(own)
    udp_of_own = f"udp://localhost:{own.port}/announce"
    announce(trackers, info_of([own], [udp_of_own]))
    trackers.leave()
    assert gets(own) == []
    assert scene.emitted.empty()


def test_a_tracker_that_knows_no_classroom_gets_announces(scene: TrackerScene) -> None:
    own, other = scene.http(classroom), scene.http(standard)
    trackers = scene.enter(own)
    announce(trackers, info_of([own], [other]))
    until(lambda: len(gets(other)) == 1)
    assert gets(own) == []
    assert [request[:5] for request in other.requests] == [b"POST ", b"GET /"]
    until(lambda: [row.url for row in trackers.statuses()] == [trackers.own.client.url, other.url])
    assert scene.emitted.empty()


def test_the_users_own_tracker_may_be_a_standard_one(scene: TrackerScene) -> None:
    own = scene.http(standard)
    trackers = scene.enter(own)
    lost = scene.emitted.get(timeout=PATIENCE)
    assert isinstance(lost, events.TrackerLost)
    assert "does not answer as a classroom tracker does (HTTP status 404" in lost.reason
    announce(trackers, info_of([own]))
    until(lambda: len(gets(own)) == 1)
    assert [row.url for row in trackers.statuses()] == [own.url]


def test_other_addresses_of_the_own_tracker_in_its_tier_are_not_asked(scene: TrackerScene) -> None:
    own, same = scene.http(classroom), scene.http(standard)
    trackers = scene.enter(own)
    announce(trackers, info_of([own, same]))
    assert same.requests == []


def test_without_a_tcp_listener_nothing_is_announced(scene: TrackerScene) -> None:
    own, udp = scene.http(classroom), scene.udp()
    trackers = scene.enter(own, tcp=None)
    assert trackers.of(info_of([own], [udp])) == [trackers.own]
    assert b"tcp_port" not in own.requests[0]


def test_register_and_need_carry_the_tcp_port(scene: TrackerScene) -> None:
    bodies: list[dict[str, Any]] = []
    entries = [
        [{"node_id": 2, "addr": ["127.0.0.1", 5], "tcp_port": 6, "complete": True}, 3],
        [{"node_id": 3, "addr": ["127.0.0.1", 7], "complete": False}, 0],
        [
            {
                "node_id": None,
                "addr": ["127.0.0.9", 8],
                "transport": "tcp",
                "complete": False,
                "peer_id": "ab" * 20,
            },
            0,
        ],
    ]

    def talk(sock: socket.socket, head: bytes) -> None:
        head, _, body = head.partition(b"\r\n\r\n")
        while not body.endswith(b"}"):
            body += sock.recv(65536)
        bodies.append(json.loads(body))
        fields = {"status": "ok", "interval": 100.0, "known": False, "search_result": entries}
        sock.sendall(response(json.dumps(fields).encode()))

    own = scene.http(talk)
    (tracker,) = scene.enter(own).of(info_of([own]))
    assert isinstance(tracker.client, TrackerClient)
    found: list[FoundPeer] = []
    tracker.client.find(info_of([own]), found.extend)
    assert bodies[0]["tcp_port"] == 7001
    (need,) = [body for body in bodies if body["mode"] == 2][:1]
    assert need["transports"] == ["udp", "tcp"]
    assert [(each.peer, each.peer.node_id, each.complete) for each in found] == [
        (Peer("127.0.0.1", 5, "udp"), 2, True),
        (Peer("127.0.0.1", 6, "tcp"), 2, True),
        (Peer("127.0.0.1", 7, "udp"), 3, False),
        (Peer("127.0.0.9", 8, "tcp"), None, False),
    ]
    tracker.announce(COMPLETE)
    assert tracker.flush(PATIENCE)
    owns = [body for body in bodies if body["mode"] == 1]
    assert owns[-1]["tcp_port"] == 7001
    assert scene.met.get(timeout=PATIENCE) == [FoundPeer(Peer("127.0.0.9", 8, "tcp"), complete=False)]


def test_a_private_torrent_is_announced_to_its_own_trackers_only(scene: TrackerScene) -> None:
    own, udp = scene.http(classroom), scene.udp()
    trackers = scene.enter(own)
    announcers = trackers.of(info_of([udp], private=True))
    assert [type(each) for each in announcers] == [StandardAnnouncer]
    with pytest.raises(CommandError, match="x is private, and names no tracker that this node can ask"):
        trackers.of(info_of(["wss://127.0.0.1:1"], private=True))


def test_a_torrent_that_is_fetched_twice_keeps_its_announcer(scene: TrackerScene) -> None:
    udp = scene.udp()
    trackers = scene.enter(node_id=None)
    (first,) = trackers.of(info_of([udp]))
    assert trackers.of(info_of([udp])) == [first]
    announce(trackers, info_of([udp]))
    trackers.withdraw(COMPLETE)
    until(lambda: [each.event.name for each in udp.announces()] == ["STARTED", "STOPPED"])
    announce(trackers, info_of([udp], [scene.udp()]))
    until(lambda: [each.event.name for each in udp.announces()] == ["STARTED", "STOPPED", "STARTED"])
