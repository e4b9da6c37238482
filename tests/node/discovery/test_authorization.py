"""A node's proofs to its trackers, and its reaction to refusals: too many requests, or a wrong secret."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common.backoff import Backoff
from common.errors import TrackerBusy, TrackerRefused, TrackerUnavailable
from common.messages import OwnedFile
from node.discovery import failover
from node.discovery.classroom import DEFAULT_RETRY_AFTER, TrackerClient
from node.discovery.credentials import Claim, SecretStore
from node.discovery.schedule import MAX_RETRY_AFTER

A = ("127.0.0.1", 4001)
FILE = OwnedFile("f", "ab" * 20, 9)
KEY = "blue-whale-7"
Play = Callable[[], Any]


@pytest.fixture
def claims(tmp_path: Path) -> Iterator[SecretStore]:
    made = SecretStore(tmp_path, 1)
    made.open()
    yield made
    made.close()


@pytest.fixture
def client_of(claims: SecretStore) -> Iterator[Callable[..., TrackerClient]]:
    """Makes clients of node 1 that claim their number; closed in the end."""
    made: list[TrackerClient] = []

    def make(*urls: str, claim: Claim | None = None, **more: Any) -> TrackerClient:
        made.append(TrackerClient(urls, 1, 20.0, claim or claims.claim(urls), **more))
        return made[-1]

    yield make
    for client in made:
        client.close()


def ask_everything(client: TrackerClient) -> None:
    client.register(A)
    client.own([FILE])
    client.need("f")
    client.update("f", 2, FILE.info_hash, 9, client.next_receipt())
    client.exit()


@pytest.fixture
def nobody() -> str:
    """A URL at which no process listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return f"http://127.0.0.1:{sock.getsockname()[1]}"


# ---- what is sent


def test_every_request_carries_secret_and_key(
    play_tracker: Play, claims: SecretStore, client_of: Callable[..., TrackerClient]
) -> None:
    tracker = play_tracker()
    ask_everything(client_of(tracker.url, swarm_key=KEY))
    secret = claims.secret(tracker.url)
    assert tracker.modes() == [0, 1, 2, 3, 4]
    for _, fields, headers in tracker.heard:
        assert headers["Authorization"] == f"Bearer {secret}"
        assert headers["X-Swarm-Key"] == KEY
        assert secret not in str(fields)
    assert tracker.heard[0][1]["claim"] is True
    assert tracker.heard[3][1] == {
        "mode": 3, "node_id": 1, "filename": "f", "owner": 2, "info_hash": FILE.info_hash, "bytes": 9,
        "addr": list(A), "receipt": 1,
    }  # fmt: skip


def test_who_claims_nothing_sends_nothing(play_tracker: Play) -> None:
    tracker = play_tracker()
    client = TrackerClient(tracker.url, 1)
    ask_everything(client)
    client.close()
    for _, fields, headers in tracker.heard:
        assert not {"Authorization", "X-Swarm-Key"} & headers.keys()
        assert not {"claim", "receipt"} & fields.keys()


def test_the_tracker_may_make_the_secret(
    play_tracker: Play, tmp_path: Path, claims: SecretStore, client_of: Callable[..., TrackerClient]
) -> None:
    """It does so for a node without a secret: another process with the same node id."""
    tracker = play_tracker()
    other = SecretStore(tmp_path, 1)
    other.open()
    client = client_of(tracker.url, claim=other.claim([tracker.url]))
    tracker.answer = lambda mode, fields: (200, {"interval": 11, "claimed": True, "secret": "m" * 43}, {})
    client.register(A)
    client.register(A)
    assert [headers.get("Authorization") for _, _, headers in tracker.heard] == [None, f"Bearer {'m' * 43}"]
    other.close()


def test_a_tracker_that_knows_nothing_of_claims_is_served(
    play_tracker: Play, client_of: Callable[..., TrackerClient]
) -> None:
    tracker = play_tracker()
    tracker.answer = lambda mode, fields: (
        200,
        {"status": "ok", **({"search_result": []} if mode == 2 else {})},
        {},
    )
    client = client_of(tracker.url)
    ask_everything(client)
    assert not client.knows_claims
    assert client.register(A).interval == 3600.0  # it names none, so the node's own interval counts


def test_after_leaving_the_secret_is_forgotten_but_not_if_nobody_heard(
    play_tracker: Play, claims: SecretStore, client_of: Callable[..., TrackerClient]
) -> None:
    tracker = play_tracker()
    client = client_of(tracker.url)
    client.register(A)
    tracker.refuse(503)
    with pytest.raises(TrackerBusy):
        client.leave()
    assert claims.secret(tracker.url)
    tracker.answer = lambda mode, fields: (200, {}, {})
    beside = client.with_timeout(5.0)
    beside.register = lambda addr: None  # type: ignore[method-assign,assignment]
    beside._addr = A
    beside.leave()
    beside.close()
    assert claims.secret(tracker.url) is None


def test_what_a_tracker_repeats_does_not_get_into_a_message(
    play_tracker: Play, claims: SecretStore, client_of: Callable[..., TrackerClient]
) -> None:
    tracker = play_tracker()
    client = client_of(tracker.url, swarm_key=KEY)
    secret = claims.secret(tracker.url) or ""
    for status in (400, 403, 429):
        tracker.refuse(status, f"you said Bearer {secret} and {KEY}")
        with pytest.raises((TrackerRefused, TrackerBusy)) as caught:
            client.register(A)
        assert "you said" in str(caught.value)
        assert secret not in str(caught.value) and KEY not in str(caught.value)
    assert secret not in repr(client) and KEY not in repr(client)


def test_an_upload_is_said_again_only_to_who_counts_it_once(
    play_tracker: Play, client_of: Callable[..., TrackerClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = play_tracker()
    client = client_of(tracker.url)
    asked: list[bool] = []
    real = client._http[0].post
    monkeypatch.setattr(
        client._http[0],
        "post",
        lambda body, headers, again: asked.append(again) or real(body, headers, again),
    )
    client.update("f")
    client.register(A)  # the answer claims the node
    client.update("f")
    assert asked == [False, True, True]


def test_what_was_not_counted_is_told(play_tracker: Play, client_of: Callable[..., TrackerClient]) -> None:
    tracker = play_tracker()
    client = client_of(tracker.url)
    assert client.update("f")
    tracker.answer = lambda mode, fields: (200, {"counted": False}, {})
    assert not client.update("f")


# ---- what is refused


@pytest.mark.parametrize(
    ("field", "key", "told"),
    [
        ("swarm_key", "", "setting SWARM_KEY is not set, or not for this tracker"),
        ("swarm_key", KEY, "setting SWARM_KEY is another one"),
        (
            "authorization",
            "",
            "node 1 is claimed by a secret that this folder does not have; take another -node_id, or wait",
        ),
    ],
)
def test_a_403_says_what_can_be_done(
    play_tracker: Play, client_of: Callable[..., TrackerClient], field: str, key: str, told: str
) -> None:
    tracker = play_tracker()
    tracker.answer = lambda mode, fields: (403, {"error": "not you", "field": field}, {})
    with pytest.raises(TrackerRefused) as caught:
        client_of(tracker.url, swarm_key=key).register(A)
    assert str(caught.value) == f"tracker {tracker.url} refuses: not you; {told}"
    assert (caught.value.status, caught.value.field) == (403, field)


def test_a_claim_of_another_node_is_explained_to_people(
    play_tracker: Play, client_of: Callable[..., TrackerClient]
) -> None:
    tracker = play_tracker()
    error = {"error": "show it as Authorization: Bearer SECRET", "field": "secret"}
    tracker.answer = lambda mode, fields: (403, error, {"Retry-After": "22"})
    with pytest.raises(TrackerRefused) as caught:
        client_of(tracker.url).register(A)
    assert str(caught.value) == (
        f"tracker {tracker.url} refuses: node 1 is claimed by a secret that this folder does not have; "
        "take another -node_id, or wait 22 s"
    )


# ---- what is put off


@pytest.mark.parametrize("status", [429, 503, 507])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999", MAX_RETRY_AFTER),
        ("soon", DEFAULT_RETRY_AFTER),
        ("", DEFAULT_RETRY_AFTER),
    ],
)
def test_not_now_is_no_refusal_and_says_for_how_long(
    play_tracker: Play, client_of: Callable[..., TrackerClient], status: int, header: str, seconds: float
) -> None:
    tracker = play_tracker()
    tracker.refuse(status, "too much to do", Retry_After=header)
    with pytest.raises(TrackerBusy, match="asks us to come back later: too much to do") as caught:
        client_of(tracker.url).register(A)
    assert caught.value.retry_after == seconds
    assert isinstance(caught.value, TrackerUnavailable)


def test_what_was_put_off_is_not_asked_before_its_time_and_nothing_else_waits(
    play_tracker: Play, client_of: Callable[..., TrackerClient]
) -> None:
    tracker = play_tracker()
    client = client_of(tracker.url)
    client.register(A)
    tracker.refuse(507, "the disk is full", Retry_After="60")
    for _ in range(3):
        with pytest.raises(TrackerBusy) as caught:
            client.own([FILE])
        assert 59 < caught.value.retry_after <= 60
    assert tracker.modes() == [0, 1]
    tracker.answer = lambda mode, fields: (200, {"search_result": []}, {})
    assert client.need("f") == []


# ---- several addresses


def test_the_first_that_answers_is_asked_with_the_same_secret(
    play_tracker: Play, claims: SecretStore, client_of: Callable[..., TrackerClient], nobody: str
) -> None:
    tracker, moved = play_tracker(), []
    client = client_of(nobody, tracker.url, on_moved=lambda *told: moved.append(told))
    ask_everything(client)
    assert tracker.modes() == [0, 1, 2, 3, 4]
    assert claims.secret(nobody) == claims.secret(tracker.url)
    assert client.name == tracker.url and client.url == nobody
    ((url, before, reason),) = moved
    assert (url, before) == (tracker.url, nobody)
    assert reason == f"tracker {nobody} does not answer (connection refused)"


def test_the_preferred_one_is_asked_again_by_a_heartbeat_once_it_has_rested(
    play_tracker: Play, client_of: Callable[..., TrackerClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, moved = play_tracker(), play_tracker(), []
    client = client_of(first.url, second.url, on_moved=lambda *told: moved.append(told))
    first.refuse(503)
    client.register(A)
    first.answer = second.answer
    client.register(A)
    client.need("f")
    assert (first.modes(), second.modes()) == ([0], [0, 0, 2])  # it rests
    monkeypatch.setattr(failover, "ADDRESS_BACKOFF", Backoff(0.0, 0.0))
    client._failover.failed(0, 0.0)
    client.need("f")
    assert first.modes() == [0]  # a search does not find out whether it is back
    client.register(A)
    assert first.modes() == [0, 0]
    client.need("f")
    assert (first.modes(), second.modes()) == ([0, 0, 2], [0, 0, 2, 2])
    assert [url for url, _, _ in moved] == [second.url, first.url]
    assert moved[1] == (first.url, second.url, "")


@pytest.mark.parametrize(("status", "asked"), [(503, 1), (429, 0), (507, 0), (409, 0), (403, 0), (400, 0)])
def test_only_who_cannot_is_passed_over_not_who_will_not(
    play_tracker: Play, client_of: Callable[..., TrackerClient], status: int, asked: int
) -> None:
    """Trackers share their records: if one process refuses or delays a request, each would."""
    first, second = play_tracker(), play_tracker()
    first.refuse(status)
    client = client_of(first.url, second.url)
    if asked:
        client.register(A)
    else:
        with pytest.raises((TrackerRefused, TrackerBusy)):
            client.register(A)
    assert len(second.heard) == asked


def test_nobody_answers_is_said_of_each_in_one_line(
    client_of: Callable[..., TrackerClient], nobody: str, play_tracker: Play
) -> None:
    garbling = play_tracker()
    garbling.answer = lambda mode, fields: (302, {}, {})
    with pytest.raises(TrackerUnavailable) as caught:
        client_of(garbling.url, nobody).register(A)
    assert str(caught.value) == (
        f"{garbling.url} does not answer as a classroom tracker does (HTTP status 302, 2 bytes), "
        f"tracker {nobody} does not answer (connection refused); is it running?"
    )


def test_if_all_are_busy_or_gone_the_busy_one_says_when(
    client_of: Callable[..., TrackerClient], nobody: str, play_tracker: Play
) -> None:
    busy = play_tracker()
    busy.refuse(503, "full", Retry_After="9")
    with pytest.raises(TrackerBusy) as caught:
        client_of(nobody, busy.url).register(A)
    assert caught.value.retry_after == 9.0
