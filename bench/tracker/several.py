"""Several tracker processes on one Redis, of which one is killed at random moments under load. All
acknowledged writes must survive, and the remaining trackers must not be disturbed.

    python -m bench.tracker.several --kills 200
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import redis

from bench import report
from bench.judging import Figure, exit_code
from bench.tracker.effort import FULL, Effort
from bench.tracker.kills import HOST, MOST_SAID, AcknowledgedNode, Result, Worker, tracker_in
from faults.redis_server import RedisServer

PATIENCE = 20.0  # seconds
KEPT = (
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
)  # in memory (see RedisServer): costs next to nothing


@contextlib.contextmanager
def redis_running(*options: str) -> Iterator[RedisServer]:
    """A server of one's own."""
    server = RedisServer(*(options or KEPT))
    try:
        server.start()
        yield server
    finally:
        server.close()


def on_redis(server: RedisServer) -> dict[str, str]:
    """The settings of a tracker that uses it."""
    return {"TRACKER_STORAGE": "redis", "REDIS_URL": server.url}


def kill_one_of_two(folder: Path, server: RedisServer, kills: int, seed: int, longest: float = 0.4) -> Result:
    """Kill the second of two trackers under load, ``kills`` times, and compare after each kill. The first
    tracker works throughout, and the second tracker's workers then continue with it.

    ``Result.lost`` has a line for whatever was lost, and for each request that the lasting tracker did not
    answer as it should.
    """
    rng = random.Random(seed)
    result = Result()
    crew, lasting_crew = [Worker(number, seed) for number in range(6)], Worker(6, seed)
    with tracker_in(folder, **on_redis(server)) as (lasting, lasting_port):
        undisturbed = threading.Thread(target=lasting_crew.work, args=(lasting_port,))
        undisturbed.start()
        for _ in range(kills):
            _load_and_kill(folder, server, crew, result, rng.uniform(0.02, longest))
            found = found_in(server.client)
            for worker in crew:
                result.lost += worker.settle(found)
            result.lost += _go_on(crew, lasting_port)
        if not undisturbed.is_alive():
            result.lost.append("the lasting tracker refused or broke off a request")
        lasting.kill()
        undisturbed.join()
        _wait_until_gone(server.client, lasting.pid)
        result.lost += lasting_crew.settle(found_in(server.client))
    result.acknowledged = sum(worker.acknowledged for worker in [*crew, lasting_crew])
    return result


def _load_and_kill(
    folder: Path, server: RedisServer, crew: list[Worker], result: Result, seconds: float
) -> None:
    begin = time.monotonic()
    with tracker_in(folder, **on_redis(server)) as (doomed, port):
        result.slowest_start = max(result.slowest_start, time.monotonic() - begin)
        threads = [threading.Thread(target=worker.work, args=(port,)) for worker in crew]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        doomed.kill()
        for thread in threads:
            thread.join()
        _wait_until_gone(server.client, doomed.pid)
    result.kills += 1


def _go_on(crew: list[Worker], port: int) -> list[str]:
    """One request of each worker through the remaining tracker; returns the failures."""
    failed = []
    for worker in crew:
        with contextlib.closing(http.client.HTTPConnection(HOST, port, timeout=PATIENCE)) as connection:
            try:
                worker.request(connection)
            except (OSError, http.client.HTTPException) as error:
                failed.append(f"the tracker that is left answered {error!r}")
    return failed


def _wait_until_gone(client: redis.Redis, pid: int) -> None:
    """Until Redis has carried out, and let go of, all that a killed tracker had sent."""
    deadline = time.monotonic() + PATIENCE
    while any(other["name"] == f"tracker-{pid}" for other in client.client_list()):
        if time.monotonic() > deadline:
            raise TimeoutError("Redis still has connections of a tracker that was killed")
        time.sleep(0.005)


def found_in(client: redis.Redis) -> dict[int, AcknowledgedNode]:
    """The nodes recorded in Redis."""
    found = {}
    for key in client.scan_iter("{tracker}:node:*", count=1000):
        node_id = int(key.rpartition(":")[2])
        uploads = int(client.hget(key, "uploads") or 0)
        said: list[str] = client.hvals(f"{{tracker}}:has:{node_id}")  # type: ignore[assignment]  # decoded
        found[node_id] = AcknowledgedNode(True, uploads, frozenset(about.partition(":")[2] for about in said))
    return found


def several(effort: Effort = FULL) -> Iterator[Figure]:
    """One of two trackers is killed again and again; losses go to standard error."""
    with tempfile.TemporaryDirectory() as folder, redis_running() as server:
        result = kill_one_of_two(Path(folder), server, effort.redis_kills, effort.seed)
    for line in result.lost[:MOST_SAID]:
        print(line, file=sys.stderr)
    yield from result.figures("one of two on Redis killed")


def main() -> int:
    """Print the result; 1 if anything is lost."""
    parser = argparse.ArgumentParser(prog="python -m bench.tracker.several")
    parser.add_argument("--kills", type=int, default=FULL.redis_kills)
    parser.add_argument("--seed", type=int, default=FULL.seed)
    options = parser.parse_args()
    rows = list(several(replace(FULL, redis_kills=options.kills, seed=options.seed)))
    report.show(rows, "kill -9 of one tracker of two on Redis")
    return exit_code(rows)


if __name__ == "__main__":
    sys.exit(main())
