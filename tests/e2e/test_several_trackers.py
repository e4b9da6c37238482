"""A tracker that runs as several processes: whichever answers is asked, and the first is returned to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from common.metainfo import decode_metainfo
from faults import redis_server
from faults.redis_server import RedisServer

MB = 10**6
MIB = 1 << 20
QUICK = {"TRACKER_TIME_INTERVAL": "2"}


def test_the_first_is_dead_from_the_beginning(make_swarm: Any, start_tracker: Any) -> None:
    dead, alive = start_tracker(), start_tracker()
    dead.stop()
    swarm = make_swarm(alive)
    both = f"{dead.url},{alive.url}"
    path = swarm.file("x.bin", 1000)
    owner, torrent = swarm.share(path, tracker=both)
    moved = owner.wait_for("tracker_moved", url=alive.url, before=dead.url)
    assert moved["reason"] == f"tracker {dead.url} does not answer (connection refused)"
    assert not owner.seen("tracker_lost")
    (row,) = owner.ask("peers")["trackers"]
    assert (row["url"], row["urls"]) == (alive.url, [dead.url, alive.url])
    assert row["answers"] and row["state"] == "answers" and row["silent_for"] < 30
    metainfo = decode_metainfo(torrent.read_bytes())
    assert metainfo.trackers == (f"{dead.url}/announce", f"{alive.url}/announce")
    fetcher = swarm.fetch(torrent, tracker=alive.url)  # the torrent's second one is its own
    assert fetcher.end() == 0
    assert swarm.owners(torrent) == [(owner.number, 1)]
    assert owner.stop() == 0
    assert swarm.owners(torrent) == []  # EXIT reached the one that answers


def test_the_first_dies_in_the_middle_of_a_download_and_comes_back(
    make_swarm: Any, start_tracker: Any, slow: dict[str, str], frozen_in_the_middle: Callable[..., None]
) -> None:
    """These two share no records: the node repeats everything to the second."""
    first, second = start_tracker(**QUICK), start_tracker(**QUICK)
    both = f"{first.url},{second.url}"
    swarm = make_swarm(second)
    path = swarm.file("x.bin", 6 * MIB)
    owner, torrent = swarm.share(path, tracker=both)
    fetcher = swarm.downloading(torrent, tracker=both, **slow)
    frozen_in_the_middle(fetcher)
    first.kill()
    owner.wait_for("tracker_moved", url=second.url)
    swarm.wait_for_owners(torrent, owner.number)
    fetcher.thaw()
    fetcher.wait_for("completed")
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    swarm.wait_for_uploads(torrent, {owner.number: 1, fetcher.number: 0})
    first.restart()
    for node in (owner, fetcher):
        node.wait_for("tracker_moved", url=first.url, before=second.url, reason="")
        assert not node.seen("tracker_lost")


@pytest.fixture
def on_one_redis() -> Iterator[dict[str, str]]:
    """Settings of trackers that share a Redis, over TCP."""
    if redis_server.program() is None:
        pytest.skip("neither redis-server nor valkey-server is installed")
    server = RedisServer("--appendonly", "yes", "--appendfsync", "always")
    server.start()
    yield {"TRACKER_STORAGE": "redis", "REDIS_URL": server.listen()}
    server.close()


def test_of_two_on_one_redis_the_one_in_use_is_killed_in_the_middle_of_a_download(
    make_swarm: Any, start_tracker: Any, on_one_redis: dict[str, str]
) -> None:
    """No node repeats anything: the records of the dead tracker are known to the second."""
    first, second = (start_tracker(**on_one_redis) for _ in range(2))
    both = f"{first.url},{second.url}"
    swarm = make_swarm(second)
    path = swarm.file("x.bin", 5 * MB)
    owner, torrent = swarm.share(path, "-up", "1MB", tracker=both)
    fetcher = swarm.downloading(torrent, tracker=both)
    fetcher.wait_for("piece")
    for node in (owner, fetcher):
        (row,) = node.ask("peers")["trackers"]
        assert row["url"] == first.url
    first.kill()
    assert not fetcher.seen("completed"), "too fast for the tracker to be killed in the middle"
    assert (owner.number, 0) in swarm.owners(torrent)
    fetcher.wait_for("completed")
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    swarm.wait_for_uploads(torrent, {owner.number: 1, fetcher.number: 0})
    assert fetcher.seen("tracker_moved", url=second.url, before=first.url)
    assert not fetcher.seen("tracker_lost")
    assert [node.stop() for node in (fetcher, owner)] == [0, 0]
    assert (
        swarm.owners(torrent) == []
    )  # EXIT reached the survivor, of the owner that never spoke to it before


def test_only_when_none_answers_it_is_lost(make_swarm: Any, start_tracker: Any) -> None:
    first, second = start_tracker(**QUICK), start_tracker(**QUICK)
    node = make_swarm(first).node(tracker=f"{first.url},{second.url}")
    node.wait_for("started")
    first.kill()
    second.kill()
    reason = node.wait_for("tracker_lost")["reason"]
    assert reason == (
        f"tracker {first.url} does not answer (connection refused), "
        f"tracker {second.url} does not answer (connection refused); is it running?"
    )
    (row,) = node.ask("peers")["trackers"]
    assert row["answers"] is False
    second.restart()
    node.wait_for("tracker_back")
    assert node.stop() == 0
