"""Torrents at standard trackers: announces to the trackers, and peers for the download."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import parse_qs, urlsplit

import pytest

from common import bencode
from common.addresses import Addr
from common.compact_peers import encode_peers
from common.errors import TrackerUnavailable
from common.messages import OwnedFile
from common.metainfo import FileEntry, Metainfo
from common.udp_tracker import AnnounceEvent, ConnectRequest, TrackerRequest
from node import events
from node.discovery.announce_url import parse_announce_url
from node.discovery.base import TcpListener, TransferTotals
from node.discovery.standard import StandardTrackers
from node.discovery.standard_announcer import StandardAnnouncer
from node.peer import FoundPeer, Peer
from tests.node.discovery.pretend_trackers import PEERS, HttpServer, PretendUdpTracker, Talk, response, usual
from tests.waiting import until

PATIENCE = 20.0  # seconds
OWN = TcpListener(b"-CS0100-abcdefghijkl", "127.0.0.1", 7001)
HASH = b"H" * 20
INFO = Metainfo("x", (FileEntry(("x",), 10),), 16384, b"p" * 20, HASH, "", b"")
PARTIAL, COMPLETE = OwnedFile("x", HASH.hex(), 10, False), OwnedFile("x", HASH.hex(), 10, True)


def body(peers: Sequence[Addr] = PEERS, interval: int = 900, minimum: int = 60) -> bytes:
    return response(
        bencode.encode({b"interval": interval, b"min interval": minimum, b"peers": encode_peers(peers)})
    )


class TorrentAtTrackers:
    """A node's standard trackers and one torrent; ``emitted`` and ``seen`` queue events and peers."""

    def __init__(self) -> None:
        self.emitted: queue.Queue[events.Event] = queue.Queue()
        self.seen: queue.Queue[tuple[bytes, Sequence[FoundPeer]]] = queue.Queue()
        self.found: queue.Queue[Sequence[FoundPeer]] = queue.Queue()
        self.totals = TransferTotals(1, 2, 10)
        self.servers: list[HttpServer | PretendUdpTracker] = []
        self.trackers = StandardTrackers(OWN, self.emitted.put, lambda *found: self.seen.put(found))

    def http(self, talk: Talk | bytes) -> HttpServer:
        self.servers.append(HttpServer(talk))
        return self.servers[-1]

    def udp(self, answer: Callable[[TrackerRequest], list[bytes]] = usual) -> PretendUdpTracker:
        self.servers.append(PretendUdpTracker(answer))
        return self.servers[-1]

    def announcer(
        self, *tiers: Sequence[HttpServer | PretendUdpTracker], info_hash: bytes = HASH
    ) -> StandardAnnouncer:
        urls = [[parse_announce_url(server.url) for server in tier] for tier in tiers]
        return self.trackers.announcer(info_hash, urls, lambda: self.totals)

    def close(self) -> None:
        self.trackers.leave(PATIENCE)
        for server in self.servers:
            server.stop()


@pytest.fixture
def swarm() -> Iterator[TorrentAtTrackers]:
    swarm = TorrentAtTrackers()
    yield swarm
    swarm.close()


def fields_of(request: bytes) -> dict[str, str]:
    query = urlsplit(request.split(b" ")[1].decode()).query
    return {name: value for name, (value,) in parse_qs(query, encoding="latin-1").items()}


def sent_events(server: HttpServer | PretendUdpTracker) -> list[str]:
    if isinstance(server, PretendUdpTracker):
        return [request.event.name.lower() for request in server.announces()]
    return [fields_of(request).get("event", "none") for request in server.requests]


def test_a_download_announces_and_finds_the_peers_of_all_tiers(swarm: TorrentAtTrackers) -> None:
    other = ("10.0.0.3", 3)
    http, udp = swarm.http(body([other, ("127.0.0.1", 7001)])), swarm.udp()
    announcer = swarm.announcer([http], [udp])
    announcer.find(INFO, swarm.found.put)
    wanted = {FoundPeer(Peer(*addr, transport="tcp")) for addr in (*PEERS, other)}
    found: Sequence[FoundPeer] = ()
    while set(found) != wanted:  # this node is never among them
        found = swarm.found.get(timeout=PATIENCE)
        assert set(found) <= wanted
    assert announcer.answers
    fields = fields_of(http.requests[0])
    assert (fields["uploaded"], fields["downloaded"], fields["left"]) == ("1", "2", "10")
    assert (fields["event"], fields["port"], fields["peer_id"]) == ("started", "7001", OWN.peer_id.decode())
    assert int(fields["key"], 16) == udp.announces()[0].key
    assert udp.announces()[0].left == 10
    assert swarm.seen.empty()  # for seeds


def test_a_second_search_within_the_minimum_interval_returns_the_last_answer(
    swarm: TorrentAtTrackers,
) -> None:
    http = swarm.http(body())
    announcer = swarm.announcer([http])
    for _ in range(3):
        announcer.find(INFO, swarm.found.put)
        assert [each.peer.addr for each in swarm.found.get(timeout=PATIENCE)] == list(PEERS)
    assert len(http.requests) == 1


def test_regular_announces_bring_later_peers(swarm: TorrentAtTrackers) -> None:
    answers = itertools.chain([body([], 1, 1)], itertools.repeat(body([PEERS[0]])))
    http = swarm.http(lambda sock, _: sock.sendall(next(answers)))
    swarm.announcer([http]).find(INFO, swarm.found.put)
    assert swarm.found.get(timeout=PATIENCE) == []
    assert [each.peer.addr for each in swarm.found.get(timeout=PATIENCE)] == [PEERS[0]]
    assert sent_events(http) == ["started", "none"]


def test_completed_and_stopped_are_sent_over_http_and_udp(swarm: TorrentAtTrackers) -> None:
    http, udp = swarm.http(body()), swarm.udp()
    announcer = swarm.announcer([http], [udp])
    announcer.find(INFO, swarm.found.put)
    assert announcer.flush(PATIENCE)
    announcer.announce(PARTIAL)
    swarm.totals = TransferTotals(1, 12, 0)
    announcer.announce(COMPLETE)
    assert announcer.flush(PATIENCE)
    announcer.announce(COMPLETE)
    assert announcer.flush(PATIENCE)
    began = time.monotonic()
    swarm.trackers.leave(PATIENCE)
    assert time.monotonic() - began < PATIENCE / 2
    for server in (http, udp):
        assert sent_events(server) == ["started", "completed", "stopped"]
    assert fields_of(http.requests[-1])["numwant"] == "0"
    assert fields_of(http.requests[1])["left"] == "0"


def test_a_seed_says_started_and_never_completed(swarm: TorrentAtTrackers) -> None:
    swarm.totals = TransferTotals(0, 0, 0)
    udp = swarm.udp()
    announcer = swarm.announcer([udp])
    announcer.announce(COMPLETE)
    assert announcer.flush(PATIENCE)
    _, peers = swarm.seen.get(timeout=PATIENCE)  # a seed connects to the leechers that a tracker names
    assert [(each.peer.addr, each.complete) for each in peers] == [(addr, False) for addr in PEERS]
    announcer.withdraw(COMPLETE)
    until(lambda: sent_events(udp) == ["started", "stopped"])


def test_a_tier_fails_over_and_the_user_is_told_once(swarm: TorrentAtTrackers) -> None:
    broken, working = swarm.http(b""), swarm.http(body())
    announcers = [swarm.announcer([broken], [broken, working], info_hash=bytes([i]) * 20) for i in range(3)]
    for announcer in announcers:
        announcer.find(INFO, swarm.found.put)
        assert announcer.flush(PATIENCE)
    lost = swarm.emitted.get(timeout=PATIENCE)
    assert isinstance(lost, events.TrackerLost)
    assert (lost.url, lost.refuses) == (broken.url, False)
    assert swarm.emitted.empty()
    rows = announcers[0].statuses()
    assert [row.state for row in rows] == ["does not answer", "answers"]
    assert (rows[0].url, rows[1].url) == (broken.url, working.url)
    assert "does not answer" in rows[0].reason


def test_a_refusal_is_told_for_each_torrent_and_ended_by_an_answer(swarm: TorrentAtTrackers) -> None:
    refusal = response(bencode.encode({b"failure reason": b"unregistered", b"retry in": 7}))
    refusing = swarm.http(refusal)
    first = swarm.announcer([refusing])
    with pytest.raises(TrackerUnavailable, match="refuses: unregistered"):
        first.find(INFO, swarm.found.put)
    lost = swarm.emitted.get(timeout=PATIENCE)
    assert isinstance(lost, events.TrackerLost)
    assert lost.refuses
    assert first.statuses()[0].state == "refuses"


def test_without_any_answer_a_search_says_why(swarm: TorrentAtTrackers) -> None:
    announcer = swarm.announcer([swarm.http(b"")], [swarm.http(response(b"<html>"))])
    with pytest.raises(TrackerUnavailable, match="connection lost") as caught:
        announcer.find(INFO, swarm.found.put)
    assert "not bencoded" in str(caught.value)
    assert not announcer.answers


def test_stopped_waits_for_a_started_under_way_and_the_end_for_neither(swarm: TorrentAtTrackers) -> None:
    over = threading.Event()
    hanging, udp = swarm.http(lambda *_: over.wait(PATIENCE) and None), swarm.udp()
    announcer = swarm.announcer([hanging], [udp])
    announcer.announce(PARTIAL)
    until(lambda: bool(hanging.requests and udp.announces()))
    began = time.monotonic()
    swarm.trackers.leave(1.0)
    assert time.monotonic() - began < 5.0
    assert sent_events(udp) == ["started", "stopped"]
    over.set()  # so that nothing waits for the tracker any more


def test_stopped_over_udp_survives_a_lost_packet(swarm: TorrentAtTrackers) -> None:
    def lossy(request: TrackerRequest) -> list[bytes]:
        is_stopped = not isinstance(request, ConnectRequest) and request.event is AnnounceEvent.STOPPED  # type: ignore[union-attr]
        return [] if is_stopped and udp.requests.count(request) == 1 else usual(request)

    udp = swarm.udp(lossy)
    announcer = swarm.announcer([udp])
    announcer.announce(COMPLETE)
    assert announcer.flush(PATIENCE)
    swarm.trackers.leave(PATIENCE)
    assert sent_events(udp) == ["started", "stopped", "stopped"]


def test_many_torrents_leave_together(swarm: TorrentAtTrackers) -> None:
    udp = swarm.udp()
    announcers = [swarm.announcer([udp], info_hash=bytes([i]) * 20) for i in range(50)]
    for announcer in announcers:
        announcer.announce(COMPLETE)
    for announcer in announcers:
        assert announcer.flush(PATIENCE)
    swarm.trackers.leave(PATIENCE)
    assert sent_events(udp).count("stopped") == 50
    assert sum(isinstance(request, ConnectRequest) for request in udp.requests) == 1
    assert len(udp.clients) == 1


def test_a_tracker_that_is_held_is_asked_once_it_is_let_in(swarm: TorrentAtTrackers) -> None:
    http = swarm.http(body())
    announcer = swarm.announcer([http])
    announcer.plan.hold(lambda url: True, 0.0)
    with pytest.raises(TrackerUnavailable, match="not known yet which protocol"):
        announcer.find(INFO, swarm.found.put)
    assert announcer.statuses() == []
    swarm.trackers.hold(lambda url: False)
    assert [each.peer.addr for each in swarm.found.get(timeout=PATIENCE)] == list(PEERS)
    assert sent_events(http) == ["started"]


def test_an_announce_that_breaks_here_ends_as_a_failure(
    swarm: TorrentAtTrackers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    announcer = swarm.announcer([swarm.http(body())])
    monkeypatch.setattr(swarm.trackers, "send", broken)
    with pytest.raises(TrackerUnavailable, match="ZeroDivisionError"):
        announcer.find(INFO, swarm.found.put)


def test_no_thread_is_left(swarm: TorrentAtTrackers) -> None:
    swarm.announcer([swarm.udp()]).find(INFO, swarm.found.put)
    swarm.trackers.leave(PATIENCE)
    until(lambda: not {"announces", "udp-trackers"} & {thread.name for thread in threading.enumerate()})
