"""What storage ``redis`` does on this machine: ``python -m bench.tracker.on_redis [speed|memory|need ...]``.

speed: heartbeats that one tracker process answers with storage json and with redis, and two processes with
redis; the load comes from two processes of their own. memory: bytes in Redis for each node and each of
its files, secrets and all. need: how long NEED takes among 50,000 owners of a file.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from bench.tracker.kills import tracker_in
from bench.tracker.several import on_redis, redis_running
from bench.wsgi import load
from common.messages import OwnedFile
from faults.redis_server import RedisServer
from tracker.decisions import Caller, Receipt, Rules
from tracker.storage.redis_store import RedisStore

ROUNDS = 3
SECONDS = 4.0  # of load
LOADERS = 2  # processes that make it
FILES = 5  # of a node
OWNERS = 50_000
THREADS = 4  # that fill Redis
UNSYNCED = ("--appendonly", "no")
FOR_EVER = Rules(silence=1e6)


def rate(storages: Sequence[dict[str, str]]) -> float:
    """Heartbeats a second that trackers answer together, one for each of the settings."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ports = []
        for number, settings in enumerate(storages):
            own = Path(folder) / str(number)
            own.mkdir()
            ports.append(stack.enter_context(tracker_in(own, **settings))[1])
        ports *= LOADERS // len(ports)  # the same load for all
        loads = [
            subprocess.Popen(
                [sys.executable, "-m", "bench.tracker.on_redis", "--load", str(port)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for port in ports
        ]
        return sum(float(process.communicate()[0]) for process in loads)


def speed() -> Iterator[str]:
    """A line each."""
    with redis_running() as server:
        setups: dict[str, list[dict[str, str]]] = {
            "1 process, json": [{}],
            "1 process, redis": [on_redis(server)],
            "2 processes, redis": [on_redis(server), on_redis(server)],
        }
        rates: dict[str, list[float]] = {name: [] for name in setups}
        for _ in range(ROUNDS):
            for name, storages in setups.items():
                rates[name].append(rate(storages))
    json, one, two = (statistics.median(values) for values in rates.values())
    for name, values in rates.items():
        rounds = ", ".join(f"{value:,.0f}" for value in values)
        yield f"{name:<20}{statistics.median(values):>8,.0f} REGISTER/s, of {rounds}"
    yield f"2 processes ÷ 1: {two / one:.2f}; redis ÷ json: {one / json:.2f}; {os.cpu_count()} cores"


def memory(sizes: Sequence[int] = (10_000, 100_000)) -> Iterator[str]:
    """Nodes alone, then with FILES each: every file has about a hundred owners."""
    with redis_running(*UNSYNCED) as server:
        store = RedisStore(FOR_EVER, server.url)
        store.open()
        for nodes in sizes:
            server.client.flushall()
            store.open()
            empty = _used(server)
            begin = time.perf_counter()
            _in_threads(lambda n: store.register(_node(n), _node(n).proof), range(nodes))
            bare = _used(server)
            files = max(nodes * FILES // 100, 1)
            _in_threads(lambda n: store.own(_node(n), _files(n, files)), range(nodes))  # noqa: B023
            full = _used(server)
            seconds = time.perf_counter() - begin
            keys = ["{tracker}:node:7", "{tracker}:has:7"]
            sample = [server.client.memory_usage(key) for key in keys]
            yield (
                f"{nodes:>8,} nodes: {(bare - empty) / nodes:,.0f} bytes a node, "
                f"{(full - bare) / nodes / FILES:,.0f} a file of one, {(full - empty) >> 20:,} MiB in all "
                f"(MEMORY USAGE of node 7, and of its files: {sample}); {2 * nodes / seconds:,.0f} writes/s"
            )
        store.close()


def need() -> Iterator[str]:
    """The storage alone: one caller, one request after the other."""
    with redis_running(*UNSYNCED) as server:
        store = RedisStore(FOR_EVER, server.url)
        store.open()
        file = OwnedFile("lecture.mp4", "ab" * 20, 9)
        _in_threads(lambda n: store.own(_node(n), [file]), range(OWNERS))
        for n in range(0, OWNERS, 7):
            store.update(_node(n + 1), Receipt(file.filename, n, file.info_hash, 1, 1))
        times = []
        for n in range(5000):
            begin = time.perf_counter()
            found = store.need(_node(n), None, file.info_hash, 50)
            times.append(time.perf_counter() - begin)
        assert found.total == OWNERS and len(found.owners) == 50
        times.sort()
        stats = server.client.info("commandstats")["cmdstat_evalsha"]
        yield (
            f"NEED, {OWNERS:,} owners: {1e3 * times[len(times) // 2]:.2f} ms, "
            f"p99 {1e3 * times[len(times) * 99 // 100]:.2f} ms, of which all scripts took Redis "
            f"{stats['usec_per_call'] / 1e3:.3f} ms on average"
        )
        store.close()


def _used(server: RedisServer) -> int:
    return int(server.client.info("memory")["used_memory"])


def _node(number: int) -> Caller:
    address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255 or 1}"
    return Caller(number, (address, 30_000 + number % 1000), f"{number:064x}")


def _files(number: int, files: int) -> list[OwnedFile]:
    chosen = ((number * FILES + at) % files for at in range(FILES))
    return [OwnedFile(f"lecture-{file}.mp4", f"{file:040x}", 700_000_000, True) for file in chosen]


def _in_threads(act: Callable[[int], object], numbers: range) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(act, numbers, chunksize=100):
            pass


FIGURES = {"speed": speed, "memory": memory, "need": need}


def main() -> int:
    """Print the figures that are asked for, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench.tracker.on_redis")
    parser.add_argument("figures", nargs="*", help=", ".join(FIGURES))
    parser.add_argument("--load", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        print(load(options.load, SECONDS)[0])
        return 0
    if unknown := {*options.figures} - {*FIGURES}:
        parser.error(f"no figure: {', '.join(sorted(unknown))}")
    for name in options.figures or FIGURES:
        for line in FIGURES[name]():
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
