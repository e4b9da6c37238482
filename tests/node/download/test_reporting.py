"""The same news is reported once: lost peers, waits, and retries of the same owners."""

from __future__ import annotations

from typing import Any

import pytest

from common.metainfo import decode_metainfo, encode_metainfo
from node import events
from node.download.known_peers import Candidate, KnownPeers
from node.download.reporting import DownloadReporter, paused_rows
from node.peer import Peer

INFO = decode_metainfo(encode_metainfo("x.bin", 1, 1, bytes(20), ""))


@pytest.fixture
def told() -> list[Any]:
    return []


@pytest.fixture
def reporter(told: list[Any]) -> DownloadReporter:
    return DownloadReporter(INFO, told.append, 0.0)


def row(received: int) -> events.DownloadStatus:
    return events.DownloadStatus("x.bin", "", "fetching", 1, 0, received, 0.0, None, "", ())


def test_a_peer_that_fails_again_for_the_same_reason_is_lost_once(reporter, told) -> None:
    candidate = Candidate(Peer("127.0.0.1", 9, node_id=2))
    for _ in range(5):
        KnownPeers.failed(candidate, "silent for 1.8 s", 0.0)
        reporter.lost(candidate)
    KnownPeers.failed(candidate, "connection refused", 0.0)
    reporter.lost(candidate)
    assert [event.reason for event in told] == ["silent for 1.8 s", "connection refused"]
    candidate.failures = 0  # it delivered
    KnownPeers.failed(candidate, "connection refused", 0.0)
    reporter.lost(candidate)
    assert len(told) == 3


def test_a_wait_is_reported_again_for_another_reason_or_after_data(reporter, told) -> None:
    for seconds, reason in ((0.5, "down"), (1.0, "down"), (2.0, "up"), (4.0, "up")):
        reporter.waiting(seconds, reason)
    assert [(event.seconds, event.reason) for event in told] == [(0.5, "down"), (2.0, "up")]
    reporter.progress(row(received=0))
    reporter.waiting(1.0, "up")
    assert told[-1].name == "progress"
    reporter.progress(row(received=1))
    reporter.waiting(1.0, "up")
    assert told[-1].name == "waiting"


def test_a_retry_of_the_same_owners_is_no_news(reporter, told) -> None:
    first, second = Candidate(Peer("127.0.0.1", 9, node_id=2)), Candidate(Peer("127.0.0.1", 8, node_id=3))
    for known in ([first], [first], [first, second]):
        reporter.owners_found(known, [first])
    assert [event.owners for event in told] == [(2,), (2, 3)]


def test_a_download_that_the_user_ends_is_cancelled_and_not_failed(reporter, told) -> None:
    reporter.cancelled("x.bin: stopped; what is here of it is kept")
    assert told[0].name == "cancelled" and isinstance(told[0], events.Failed)


def test_a_piece_names_a_standard_peer_by_its_address(reporter, told) -> None:
    peers = [Peer("127.0.0.1", 9, node_id=2), Peer("127.0.0.1", 6881, "tcp")]
    reporter.piece(0, True, peers)
    reporter.piece(1, False, peers)
    assert [event.sources for event in told] == [(2, None)] * 2
    assert [event.peers for event in told] == [("2", "127.0.0.1:6881")] * 2


def test_rows_of_a_paused_download_say_that_the_user_paused_it() -> None:
    def row(state: str, reason: str) -> events.SourceProgress:
        return events.SourceProgress(None, ("127.0.0.1", 9), 5, 7.0, state, reason)

    rows = paused_rows([row("lost", "closed: the torrent is not shared here any more"), row("active", "")])
    assert [(each.state, each.reason, each.rate) for each in rows] == [("idle", "you paused it", 0.0)] * 2
    banned = row("banned", "sent wrong bytes")
    assert paused_rows([banned]) == (banned,)
