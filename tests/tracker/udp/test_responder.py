"""The UDP tracker protocol in virtual time: a datagram in, an answer out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.compact_peers import decode_peers
from common.udp_tracker import (
    MAX_SCRAPE,
    AnnounceAnswer,
    AnnounceEvent,
    AnnounceRequest,
    ConnectAnswer,
    ConnectRequest,
    ErrorAnswer,
    ScrapeAnswer,
    ScrapeRequest,
    TrackerAnswer,
    decode_answer,
)
from tracker.auth import SwarmKey
from tracker.model import ANNOUNCE_GRACE, Rules
from tracker.rate_limits import Limits, RateLimits
from tracker.service import TrackerService
from tracker.storage.memory import MemoryStorage
from tracker.udp.connection_ids import BUCKET_SECONDS, ConnectionIds
from tracker.udp.repeats import GRANT_SECONDS
from tracker.udp.responder import UdpResponder

HASH = b"h" * 20
A, B = "10.0.0.1", "10.0.0.2"


class UdpScene:
    """A responder, and the time."""

    def __init__(self, limits: Limits | None = None, key: str | None = None, **rules: Any) -> None:
        self.now = 1000.0
        the_rules = Rules(**rules)
        storage = MemoryStorage(the_rules, clock=lambda: self.now)
        self.service = TrackerService(storage, the_rules, swarm_key=SwarmKey(key), clock=lambda: self.now)
        self.packets = self.service.announces.udp_packets
        self.responder = UdpResponder(
            self.service.announces, ConnectionIds(b"s" * 32), RateLimits(limits or Limits(1e6, 1e6))
        )

    def raw(self, data: bytes, host: str = A) -> bytes | None:
        return self.responder.answer(data, host, self.now)

    def ask(self, data: bytes, host: str = A) -> TrackerAnswer:
        answer = self.raw(data, host)
        assert answer is not None
        return decode_answer(answer)

    def connect(self, host: str = A) -> int:
        answer = self.ask(ConnectRequest(7).encode(), host)
        assert isinstance(answer, ConnectAnswer) and answer.transaction_id == 7
        return answer.connection_id

    def announce(self, number: int = 1, host: str = A, left: int = 1, **more: Any) -> TrackerAnswer:
        connection_id = more.pop("connection_id", None)
        if connection_id is None:
            connection_id = self.connect(host)
        return self.ask(request(connection_id, number, left, **more), host)


def request(connection_id: int, number: int = 1, left: int = 1, **more: Any) -> bytes:
    fields: dict[str, Any] = {
        "downloaded": 0, "left": left, "uploaded": 0, "event": AnnounceEvent.NONE, "ip": bytes(4),
        "key": number, "num_want": -1, "port": 6000 + number, **more,
    }  # fmt: skip
    return AnnounceRequest(connection_id, 9, HASH, b"-XX0001-%012d" % number, **fields).encode()


@pytest.fixture
def scene() -> UdpScene:
    return UdpScene()


def listed(answer: TrackerAnswer, version: int = 4) -> list[tuple[str, int]]:
    assert isinstance(answer, AnnounceAnswer)
    return decode_peers(answer.peers, version)


def test_peers_find_each_other_and_leave(scene: UdpScene) -> None:
    assert scene.announce(1, left=0, event=AnnounceEvent.STARTED) == AnnounceAnswer(9, 300, 0, 1, b"")
    assert listed(scene.announce(2, B)) == [(A, 6001)]
    assert listed(scene.announce(1, left=0)) == [(B, 6002)]
    scene.announce(2, B, left=0, event=AnnounceEvent.COMPLETED)
    answer = scene.ask(ScrapeRequest(scene.connect(), 5, (HASH, b"x" * 20)).encode())
    assert answer == ScrapeAnswer(5, ((2, 1, 0), (0, 0, 0)))  # type: ignore[arg-type]
    gone = scene.announce(1, left=0, event=AnnounceEvent.STOPPED)
    assert isinstance(gone, AnnounceAnswer) and (gone.seeders, gone.peers) == (1, b"")


def test_over_ipv6_the_peers_are_ipv6(scene: UdpScene) -> None:
    scene.announce(1, "2001:db8::1")
    scene.announce(2, A)
    assert listed(scene.announce(3, "2001:db8::3"), 6) == [("2001:db8::1", 6001)]
    assert listed(scene.announce(4, "::ffff:10.0.0.9")) == [(A, 6002)]


def test_the_key_makes_one_peer_of_http_and_both_families(scene: UdpScene) -> None:
    scene.announce(1, A)
    answer = scene.announce(1, "2001:db8::1")
    assert isinstance(answer, AnnounceAnswer) and (answer.leechers, answer.peers) == (1, b"")


def test_an_id_is_bound_to_its_host_and_expires(scene: UdpScene) -> None:
    given = scene.connect(A)
    stolen = scene.announce(1, B, connection_id=given)
    assert stolen == ErrorAnswer(9, "connect again")
    scene.now += BUCKET_SECONDS - 1
    assert isinstance(scene.announce(connection_id=given), AnnounceAnswer)
    scene.now += 2 * BUCKET_SECONDS
    assert scene.announce(connection_id=given) == ErrorAnswer(9, "connect again")
    assert scene.packets["expired"] == 2


def test_an_id_is_valid_for_two_minutes_at_least() -> None:
    ids = ConnectionIds(b"s" * 32)
    for start in range(0, 240, 7):
        given = ids.issue(A, float(start))
        assert ids.is_valid(given, A, start + 119.9)
        assert not ids.is_valid(given, A, start + 240.0)
    assert not ConnectionIds(b"t" * 32).is_valid(ids.issue(A, 5.0), A, 5.0)


@given(st.binary(max_size=120) | st.builds(lambda rest, action: bytes(8) + action + rest,
       st.binary(max_size=1600), st.sampled_from([bytes([0, 0, 0, n]) for n in range(5)])))  # fmt: skip
def test_an_unproved_packet_gets_no_more_bytes_than_it_has(data: bytes) -> None:
    answer = UdpScene().raw(data)
    assert answer is None or len(answer) <= len(data)


@given(st.binary(min_size=8, max_size=1600))
def test_any_packet_of_a_proved_host_is_answered_or_ignored(rest: bytes) -> None:
    scene = UdpScene()
    answer = scene.raw(scene.connect().to_bytes(8, "big") + rest)
    if answer is not None:
        decode_answer(answer)


@pytest.mark.parametrize("cut", [16, 50, 97])
def test_a_cut_announce_is_an_error(scene: UdpScene, cut: int) -> None:
    answer = scene.ask(request(scene.connect())[:cut])
    assert isinstance(answer, ErrorAnswer) and "98 bytes" in answer.message


def test_port_zero_and_unknown_events_are_errors(scene: UdpScene) -> None:
    assert isinstance(scene.announce(port=0), ErrorAnswer)
    odd = bytearray(request(scene.connect()))
    odd[80:84] = b"\0\0\0\x09"
    assert isinstance(scene.ask(bytes(odd)), ErrorAnswer)
    assert scene.service.announces.scrape([HASH])[0].incomplete == 0


def test_a_scrape_is_of_one_to_74_torrents(scene: UdpScene) -> None:
    given = scene.connect()
    hashes = tuple(bytes([n]) * 20 for n in range(MAX_SCRAPE + 1))
    full = scene.ask(ScrapeRequest(given, 5, hashes[:-1]).encode())
    assert isinstance(full, ScrapeAnswer) and len(full.counts) == MAX_SCRAPE
    for wrong in ((), hashes):
        assert isinstance(scene.ask(ScrapeRequest(given, 5, wrong).encode()), ErrorAnswer)


def test_a_host_over_its_rate_is_not_answered_and_forged_packets_do_not_count(scene: UdpScene) -> None:
    scene = UdpScene(Limits(address_rate=1.0))
    given = scene.connect()
    while scene.raw(ConnectRequest(1).encode()) is not None:
        pass  # as packets do that carry this host's address
    assert isinstance(scene.announce(connection_id=given), AnnounceAnswer)
    answers = [scene.raw(request(given)) for _ in range(200)]
    assert answers[-1] is None and scene.packets["limited"] > 5
    assert isinstance(scene.announce(1, B), AnnounceAnswer)
    scene.now += 5
    assert scene.raw(request(given)) is not None


def test_limits_of_the_records_are_errors() -> None:
    scene = UdpScene(nodes_per_address=1)
    scene.announce(1)
    answer = scene.announce(2)
    assert isinstance(answer, ErrorAnswer) and "your address" in answer.message


def test_the_swarm_key_comes_in_the_trackers_url() -> None:
    scene = UdpScene(key="join me")
    refused = scene.announce(1)
    assert isinstance(refused, ErrorAnswer) and "swarm key is missing" in refused.message
    wrong = scene.announce(1, url_data=b"/announce?swarm_key=guess")
    assert isinstance(wrong, ErrorAnswer)
    assert isinstance(scene.announce(1, url_data=b"/announce?swarm_key=join%20me"), AnnounceAnswer)
    assert isinstance(scene.ask(ScrapeRequest(scene.connect(), 5, (HASH,)).encode()), ErrorAnswer)


def test_announces_that_repeat_are_answered_alike(scene: UdpScene) -> None:
    for number in range(1, 9):
        scene.announce(number, f"10.0.0.{number}", left=number % 2)
    given = scene.connect()
    me = request(given, 1, 1, num_want=200)
    slow, quick = scene.ask(me), scene.ask(me)
    assert isinstance(slow, AnnounceAnswer) and isinstance(quick, AnnounceAnswer)
    assert sorted(listed(quick)) == sorted(listed(slow)) and len(listed(quick)) == 7
    assert (quick.interval, quick.leechers, quick.seeders) == (slow.interval, 4, 4)
    for changed in (
        {"left": 0}, {"port": 9}, {"event": AnnounceEvent.STOPPED}, {"key": 77}, {"num_want": 2},
    ):  # fmt: skip
        scene.ask(request(given, 1, **{"left": 1, **changed}))  # type: ignore[arg-type]
        (counts,) = scene.service.announces.scrape([HASH])
        if "left" in changed:
            assert counts.complete == 5
    assert (counts.complete, counts.incomplete) == (4, 4), "the one with another key took its place"


def test_a_grant_ends_with_its_time_its_number_and_its_id(scene: UdpScene) -> None:
    given, begun = scene.connect(), scene.now
    for _ in range(300):
        scene.now += 0.9
        answer = scene.ask(request(given))
        if isinstance(answer, ErrorAnswer):
            break
    assert BUCKET_SECONDS <= scene.now - begun <= 2 * BUCKET_SECONDS + GRANT_SECONDS


def test_a_repeated_announce_is_a_sign_of_life(scene: UdpScene) -> None:
    def sweep_after(seconds: float) -> None:
        """As the liveness thread does it."""
        for _ in range(round(seconds)):
            scene.now += 1
            scene.service.sweep()

    for _ in range(4):
        given = scene.connect()
        for _ in range(2):
            scene.announce(connection_id=given)
        sweep_after(Rules().announce_interval)
    assert scene.packets["announce"] == 8
    assert scene.service.announces.scrape([HASH])[0].incomplete == 1
    sweep_after(Rules().announce_interval + ANNOUNCE_GRACE)
    assert scene.service.announces.scrape([HASH])[0].incomplete == 0
