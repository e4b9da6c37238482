"""The path's segment size is found from below, whatever the path carries, and lost again with it."""

from __future__ import annotations

import dataclasses
import random

import pytest

from node.chunk_udp import wire
from node.chunk_udp.congestion import make_controller
from node.chunk_udp.connection import ConnectionState, FetchConnection
from node.chunk_udp.events import ConnectionConfig, DataReceived
from node.chunk_udp.path_mtu import MAX_PROBES, MTUS, OVERHEAD, PathMtuSearch

TERMS = ConnectionConfig(b"h" * 20, 7, 1200, 1 << 20, 30.0, largest_segment=7216)
SIZE = 1_000_000


def on_a_path_of(carries: int) -> PathMtuSearch:
    """Search where segments of ``carries`` bytes arrive, and larger ones do not."""
    search = PathMtuSearch(wire.SMALL_SEGMENT, 7216)
    for sequence in range(1, 100):
        size = search.wanted
        if size is None:
            return search
        search.probe_sent(sequence)
        assert search.wanted is None  # one at a time
        if size <= carries:
            search.probe_arrived(size)
        else:
            search.probe_lost()
    raise AssertionError("searches for ever")


@pytest.mark.parametrize("carries", [1200, 1220, 1339, 1440, 1500, 4292, 7215, 7216, 9000])
def test_it_finds_the_largest_known_size_that_the_path_carries(carries: int) -> None:
    known = [7216, *(mtu - OVERHEAD for mtu in MTUS if mtu - OVERHEAD < 7216), 1200]
    assert on_a_path_of(carries).size == max(size for size in known if size <= carries)


def test_a_trial_may_get_lost_by_chance() -> None:
    search = PathMtuSearch(1200, 7216)
    for sequence in range(MAX_PROBES - 1):
        search.probe_sent(sequence)
        search.probe_lost()
    assert search.wanted == 7216


def test_an_owner_that_answers_in_smaller_segments_cannot_send_this_size() -> None:
    search = PathMtuSearch(1200, 1440)
    search.probe_sent(1)
    assert not search.probe_arrived(1232)
    assert search.size == 1200 and search.wanted == 1492 - OVERHEAD == 1432


def test_there_is_nothing_to_search_where_the_size_is_known() -> None:
    assert PathMtuSearch(65_472, 65_472).wanted is None


def test_it_falls_back_to_what_every_path_carries_and_searches_again() -> None:
    search = on_a_path_of(7216)
    assert search.on_black_hole() and search.size == 1804 and search.wanted == 7216
    assert search.on_black_hole() and search.size == 1200
    assert not search.on_black_hole()


def fetching() -> FetchConnection:
    connection = FetchConnection(TERMS, make_controller("cubic", 1200), 0.0)
    for message in (wire.Token(7, 1 << 31, b"t" * 16), wire.Tell(7, (1 << 31) + 1, SIZE, True)):
        connection.datagram_received(wire.encode(message), 0.05)
    assert connection.state is ConnectionState.FETCHING
    connection.datagrams_to_send()
    return connection


@pytest.mark.parametrize("seed", range(20))
def test_a_connection_finds_the_size_while_it_fetches_and_no_byte_is_lost_or_twice(seed: int) -> None:
    chance = random.Random(seed)
    carries = chance.choice([1200, 1340, 1440, 4292, 7216])
    connection, missing, now, arrived = fetching(), 0, 0.1, 0
    while arrived < SIZE:
        while connection.may_request(now):
            size = connection.tracker.request_size
            span = connection.tracker.take_lost(size) or (missing, min(missing + size, SIZE))
            if span[0] == SIZE:
                break
            missing = max(missing, span[1])
            connection.request(*span, now)
        requests = [wire.decode(datagram) for datagram in connection.datagrams_to_send()]
        now += 0.05
        for request in requests:
            assert isinstance(request, wire.Request)
            for at in range(0, request.length, request.segment_size):
                size = min(request.segment_size, request.length - at)
                if size > carries or chance.random() < 0.02:
                    continue
                data = wire.Data(7, request.sequence, request.offset + at, bytes(size), True)
                for fact in connection.datagram_received(wire.encode(data), now):
                    assert isinstance(fact, DataReceived)
                    arrived += len(fact.payload)
        timer = connection.next_timer()
        if timer is not None and (timer <= now or not requests):
            now = max(now, timer)
            connection.on_timer(now)
    assert arrived == SIZE
    assert connection.tracker.mtu.size == carries


def test_a_lost_trial_is_no_congestion() -> None:
    connection = fetching()
    before = connection.tracker.controller.window
    connection.request(0, 7216 + 6 * 1200, 0.1)
    trial, rest = (wire.decode(datagram) for datagram in connection.datagrams_to_send())
    assert isinstance(trial, wire.Request) and trial.segment_size == trial.length == 7216
    assert isinstance(rest, wire.Request) and rest.segment_size == 1200
    for at in range(0, rest.length, 1200):
        data = wire.Data(7, rest.sequence, rest.offset + at, bytes(1200), True)
        connection.datagram_received(wire.encode(data), 0.2)
    assert connection.tracker.take_lost(99_999) == (0, 7216)
    assert connection.tracker.controller.window >= before


def test_terms_without_a_larger_size_search_for_nothing() -> None:
    terms = dataclasses.replace(TERMS, largest_segment=0)
    connection = FetchConnection(terms, make_controller("cubic", 1200), 0.0)
    assert connection.tracker.mtu.size == 1200
