"""Announces over UDP: real sockets, and trackers that are right, silent, wrong or gone."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from common.compact_peers import encode_peers
from common.errors import TrackerRefused, TrackerUnavailable
from common.udp_tracker import (
    AnnounceAnswer,
    AnnounceEvent,
    AnnounceRequest,
    ConnectAnswer,
    ConnectRequest,
    ErrorAnswer,
    TrackerRequest,
)
from node.discovery.announce import AnnounceParams, AnnounceResult
from node.discovery.announce_url import parse_announce_url
from node.discovery.base import TransferTotals
from node.discovery.udp_tracker import UdpTrackerClient
from tests.node.discovery.pretend_trackers import PEERS, Answer, PretendUdpTracker, usual

PATIENCE = 20.0  # seconds
PARAMS = AnnounceParams(
    b"H" * 20, b"-CS0100-abcdefghijkl", 6881, TransferTotals(1, 2, 2**70), AnnounceEvent.STARTED, 7
)
Serve = Callable[..., PretendUdpTracker]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[PretendUdpTracker] = []

    def make(answer: Answer = usual, host: str = "127.0.0.1", port: int = 0) -> PretendUdpTracker:
        servers.append(PretendUdpTracker(answer, host, port))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def client() -> Iterator[UdpTrackerClient]:
    client = UdpTrackerClient()
    yield client
    client.close()


def announce(
    client: UdpTrackerClient, url: str, timeout: float = PATIENCE, urgent: bool = False
) -> AnnounceResult:
    return client.announce(parse_announce_url(url), PARAMS, timeout, urgent)


def test_an_announce_and_its_answer(serve: Serve, client: UdpTrackerClient) -> None:
    server = serve()
    result = announce(client, server.url)
    assert result == AnnounceResult(PEERS, 900.0, 30.0, 2, 1)
    (request,) = server.announces()
    assert (request.connection_id, request.info_hash, request.peer_id) == (
        77,
        PARAMS.info_hash,
        PARAMS.peer_id,
    )
    assert (request.uploaded, request.downloaded, request.left) == (1, 2, 2**64 - 1)
    assert (request.event, request.key, request.port) == (AnnounceEvent.STARTED, 7, 6881)
    assert (request.num_want, request.url_data) == (100, b"")


def test_torrents_share_the_connection_and_its_port(serve: Serve, client: UdpTrackerClient) -> None:
    server = serve()
    for _ in range(3):
        announce(client, server.url)
    assert sum(isinstance(request, ConnectRequest) for request in server.requests) == 1
    assert len(server.announces()) == 3
    assert len(server.clients) == 1


def test_many_announces_at_a_time(serve: Serve, client: UdpTrackerClient) -> None:
    server = serve()
    threads = [threading.Thread(target=announce, args=(client, server.url)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(server.announces()) == 20
    assert len({request.transaction_id for request in server.requests}) == len(server.requests)


def test_a_path_of_its_own_goes_along(serve: Serve, client: UdpTrackerClient) -> None:
    server = serve()
    announce(client, server.url + "?passkey=1")
    assert server.announces()[0].url_data == b"/announce?passkey=1"


def test_the_tracker_sees_the_address_where_this_peer_listens(serve: Serve) -> None:
    server = serve()
    client = UdpTrackerClient("127.0.0.3")
    announce(client, server.url)
    client.close()
    assert {host for host, _ in server.clients} == {"127.0.0.3"}


def test_an_answer_of_another_address_is_not_received(serve: Serve, client: UdpTrackerClient) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:

        def forged_first(request: TrackerRequest) -> list[bytes]:
            for addr in server.clients:
                if isinstance(request, AnnounceRequest):
                    forger.sendto(ErrorAnswer(request.transaction_id, "forged").encode(), addr)
                else:
                    forger.sendto(ConnectAnswer(request.transaction_id, 66).encode(), addr)
            return usual(request)

        server = serve(forged_first)
        assert announce(client, server.url).peers == PEERS
    assert server.announces()[0].connection_id == 77


def test_a_tracker_that_restarted_is_connected_to_again_at_once(
    serve: Serve, client: UdpTrackerClient
) -> None:
    ids = {"valid": 1}

    def restarted(request: TrackerRequest) -> list[bytes]:
        if isinstance(request, ConnectRequest):
            return [ConnectAnswer(request.transaction_id, ids["valid"]).encode()]
        if request.connection_id != ids["valid"]:
            return [ErrorAnswer(request.transaction_id, "Connection ID missmatch.").encode()]
        return usual(request)

    server = serve(restarted)
    announce(client, server.url)
    ids["valid"] = 2
    assert announce(client, server.url).peers == PEERS
    assert [request.connection_id for request in server.announces()] == [1, 1, 2]


def test_an_error_is_a_refusal_in_the_trackers_words(serve: Serve, client: UdpTrackerClient) -> None:
    def refuse(request: TrackerRequest) -> list[bytes]:
        if isinstance(request, ConnectRequest):
            return usual(request)
        return [ErrorAnswer(request.transaction_id, "unregistered\ntorrent").encode()]

    server = serve(refuse)
    with pytest.raises(TrackerRefused, match=f"{server.url} refuses: unregistered�torrent"):
        announce(client, server.url)


def test_noise_before_the_answer_is_ignored(serve: Serve, client: UdpTrackerClient) -> None:
    def noisy(request: TrackerRequest) -> list[bytes]:
        other = request.transaction_id ^ 1
        noise = [b"", b"x", bytes(8), ConnectAnswer(other, 66).encode(), ErrorAnswer(other, "no").encode()]
        return [*noise, *usual(request)]

    assert announce(client, serve(noisy).url).peers == PEERS


def test_peers_that_are_cut_are_a_fault(serve: Serve, client: UdpTrackerClient) -> None:
    def cut(request: TrackerRequest) -> list[bytes]:
        answers = usual(request)
        return answers if isinstance(request, ConnectRequest) else [answers[0][:-1]]

    with pytest.raises(TrackerUnavailable, match="no multiple of 6"):
        announce(client, serve(cut).url)


def test_a_silent_tracker_ends_at_the_deadline(serve: Serve, client: UdpTrackerClient) -> None:
    server = serve(lambda request: [])
    with pytest.raises(TrackerUnavailable, match="timeout"):
        announce(client, server.url, timeout=0.2)
    assert len(server.requests) == 1


def test_an_urgent_announce_is_repeated_until_it_arrives(serve: Serve, client: UdpTrackerClient) -> None:
    lossy: list[TrackerRequest] = []

    def second_time(request: TrackerRequest) -> list[bytes]:
        lossy.append(request)
        return usual(request) if lossy.count(request) == 2 else []

    assert announce(client, serve(second_time).url, urgent=True).peers == PEERS
    assert len(lossy) == 4


def test_a_tracker_that_is_gone_is_noticed_at_once_and_found_when_it_is_back(
    serve: Serve, client: UdpTrackerClient
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with pytest.raises(TrackerUnavailable, match="connection refused"):
        announce(client, f"udp://127.0.0.1:{port}", timeout=600.0)
    assert announce(client, serve(usual, port=port).url).peers == PEERS


def test_a_name_that_nobody_has(client: UdpTrackerClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(TrackerUnavailable, match="no such host"):
        announce(client, "udp://tracker.invalid:6969")


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_both_versions_are_asked(
    serve: Serve, client: UdpTrackerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    six = ("2001:db8::1", 9)

    def over_ipv6(request: TrackerRequest) -> list[bytes]:
        if isinstance(request, ConnectRequest):
            return usual(request)
        return [AnnounceAnswer(request.transaction_id, 900, 1, 2, encode_peers([six], 6)).encode()]

    first = serve()
    second = serve(over_ipv6, "::1", first.port)
    monkeypatch.setattr(
        "node.discovery.udp_tracker.resolve", lambda _, port: [("::1", port), ("127.0.0.1", port)]
    )
    assert set(announce(client, f"udp://tracker.test:{first.port}").peers) == {*PEERS, six}
    assert len(first.announces()) == len(second.announces()) == 1


def test_to_close_ends_what_is_under_way(serve: Serve) -> None:
    client = UdpTrackerClient()
    asked = threading.Event()

    def silent(_: TrackerRequest) -> list[bytes]:
        asked.set()
        return []

    server = serve(silent)
    failures: list[Exception] = []

    def wait() -> None:
        try:
            announce(client, server.url, timeout=600.0)
        except TrackerUnavailable as error:
            failures.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert asked.wait(PATIENCE)
    client.close()
    client.close()
    thread.join(PATIENCE)
    assert len(failures) == 1
    with pytest.raises(TrackerUnavailable):
        announce(client, server.url)


def test_numbers_beyond_64_bits_do_not_break_the_packet(serve: Serve, client: UdpTrackerClient) -> None:
    server = serve()
    huge = replace(PARAMS, totals=TransferTotals(2**80, 2**80, 0), ip="10.1.2.3")
    client.announce(parse_announce_url(server.url), huge, PATIENCE)
    (request,) = server.announces()
    assert (request.uploaded, request.ip) == (2**64 - 1, b"\x0a\x01\x02\x03")
