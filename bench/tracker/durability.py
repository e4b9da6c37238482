"""The cost of durable answers: OWN with and without a database, exports, starts. Run by itself:

python -m bench.tracker.durability own | start | export | threads
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench import report
from bench.judging import Bound, Figure, at_least, at_most, exit_code
from bench.tracker.clients import Load, announcing, ask, load
from bench.tracker.effort import FULL, Effort
from bench.tracker.kills import ROOT, tracker_in
from common.messages import OwnedFile
from tracker.model import NodeRecord, Owners
from tracker.storage.base import Records
from tracker.storage.sqlite import open_database

CLIENTS = 32
OWNERS = 5  # of each file
ROOM = 100  # nodes below the limit, so that CLIENTS can announce
FIRST = 1000  # node_id of the first recorded node
LARGE = "large-{}.mp4"


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the disk of the project: a folder in memory would make every sync free."""
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".bench-") as folder:
        yield Path(folder)


def owning(folder: Path, settings: Mapping[str, str], seconds: float) -> Load:
    """CLIENTS nodes that announce as fast as they are answered, at a new tracker."""
    with tracker_in(folder, **settings) as (_, port):
        return load(port, [announcing(node_id) for node_id in range(1, CLIENTS + 1)], seconds)


def rates(loads: Iterable[Load]) -> tuple[float, ...]:
    """Answers a second of each."""
    return tuple(one.rate for one in loads)


def p99(name: str, loads: Iterable[Load], bounds: tuple[Bound, ...] = ()) -> Figure:
    """The row below a rate."""
    waits = tuple(one.quantile(0.99) for one in loads)
    return Figure(f"{name}: p99", statistics.median(waits), "ms", bounds=bounds, rounds=waits)


def own(effort: Effort = FULL) -> Iterator[Figure]:
    """OWN on SQLite against OWN in memory only, alternating."""
    kinds = {"memory": {"TRACKER_STORAGE": "memory"}, "sqlite": {}, "os": {"SYNC": "os"}}
    loads: dict[str, list[Load]] = {kind: [] for kind in kinds}
    for _ in range(effort.rounds):
        for kind, settings in kinds.items():
            with scratch() as folder:
                loads[kind].append(owning(folder, settings, effort.seconds))
    memory, durable, relaxed = (rates(loads[kind]) for kind in kinds)
    base = statistics.median(memory)
    bounds = (Bound("ratio", True, 0.6), *at_least(1500))
    yield Figure("OWN in memory", base, "/s", note=f"{CLIENTS} clients", rounds=memory)
    yield p99("OWN in memory", loads["memory"])
    yield Figure("OWN durable", statistics.median(durable), "/s", "in memory", base, bounds, rounds=durable)
    yield p99("OWN durable", loads["sqlite"], at_most(50))
    yield Figure("OWN, SYNC=os", statistics.median(relaxed), "/s", "in memory", base, rounds=relaxed)


def threads(effort: Effort = FULL) -> Iterator[Figure]:
    """OWN durable by the number of threads that answer."""
    for number in effort.threads:
        loads = []
        for _ in range(effort.rounds):
            with scratch() as folder:
                loads.append(owning(folder, {"TRACKER_THREADS": str(number)}, effort.seconds))
        name = f"OWN durable, {number} threads"
        yield Figure(name, statistics.median(rates(loads)), "/s", rounds=rates(loads))
        yield p99(name, loads)


def large(folder: Path, count: int) -> None:
    """Records of nearly ``count`` nodes and of as many files, each with OWNERS owners.

    Every second node is claimed, because the limit on unclaimed nodes is lower.
    """
    rng = random.Random(1)
    ids = range(FIRST, FIRST + count - ROOM)
    nodes = [
        NodeRecord(
            node_id,
            (f"10.{node_id >> 16}.{node_id >> 8 & 255}.{node_id & 255}", 30_000),
            uploads=node_id % 7,
            secret=f"{node_id:064x}" if node_id % 2 else None,
        )
        for node_id in ids
    ]
    owned: list[Owners] = []
    for number in range(count):
        file = OwnedFile(LARGE.format(number), f"{number:040x}", 1000 * number)
        owned.append((file, rng.sample(ids, OWNERS)))
    database = open_database(folder)
    database.replace(Records(nodes, owned))
    database.close()


def first_need(folder: Path) -> float:
    """Seconds from the start of a tracker's process until it has answered NEED."""
    begin = time.monotonic()
    with tracker_in(folder) as (_, port):
        status, answer = ask(port, {"mode": 2, "node_id": 1, "filename": LARGE.format(7)})
        taken = time.monotonic() - begin
    assert status == 200 and len(answer["search_result"]) == OWNERS, answer
    return taken


def start(effort: Effort = FULL) -> Iterator[Figure]:
    """The first NEED after a clean end; and after a kill, with a WAL to recover."""
    with scratch() as folder:
        large(folder / "db", effort.nodes)
        clean = tuple(first_need(folder) for _ in range(effort.rounds))
        with tracker_in(folder, SAVE_INTERVAL="3600") as (_, port):
            bodies = [announcing(node_id) for node_id in range(1, CLIENTS + 1)]
            records = load(port, bodies, effort.replay_seconds)
        killed = first_need(folder)
    size = f"{effort.nodes - ROOM:,} nodes, {effort.nodes * OWNERS:,} ownerships"
    yield Figure(
        "start to first NEED", statistics.median(clean), "s", bounds=at_most(4), note=size, rounds=clean
    )
    yield Figure("  after a kill", killed, "s", note=f"{len(records.times):,} commits before it")


def export(effort: Effort = FULL) -> Iterator[Figure]:
    """OWN while the JSON files of very many nodes are written, against OWN while they are not."""
    loads = {}
    for interval in ("3600", "0.1"):
        with scratch() as folder:
            large(folder / "db", effort.nodes)
            loads[interval] = owning(folder, {"SAVE_INTERVAL": interval}, effort.seconds)
    quiet, busy = loads.values()
    yield Figure("OWN durable, no export", quiet.rate, "/s", note=f"{effort.nodes - ROOM:,} nodes")
    yield p99("OWN durable, no export", [quiet])
    yield Figure("OWN durable, exports", busy.rate, "/s", "no export", quiet.rate)
    yield p99("OWN durable, exports", [busy])


FIGURES: dict[str, Callable[[], Iterator[Figure]]] = {
    "own": own,
    "start": start,
    "export": export,
    "threads": threads,
}


def main() -> int:
    """Print the rows that are asked for, or all; 1 if one is short."""
    rows = [row for name in sys.argv[1:] or FIGURES for row in FIGURES[name]()]
    report.show(rows, "answers that survive")
    return exit_code(rows)


if __name__ == "__main__":
    sys.exit(main())
