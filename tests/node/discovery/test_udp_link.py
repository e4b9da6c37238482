"""The exchanges with a UDP tracker in virtual time: ids are shared, fetched again, and never guessed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.udp_tracker import (
    AnnounceAnswer,
    AnnounceEvent,
    AnnounceRequest,
    ConnectAnswer,
    ConnectRequest,
    ErrorAnswer,
    TrackerRequest,
    decode_request,
)
from node.discovery.udp_link import CONNECT_RETRY, CONNECTION_LIFETIME, UdpExchange, UdpLink

REQUEST = AnnounceRequest(0, 0, b"H" * 20, b"P" * 20, 0, 1, 0, AnnounceEvent.STARTED, bytes(4), 7, 50, 6881)


class LinkScene:
    """A link, and its datagrams."""

    def __init__(self) -> None:
        self.link = UdpLink(random.Random(1))
        self.sent: list[TrackerRequest] = []
        self.ended: list[UdpExchange] = []

    def begin(self, now: float, timeout: float = 15.0, repeat_every: float | None = None) -> UdpExchange:
        exchange = UdpExchange(REQUEST, now + timeout, repeat_every=repeat_every)
        self._take(self.link.begin(exchange, now), [])
        return exchange

    def receive(self, answer: ConnectAnswer | AnnounceAnswer | ErrorAnswer | bytes, now: float) -> None:
        data = answer if isinstance(answer, bytes) else answer.encode()
        self._take(*self.link.receive(data, now))

    def tick(self, now: float) -> None:
        self._take(*self.link.tick(now))

    def connect(self, connection_id: int, now: float) -> None:
        """Answer the last packet, a connect request."""
        last = self.sent[-1]
        assert isinstance(last, ConnectRequest)
        self.receive(ConnectAnswer(last.transaction_id, connection_id), now)

    def answer(self, now: float, index: int = -1) -> None:
        """Answer a packet that was sent, an announce."""
        packet = self.sent[index]
        assert isinstance(packet, AnnounceRequest)
        self.receive(AnnounceAnswer(packet.transaction_id, 900, 1, 2, b""), now)

    def announces(self) -> list[AnnounceRequest]:
        return [packet for packet in self.sent if isinstance(packet, AnnounceRequest)]

    def _take(self, datagrams: list[bytes], ended: list[UdpExchange]) -> None:
        self.sent += map(decode_request, datagrams)
        self.ended += ended


@pytest.fixture
def scene() -> LinkScene:
    return LinkScene()


def test_an_announce_connects_first(scene: LinkScene) -> None:
    exchange = scene.begin(0.0)
    assert [type(packet) for packet in scene.sent] == [ConnectRequest]
    scene.connect(77, 1.0)
    (announce,) = scene.announces()
    assert announce.connection_id == 77
    assert announce.transaction_id != scene.sent[0].transaction_id
    scene.answer(2.0)
    assert scene.ended == [exchange]
    assert isinstance(exchange.answer, AnnounceAnswer)
    assert exchange.answer.interval == 900
    assert scene.link.is_idle


def test_torrents_share_a_connection_id_for_a_minute(scene: LinkScene) -> None:
    scene.begin(0.0)
    scene.begin(0.0)
    assert len(scene.sent) == 1
    scene.connect(77, 1.0)
    scene.begin(CONNECTION_LIFETIME)
    assert [packet.connection_id for packet in scene.announces()] == [77, 77, 77]
    assert len({packet.transaction_id for packet in scene.sent}) == 4
    scene.begin(1.0 + CONNECTION_LIFETIME)
    assert isinstance(scene.sent[-1], ConnectRequest)


def test_an_exchange_ends_at_its_deadline_without_an_answer(scene: LinkScene) -> None:
    first, second = scene.begin(0.0), scene.begin(5.0)
    assert scene.link.next_tick() == 15.0
    scene.tick(15.0)
    assert scene.ended == [first]
    assert first.answer is None
    scene.connect(77, 16.0)
    scene.tick(20.0)
    assert scene.ended == [first, second]
    scene.answer(21.0)
    assert second.answer is None
    assert scene.link.next_tick() == float("inf")


def test_a_lost_connect_request_is_repeated_by_the_next_try(scene: LinkScene) -> None:
    scene.begin(0.0)
    lost = scene.sent[0]
    scene.tick(15.0)
    scene.begin(CONNECT_RETRY, timeout=30.0)
    assert isinstance(scene.sent[-1], ConnectRequest)
    assert scene.sent[-1] != lost
    scene.receive(ConnectAnswer(lost.transaction_id, 66), 16.0)  # late: not its answer any more
    assert scene.announces() == []
    scene.connect(77, 16.0)
    assert scene.announces()[0].connection_id == 77


def test_an_error_to_an_old_id_connects_again_at_once(scene: LinkScene) -> None:
    scene.begin(0.0)
    scene.connect(77, 0.0)
    scene.answer(0.0)
    exchange, other = scene.begin(50.0), scene.begin(50.0)
    refused = scene.announces()[1:]
    scene.receive(ErrorAnswer(refused[0].transaction_id, "wrong connection id"), 51.0)
    scene.connect(88, 51.0)
    scene.receive(ErrorAnswer(refused[1].transaction_id, "wrong connection id"), 52.0)
    assert [packet.connection_id for packet in scene.announces()] == [77, 77, 77, 88, 88]
    scene.answer(53.0)
    scene.answer(53.0, -2)
    assert scene.ended[1:] == [other, exchange]
    assert all(isinstance(each.answer, AnnounceAnswer) for each in (exchange, other))


def test_an_error_to_a_new_id_is_the_trackers_answer(scene: LinkScene) -> None:
    exchange = scene.begin(0.0)
    scene.connect(77, 0.0)
    error = ErrorAnswer(scene.sent[-1].transaction_id, "unregistered torrent")
    scene.receive(error, 1.0)
    assert exchange.answer == error
    assert len(scene.sent) == 2


def test_a_tracker_that_answers_only_errors_is_asked_twice_and_no_more(scene: LinkScene) -> None:
    scene.begin(0.0)
    scene.connect(77, 0.0)
    scene.answer(0.0)
    exchange = scene.begin(1.0)
    for _ in range(5):
        if scene.link.is_idle:
            break
        if isinstance(scene.sent[-1], ConnectRequest):
            scene.connect(88, 1.0)
        scene.receive(ErrorAnswer(scene.sent[-1].transaction_id, "no"), 1.0)
    assert isinstance(exchange.answer, ErrorAnswer)
    assert len(scene.announces()) == 3


def test_an_error_to_a_connect_request_ends_all_that_wait(scene: LinkScene) -> None:
    both = [scene.begin(0.0), scene.begin(0.0)]
    scene.receive(ErrorAnswer(scene.sent[0].transaction_id, "full"), 0.0)
    assert scene.ended == both
    scene.begin(1.0)
    assert isinstance(scene.sent[-1], ConnectRequest)


def test_answers_with_another_transaction_id_or_action_are_ignored(scene: LinkScene) -> None:
    exchange = scene.begin(0.0)
    scene.receive(ConnectAnswer(scene.sent[0].transaction_id ^ 1, 66), 0.0)
    scene.receive(AnnounceAnswer(scene.sent[0].transaction_id, 1, 1, 1, b""), 0.0)
    assert scene.announces() == []
    scene.connect(77, 0.0)
    scene.receive(ConnectAnswer(scene.sent[-1].transaction_id, 66), 0.0)
    scene.receive(AnnounceAnswer(scene.sent[-1].transaction_id ^ 1, 1, 1, 1, b""), 0.0)
    assert scene.ended == []
    scene.answer(0.0)
    scene.receive(AnnounceAnswer(scene.sent[-1].transaction_id, 1, 1, 1, b""), 0.0)  # twice
    assert scene.ended == [exchange]


def test_urgent_packets_are_repeated_with_their_ids(scene: LinkScene) -> None:
    scene.begin(0.0, timeout=1.0, repeat_every=0.3)
    assert scene.link.next_tick() == 0.3
    scene.tick(0.3)
    assert scene.sent == [scene.sent[0]] * 2
    scene.connect(77, 0.4)
    scene.tick(0.5)
    scene.tick(0.75)
    assert scene.announces() == [scene.announces()[0]] * 2
    scene.answer(0.8)
    assert len(scene.ended) == 1
    assert scene.link.next_tick() == float("inf")


def test_an_urgent_announce_does_not_wait_for_a_lost_connect_request(scene: LinkScene) -> None:
    scene.begin(0.0)
    scene.begin(5.0, timeout=1.0, repeat_every=0.3)
    scene.tick(5.0)
    assert scene.sent == [scene.sent[0]] * 2


def test_to_abandon_ends_everything(scene: LinkScene) -> None:
    scene.begin(0.0)
    scene.connect(77, 0.0)
    scene.begin(CONNECTION_LIFETIME)
    assert len(scene.link.abandon()) == 2
    assert scene.link.is_idle


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_noise_changes_nothing(datagrams: list[bytes]) -> None:
    scene = LinkScene()
    exchange = scene.begin(0.0)
    for data in datagrams:
        if data[4:8] != scene.sent[0].transaction_id.to_bytes(4, "big"):
            scene.receive(data, 0.0)
    assert scene.ended == []
    scene.connect(77, 0.0)
    scene.answer(0.0)
    assert scene.ended == [exchange]
