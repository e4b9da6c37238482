"""Ownership of a node id: secrets, keys and receipts between real nodes and a real tracker."""

from __future__ import annotations

import contextlib
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.errors import TrackerRefused
from node.discovery.classroom import TrackerClient

MIB = 1 << 20


def secrets_of(node: Any) -> dict[str, str]:
    """The node's file of secrets; empty without one."""
    for file in Path(node.folder).glob(".claims-*.json"):
        return dict(json.loads(file.read_text())["trackers"])
    return {}


def test_after_kill_9_a_node_is_in_again_at_once_from_another_address_too(swarm: Any) -> None:
    path = swarm.file("x.bin", 1000)
    first, torrent = swarm.share(path)
    secret = secrets_of(first)[swarm.tracker.url]
    first.kill()
    elsewhere = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
    again, _ = swarm.share(path, number=first.number)
    assert secrets_of(again)[swarm.tracker.url] == secret
    again.kill()
    moved = swarm.node("-host", elsewhere, number=first.number)
    assert moved.wait_for("started")["addr"][0] == elsewhere
    swarm.share_also(moved, path)
    swarm.wait_for_owners(torrent, first.number)
    assert swarm.fetch(torrent).end() == 0
    assert moved.stop() == 0
    assert swarm.owners(torrent) == []


def test_without_its_secret_it_is_refused_and_says_what_to_do(swarm: Any, tmp_path: Path) -> None:
    first = swarm.node()
    first.wait_for("started")
    first.kill()
    second = swarm.node("-d", str(tmp_path / "another folder"), number=first.number, json=False)
    assert second.end() == 1
    (error,) = second.errors
    assert f"node {first.number} is claimed by a secret that this folder does not have" in error
    assert "take another -node_id, or wait " in error and "Bearer" not in error


def test_nobody_else_may_speak_for_a_node(swarm: Any) -> None:
    owner, torrent = swarm.share(swarm.file("x.bin", 1000))
    addr = tuple(owner.wait_for("started")["addr"])
    stranger = TrackerClient(swarm.tracker.url, owner.number)
    for act in (
        lambda: stranger.register(addr),
        lambda: stranger.update("x.bin", owner.number),
        stranger.exit,
    ):
        with pytest.raises(TrackerRefused) as caught:
            stranger._addr = addr
            act()
        assert caught.value.status == 403
    stranger.close()
    swarm.wait_for_owners(torrent, owner.number)


def test_exit_ends_the_claim(swarm: Any, tmp_path: Path) -> None:
    first = swarm.node()
    first.wait_for("started")
    assert secrets_of(first)
    assert first.stop() == 0
    assert list(first.folder.iterdir()) == []
    second = swarm.node("-d", str(tmp_path / "another folder"), number=first.number)
    second.wait_for("started")
    assert second.stop() == 0


def test_a_class_with_a_key(make_swarm: Any, start_tracker: Any) -> None:
    swarm = make_swarm(start_tracker(SWARM_KEY="blue-whale"))
    for key, told in (("none", "is not set, or not for this tracker"), ("red-whale", "is another one")):
        stranger = swarm.node(json=False, SWARM_KEY=key)
        assert stranger.end() == 1
        assert f"; setting SWARM_KEY {told}" in stranger.errors[0] and key not in stranger.errors[0][:-20]
    path = swarm.file("x.bin", 1000)
    _, torrent = swarm.share(path, SWARM_KEY="blue-whale")
    fetcher = swarm.fetch(torrent, SWARM_KEY="blue-whale")
    assert fetcher.end() == 0
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()


class Between:
    """Passes requests on to a tracker; ``lose`` of its answers to UPDATE are lost on the way back."""

    def __init__(self, played: Any, tracker: Any, lose: int) -> None:
        self.updates = 0
        self._played, self._tracker, self._lose = played, tracker, lose
        played.answer = self.pass_on

    def pass_on(self, mode: int, fields: dict[str, Any]) -> Any:
        """The tracker's answer; None: the connection is closed without one."""
        kept = {
            name: value
            for name, value in self._played.heard[-1][2].items()
            if name in ("Authorization", "Content-Type", "X-Swarm-Key")
        }
        body = json.dumps(fields).encode()
        request = urllib.request.Request(f"{self._tracker.url}/tracker", body, kept)
        with contextlib.ExitStack() as stack:
            try:
                answer = stack.enter_context(urllib.request.urlopen(request))
            except urllib.error.HTTPError as error:
                answer = stack.enter_context(error)
            told = (answer.status, json.loads(answer.read()), {})
        if mode == 3:
            self.updates += 1
            if self.updates <= self._lose:
                return None
        return told


@pytest.mark.parametrize("lost", [1, 3], ids=["one answer lost", "three answers lost"])
def test_an_upload_counts_once_however_often_it_is_said(
    swarm: Any, play_tracker: Callable[[], Any], lost: int
) -> None:
    played = play_tracker()
    between = Between(played, swarm.tracker, lost)
    path = swarm.file("x.bin", 1000)
    owner, torrent = swarm.share(path)
    fetcher = swarm.downloading(torrent, tracker=played.url)
    fetcher.wait_for("completed")
    fetcher.wait_until("every answer lost and one not", lambda: between.updates == lost + 1)
    fetcher.ask("files")
    said = [fields["receipt"] for mode, fields, _ in played.heard if mode == 3]
    assert len(said) == lost + 1 and len(set(said)) == 1
    swarm.wait_for_uploads(torrent, {owner.number: 1, fetcher.number: 0})


def test_a_tracker_without_room_is_told_later_and_downloads_go_on(
    swarm: Any, play_tracker: Callable[[], Any]
) -> None:
    played = play_tracker()
    between = Between(played, swarm.tracker, 0)
    full = {"answers": 2}

    def answer(mode: int, fields: dict[str, Any]) -> Any:
        if mode == 1 and full["answers"]:
            full["answers"] -= 1
            return 507, {"error": "the tracker's disk is full"}, {"Retry-After": "1"}
        return between.pass_on(mode, fields)

    played.answer = answer
    path = swarm.file("x.bin", 1000)
    owner, torrent = swarm.share(path, tracker=played.url)
    swarm.wait_for_owners(torrent, owner.number)
    assert full["answers"] == 0
    assert not owner.seen("tracker_lost")  # it lives
    assert "the tracker's disk is full (the messages are sent again)" in (
        swarm.folder / "logs" / f"node{owner.number}.log"
    ).read_text("utf-8")
    assert swarm.fetch(torrent).end() == 0


def test_a_tracker_that_wants_claims_gets_them(make_swarm: Any, start_tracker: Any) -> None:
    swarm = make_swarm(start_tracker(REQUIRE_CLAIM="1"))
    owner, torrent = swarm.share(swarm.file("x.bin", 1000))
    assert swarm.fetch(torrent).end() == 0
    assert swarm.owners(torrent) == [(owner.number, 1)]
