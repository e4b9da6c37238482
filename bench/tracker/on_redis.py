"""What storage ``redis`` does on this machine: ``python -m bench.tracker.on_redis [speed|memory|need ...]``.

speed: heartbeats that one tracker process answers with storage json and with redis, and two processes with
redis; the load comes from two processes of their own. memory: bytes in Redis for each node and each of
its files, secrets and all. need: how long NEED takes among 50,000 owners of a file.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.tracker.kills import tracker_in
from bench.tracker.several import on_redis, redis_running
from bench.wsgi import WARM_UP, load
from common.messages import OwnedFile
from faults.redis_server import RedisServer
from tracker.decisions import Caller, Receipt, Rules
from tracker.storage.redis_store import RedisStore

ROUNDS = 3
SECONDS = 5.0  # of load
LOADERS = 2  # processes that make it
FILES = 5  # of a node
OWNERS = 50_000
THREADS = 4  # that fill Redis
UNSYNCED = ("--appendonly", "no")
FOR_EVER = Rules(silence=1e6)


@dataclass(frozen=True)
class Speed:
    """What trackers answered together, and the processor time that each answer took."""

    rate: float  # heartbeats a second
    tracker: float  # seconds of a core, of all trackers
    redis: float  # the same of Redis


def measure(storages: Sequence[dict[str, str]], server: RedisServer) -> Speed:
    """LOADERS processes load as many trackers as there are settings."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ports, trackers = [], []
        for number, settings in enumerate(storages):
            own = Path(folder) / str(number)
            own.mkdir()
            process, port = stack.enter_context(tracker_in(own, **settings))
            ports.append(port)
            trackers.append(process.pid)
        assert server.process is not None
        before = _cpu(trackers), _cpu([server.process.pid])
        rates = [float(told) for told in _load(ports * (LOADERS // len(ports)))]
        after = _cpu(trackers), _cpu([server.process.pid])
        answers = sum(rates) * (SECONDS + WARM_UP)
        return Speed(sum(rates), (after[0] - before[0]) / answers, (after[1] - before[1]) / answers)


def _load(ports: Sequence[int]) -> list[str]:
    command = [sys.executable, "-m", "bench.tracker.on_redis", "--load"]
    loads = [subprocess.Popen([*command, str(port)], stdout=subprocess.PIPE, text=True) for port in ports]
    return [process.communicate()[0] for process in loads]


def _cpu(pids: Sequence[int]) -> float:
    used = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(times.user + times.system for times in used))


def speeds() -> dict[str, Speed]:
    """The median round of each set-up."""
    with redis_running() as server:
        setups: dict[str, list[dict[str, str]]] = {
            "1 process, json": [{}],
            "1 process, redis": [on_redis(server)],
            "2 processes, redis": [on_redis(server), on_redis(server)],
        }
        measured: dict[str, list[Speed]] = {name: [] for name in setups}
        for _ in range(ROUNDS):
            for name, storages in setups.items():
                measured[name].append(measure(storages, server))
    middle = ROUNDS // 2
    return {name: sorted(all_, key=lambda speed: speed.rate)[middle] for name, all_ in measured.items()}


def speed() -> Iterator[str]:
    """A line each."""
    found = speeds()
    for name, one in found.items():
        yield (
            f"{name:<20}{one.rate:>8,.0f} REGISTER/s; each takes {1e6 * one.tracker:,.0f} us in a tracker, "
            f" {1e6 * one.redis:,.0f} us in Redis"
        )
    json, alone, two = found.values()
    yield (
        f"2 processes ÷ 1: {two.rate / alone.rate:.2f} on {os.cpu_count()} cores with Redis and load, "
        f"{min(2 * alone.tracker / two.tracker, 2):.2f} by processor time where there are more; "
        f"1 on redis ÷ 1 on json: {alone.rate / json.rate:.2f}"
    )


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
        server.client.config_resetstat()
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
            f"p99 {1e3 * times[len(times) * 99 // 100]:.2f} ms, of which Redis "
            f"{stats['usec_per_call'] / 1e3:.2f} ms on average"
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
