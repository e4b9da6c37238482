"""Figures of storage ``redis``: ``python -m bench.tracker.on_redis [speed|memory|need ...]``.

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench import report
from bench.judging import Bound, Figure, exit_code
from bench.processes import ROOT
from bench.tracker.direct import own, register, update
from bench.tracker.effort import FULL, Effort
from bench.tracker.kills import tracker_in
from bench.tracker.several import on_redis, redis_running
from bench.wsgi import WARM_UP, load
from common.messages import OwnedFile
from faults.redis_server import RedisServer
from tracker.model import Caller, Receipt, Rules
from tracker.storage.redis import RedisStorage

LOADERS = 2  # processes that make the load
CORES = 2 + LOADERS + 1  # that two trackers, the load and Redis keep busy
FILES = 5  # of a node
CALLS = 5000  # of NEED
BEST = 50  # owners that it names
THREADS = 4  # that fill Redis
UNSYNCED = ("--appendonly", "no")
FOR_EVER = Rules(silence=1e6)


@dataclass(frozen=True)
class Speed:
    """Answers of all trackers together, and the processor time of an answer."""

    rate: float  # heartbeats a second
    tracker: float  # seconds of a core, of all trackers
    redis: float  # the same of Redis


def measure(storages: Sequence[dict[str, str]], server: RedisServer, seconds: float) -> Speed:
    """LOADERS processes load one tracker for each of ``storages``."""
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
        rates = [float(told) for told in _load(ports * (LOADERS // len(ports)), seconds)]
        after = _cpu(trackers), _cpu([server.process.pid])
        answers = sum(rates) * (seconds + WARM_UP)
        return Speed(sum(rates), (after[0] - before[0]) / answers, (after[1] - before[1]) / answers)


def _load(ports: Sequence[int], seconds: float) -> list[str]:
    command = [sys.executable, "-m", "bench.tracker.on_redis", "--seconds", str(seconds), "--load"]
    loads = [
        subprocess.Popen([*command, str(port)], stdout=subprocess.PIPE, text=True, cwd=ROOT) for port in ports
    ]
    return [process.communicate()[0] for process in loads]


def _cpu(pids: Sequence[int]) -> float:
    used = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(times.user + times.system for times in used))


def speeds(effort: Effort) -> dict[str, list[Speed]]:
    """The rounds of each set-up, in the order of their rates."""
    with redis_running() as server:
        setups: dict[str, list[dict[str, str]]] = {
            "1 process, json": [{}],
            "1 process, redis": [on_redis(server)],
            "2 processes, redis": [on_redis(server), on_redis(server)],
        }
        measured: dict[str, list[Speed]] = {name: [] for name in setups}
        for _ in range(effort.rounds):
            for name, storages in setups.items():
                measured[name].append(measure(storages, server, effort.seconds))
    return {name: sorted(rounds, key=lambda speed: speed.rate) for name, rounds in measured.items()}


def compared(speeds: Mapping[str, Sequence[Speed]], cores: int) -> Iterator[Figure]:
    """Each set-up, compared with the previous set-up. Two processes are judged only where there are cores for
    them."""
    before: Speed | None = None
    before_name = ""
    for name, rounds in speeds.items():
        middle = rounds[len(rounds) // 2]
        note = f"{1e6 * middle.tracker:,.0f} us of a core in a tracker, {1e6 * middle.redis:,.0f} in Redis"
        bounds: tuple[Bound, ...] = ()
        if name.startswith("2"):
            assert before is not None
            note += f"; {min(2 * before.tracker / middle.tracker, 2):.2f} by processor time; {cores} cores"
            bounds = (Bound("ratio", True, 1.6),) if cores >= CORES else ()
        rates = tuple(one.rate for one in rounds)
        reference = before.rate if before else None
        figure = f"REGISTER, {name}"
        yield Figure(figure, middle.rate, "/s", before_name, reference, bounds, note, rates)
        before, before_name = middle, name


def speed(effort: Effort = FULL) -> Iterator[Figure]:
    """Heartbeats a second."""
    yield from compared(speeds(effort), os.cpu_count() or 1)


def memory(effort: Effort = FULL) -> Iterator[Figure]:
    """Nodes alone, then with FILES each: every file has about a hundred owners."""
    with redis_running(*UNSYNCED) as server:
        for nodes in effort.redis_nodes:
            server.client.flushall()
            store = RedisStorage(FOR_EVER, server.url)
            store.open()
            yield from _filled(server, store, nodes)
            store.close()


def _filled(server: RedisServer, store: RedisStorage, nodes: int) -> Iterator[Figure]:
    empty = _used(server)
    begin = time.perf_counter()
    _in_threads(lambda n: register(store, _node(n), _node(n).proof), range(nodes))
    bare = _used(server)
    files = max(nodes * FILES // 100, 1)
    _in_threads(lambda n: own(store, _node(n), _files(n, files)), range(nodes))
    full = _used(server)
    seconds = time.perf_counter() - begin
    about = f"{nodes:,} nodes"
    yield Figure(f"Redis, {about}", full - empty, "B", note=f"{FILES} files each")
    yield Figure(f"Redis, {about}: a node", (bare - empty) / nodes, "bytes")
    yield Figure(f"Redis, {about}: an ownership", (full - bare) / nodes / FILES, "bytes")
    yield Figure(f"Redis, {about}: REGISTER and OWN", 2 * nodes / seconds, "/s", note=f"{THREADS} threads")


def need(effort: Effort = FULL) -> Iterator[Figure]:
    """The storage alone: one caller, whose requests follow each other."""
    owners = effort.redis_owners
    with redis_running(*UNSYNCED) as server:
        store = RedisStorage(FOR_EVER, server.url)
        store.open()
        file = OwnedFile("lecture.mp4", "ab" * 20, 9)
        _in_threads(lambda n: own(store, _node(n), [file]), range(owners))
        for n in range(0, owners - 1, 7):
            update(store, _node(n + 1), Receipt(file.filename, n, file.info_hash, 1, 1))
        server.client.config_resetstat()
        times = sorted(_timed_need(store, n, file, owners) for n in range(CALLS))
        in_redis = server.client.info("commandstats")["cmdstat_evalsha"]["usec_per_call"] / 1e3
        store.close()
    note = f"of which Redis {in_redis:.2f} ms on average; without HTTP"
    yield Figure(f"NEED on Redis, {owners:,} owners", 1e3 * times[CALLS // 2], "ms", note=note)
    yield Figure(f"NEED on Redis, {owners:,} owners: p99", 1e3 * times[CALLS * 99 // 100], "ms")


def _timed_need(store: RedisStorage, number: int, file: OwnedFile, owners: int) -> float:
    begin = time.perf_counter()
    found = store.search(_node(number), None, file.info_hash, BEST)
    seconds = time.perf_counter() - begin
    assert found.total == owners and len(found.owners) == BEST
    return seconds


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


FIGURES: dict[str, Callable[[], Iterator[Figure]]] = {"speed": speed, "memory": memory, "need": need}


def main() -> int:
    """Print the figures that are asked for, or all; 1 if one is short."""
    parser = argparse.ArgumentParser(prog="python -m bench.tracker.on_redis")
    parser.add_argument("figures", nargs="*", help=", ".join(FIGURES))
    parser.add_argument("--load", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        print(load(options.load, options.seconds)[0])
        return 0
    if unknown := {*options.figures} - {*FIGURES}:
        parser.error(f"no figure: {', '.join(sorted(unknown))}")
    rows = [row for name in options.figures or FIGURES for row in FIGURES[name]()]
    report.show(rows, "storage redis")
    return exit_code(rows)


if __name__ == "__main__":
    raise SystemExit(main())
