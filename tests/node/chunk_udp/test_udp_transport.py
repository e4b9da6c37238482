"""The transport as a node sees it: its rows of uploads, its addresses, and what happens when it fails."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest.mock import Mock

import pytest

from common.errors import LocalFault, PeerFault
from node.chunk_udp import fetcher, sockets
from node.chunk_udp.fetcher import source_host
from node.chunk_udp.owner import Owner
from node.chunk_udp.transport import AddressWatch, UdpTransport
from node.chunk_udp.upload_log import RATE_WINDOW, UploadLog
from node.peer import Peer
from simulator.served import MemoryTorrent
from tests.node.chunk_udp.loopback import CONTENT, INFO, INFO_HASH, PATIENT, LoopbackDownload, linux

Made = Callable[..., UdpTransport]


class TransportNews:
    """Notes a transport's reports about itself."""

    def __init__(self) -> None:
        self.news: list[object] = []
        self.called = threading.Event()

    def _note(self, what: object) -> None:
        self.news.append(what)
        self.called.set()

    def on_address_lost(self, host: str) -> None:
        self._note(("lost", host))

    def on_address_restored(self, host: str) -> None:
        self._note(("restored", host))

    def on_failed(self, fault: LocalFault) -> None:
        self._note(fault)


@pytest.fixture
def transport() -> Iterator[Made]:
    """``transport(host, node_id, observer)``: one that serves CONTENT."""
    with contextlib.ExitStack() as stack:

        def make(
            host: str = "127.0.0.1", node_id: int | None = None, observer: TransportNews | None = None
        ) -> UdpTransport:
            made = UdpTransport(PATIENT, sockets.udp_socket(host, 0, 1 << 20), node_id)
            made.start({INFO_HASH: MemoryTorrent(CONTENT)}, observer or TransportNews())
            stack.callback(made.stop)
            return made

        yield make


def peer(transport: UdpTransport, host: str | None = None) -> Peer:
    return Peer(host or transport.addr[0], transport.addr[1])


def test_the_sockets_of_a_node_are_one_row_with_its_number_and_its_rate(transport: Made) -> None:
    serving, fetching = transport(), transport(node_id=7)
    third = len(CONTENT) // 3
    for number in range(3):
        part = LoopbackDownload((number + 1) * third, number * third)
        fetching.connect(peer(serving), INFO, part).run()
        assert part.is_identical()
    serving.stop()  # it counts after it has sent
    (row,) = serving.uploads()
    assert (row.peer.host, row.peer.node_id, row.info_hash) == ("127.0.0.1", 7, INFO_HASH)
    assert row.uploaded == serving.uploaded(INFO_HASH) >= 3 * third
    assert row.rate > 0 and row.queue_position is None


def test_a_stranger_has_no_number_and_a_row_for_each_address(transport: Made) -> None:
    serving, fetching = transport(), transport()
    for _ in range(2):
        fetching.connect(peer(serving), INFO, LoopbackDownload(100_000)).run()
    serving.stop()
    assert [row.peer.node_id for row in serving.uploads()] == [None, None]


@linux
def test_a_fetcher_is_seen_at_the_address_that_its_node_announces(transport: Made) -> None:
    serving, fetching = transport(), transport("127.0.0.9")
    fetching.connect(peer(serving), INFO, LoopbackDownload(1000)).run()
    serving.stop()
    (row,) = serving.uploads()
    assert row.peer.host == "127.0.0.9"


@pytest.mark.parametrize(
    ("host", "to", "source"),
    [
        ("", "192.0.2.1", "0.0.0.0"),
        ("", "127.0.0.1", "127.0.0.1"),
        ("", "2001:db8::1", "::"),
        ("0.0.0.0", "192.0.2.1", "0.0.0.0"),
        ("192.0.2.9", "192.0.2.1", "192.0.2.9"),
        ("127.0.0.9", "127.0.0.1", "127.0.0.9"),
        ("127.0.0.1", "192.0.2.1", "0.0.0.0"),  # from a loopback address nothing else is reached
        ("192.0.2.9", "127.0.0.1", "127.0.0.1"),
        ("192.0.2.9", "2001:db8::1", "::"),
    ],
)
def test_where_a_fetcher_sends_from(host: str, to: str, source: str) -> None:
    assert source_host(host, to) == source


def test_an_address_that_is_gone_is_the_connections_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "source_host", lambda host, to: "192.0.2.1")  # a foreign address
    with pytest.raises(PeerFault, match="no socket for it"):
        UdpTransport(PATIENT).connect(Peer("127.0.0.1", 9), INFO, LoopbackDownload())


def test_addresses_of_this_machine_and_others() -> None:
    assert sockets.is_local_address("127.0.0.1") and sockets.is_local_address("0.0.0.0")
    assert not sockets.is_local_address("192.0.2.1")


def test_an_address_that_goes_and_comes_back_is_told_once_each() -> None:
    here = iter([True, False, False, True, True])
    observer, stopped = TransportNews(), threading.Event()

    def is_here(host: str) -> bool:
        found = next(here, None)
        if found is None:
            stopped.set()
        return found is not False

    AddressWatch("192.0.2.1", observer, stopped, is_here, interval=0.0).run()
    assert observer.news == [("lost", "192.0.2.1"), ("restored", "192.0.2.1")]


@pytest.mark.filterwarnings("error")
def test_a_listener_that_dies_of_anything_says_so(monkeypatch: pytest.MonkeyPatch, transport: Made) -> None:
    monkeypatch.setattr(Owner, "listen", Mock(side_effect=RuntimeError("a bug")))
    observer = TransportNews()
    transport(observer=observer)
    assert observer.called.wait(20)
    (fault,) = observer.news
    assert isinstance(fault, LocalFault) and "a bug" in str(fault) and "\n" not in str(fault)


def test_a_transport_that_stops_serves_nothing_more_and_may_stop_twice(transport: Made) -> None:
    serving = transport()
    there = peer(serving)
    begin = time.monotonic()
    serving.stop()
    serving.stop()
    assert time.monotonic() - begin < 5.0
    with pytest.raises(PeerFault, match="no program listens|silent"):
        UdpTransport(replace(PATIENT, owner_timeout=0.5)).connect(there, INFO, LoopbackDownload(1000)).run()


# ---- rows


HERE, THERE, OTHER = ("192.0.2.1", 1), ("192.0.2.1", 2), ("192.0.2.2", 1)


def test_a_rate_is_that_of_the_last_seconds() -> None:
    log = UploadLog()
    for tenth in range(50):
        log.add(HERE, INFO_HASH, 1000, tenth / 10)
    (row,) = log.rows((), 4.9)
    assert row.uploaded == 50_000
    assert row.rate == pytest.approx(10_000, rel=0.15)
    assert log.rows((), 4.9 + 2 * RATE_WINDOW)[0].rate == 0


def test_rows_fold_a_nodes_addresses_but_not_its_torrents_or_other_hosts() -> None:
    log = UploadLog()
    for addr in (HERE, THERE, OTHER):
        log.introduce(addr, 5)
    for addr, info_hash in ((HERE, b"a"), (OTHER, b"a"), (THERE, b"b"), (THERE, b"a")):
        log.add(addr, info_hash, 1000, 1.0)
    rows = [(row.peer.addr, row.info_hash, row.uploaded) for row in log.rows((), 1.0)]
    assert rows == [(OTHER, b"a", 1000), (THERE, b"b", 1000), (THERE, b"a", 2000)]


def test_those_in_the_queue_come_last_with_their_position() -> None:
    log = UploadLog()
    log.add(HERE, b"a", 1000, 1.0)
    log.add(OTHER, b"a", 1000, 1.0)
    rows = log.rows([(THERE, b"a"), (HERE, b"a")], 1.0)
    assert [(row.peer.addr, row.queue_position, row.uploaded) for row in rows] == [
        (OTHER, None, 1000),
        (THERE, 1, 0),
        (HERE, 2, 1000),
    ]
