"""What it costs that an answer survives: OWN with and without a journal, snapshots, starts. Run by itself:

python -m bench.tracker.durability own | start | snapshot | threads
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.tracker.clients import Load, announcing, ask, load
from bench.tracker.kills import ROOT, tracker_in
from common.messages import OwnedFile
from tracker.records import NodeRecord, Owners
from tracker.storage.disk import SystemDisk
from tracker.storage.journal import Journal
from tracker.storage.reading import Contents
from tracker.storage.snapshot import Snapshots
from tracker.storage.upkeep import Still

CLIENTS = 32
SECONDS = 4.0
ROUNDS = 3
NODES, FILES, OWNERS = 99_900, 100_000, 5  # OWNERS of each file; room for those who announce
LARGE = "large-{}.mp4"


@dataclass(frozen=True)
class Row:
    """A figure, and what it must reach."""

    name: str
    value: float
    unit: str
    must: str

    def __str__(self) -> str:
        return f"{self.name:<66}{self.value:>10,.2f} {self.unit:<6}{self.must}"


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the disk of the project: a folder in memory would make every sync free."""
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".bench-") as folder:
        yield Path(folder)


def owning(folder: Path, settings: Mapping[str, str], seconds: float = SECONDS) -> Load:
    """CLIENTS nodes that announce as fast as they are answered, at a new tracker."""
    with tracker_in(folder, **settings) as (_, port):
        return load(port, [announcing(node_id) for node_id in range(1, CLIENTS + 1)], seconds)


def own() -> list[Row]:
    """OWN with the journal against OWN without, alternating."""
    kinds = {"memory": {"TRACKER_STORAGE": "memory"}, "json": {"STORAGE": "json"}, "os": {"SYNC": "os"}}
    loads: dict[str, list[Load]] = {kind: [] for kind in kinds}
    for _ in range(ROUNDS):
        for kind, settings in kinds.items():
            with scratch() as folder:
                loads[kind].append(owning(folder, settings))
    rate = {kind: statistics.median(one.rate for one in of) for kind, of in loads.items()}
    p99 = {kind: statistics.median(one.quantile(0.99) for one in of) for kind, of in loads.items()}
    return [
        Row(f"OWN, {CLIENTS} clients, memory", rate["memory"], "/s", ""),
        Row(f"OWN, {CLIENTS} clients, memory: p99", p99["memory"], "ms", ""),
        Row("OWN acknowledged durable (SYNC=full)", rate["json"], "/s", "about 1,500"),
        Row("OWN acknowledged durable: p99", p99["json"], "ms", "<= 50"),
        Row("OWN durable / OWN without journal", rate["json"] / rate["memory"], "", ">= 0.6"),
        Row("OWN with SYNC=os", rate["os"], "/s", ""),
    ]


def threads() -> list[Row]:
    """OWN durable by the number of threads that answer."""
    rows = []
    for number in (4, 8, 12, 16, 24, 32):
        loads = []
        for _ in range(ROUNDS):
            with scratch() as folder:
                loads.append(owning(folder, {"TRACKER_THREADS": str(number)}, 3.0))
        rate = statistics.median(one.rate for one in loads)
        p99 = statistics.median(one.quantile(0.99) for one in loads)
        rows.append(Row(f"OWN durable, {number} threads (p99 {p99:.1f} ms)", rate, "/s", ""))
    return rows


def large(folder: Path) -> None:
    """Records of NODES nodes and FILES * OWNERS ownerships."""
    rng = random.Random(1)
    nodes = [
        NodeRecord(node_id, (f"10.{node_id >> 16}.{node_id >> 8 & 255}.{node_id & 255}", 30_000), node_id % 7)
        for node_id in range(1000, 1000 + NODES)
    ]
    owned: list[Owners] = []
    for number in range(FILES):
        file = OwnedFile(LARGE.format(number), f"{number:040x}", 1000 * number)
        owned.append((file, rng.sample(range(1000, 1000 + NODES), OWNERS)))
    disk = SystemDisk()
    disk.make_folder(folder)
    journal = Journal(disk, folder, durable=True)
    journal.begin(1, 0)
    Snapshots(disk, folder, {}).write(Still(Contents(nodes=nodes, owned=owned)), 1)
    journal.close()


def first_need(folder: Path) -> float:
    """Seconds from the start of a tracker's process until it has answered NEED."""
    begin = time.monotonic()
    with tracker_in(folder) as (_, port):
        status, answer = ask(port, {"mode": 2, "node_id": 1, "filename": LARGE.format(7)})
        taken = time.monotonic() - begin
    assert status == 200 and len(answer["search_result"]) == OWNERS, answer
    return taken


def start() -> list[Row]:
    """The first NEED after a clean end; and after a kill, with a journal to replay."""
    with scratch() as folder:
        large(folder / "db")
        clean = statistics.median(first_need(folder) for _ in range(ROUNDS))
        with tracker_in(folder, TRACKER_SAVE_INTERVAL="3600") as (_, port):
            records = load(port, [announcing(node_id) for node_id in range(1, CLIENTS + 1)], 20.0)
        killed = first_need(folder)
    return [
        Row(f"start, {NODES:,} nodes + {FILES * OWNERS:,} ownerships, first NEED", clean, "s", "<= 3"),
        Row(f"the same after a kill, {len(records.times):,} records to replay", killed, "s", ""),
    ]


def snapshot() -> list[Row]:
    """OWN while snapshots of NODES nodes are taken, against OWN while none is."""
    with scratch() as folder:
        large(folder / "db")
        quiet = owning(folder, {"TRACKER_SAVE_INTERVAL": "3600"})
    with scratch() as folder:
        large(folder / "db")
        busy = owning(folder, {"TRACKER_SAVE_INTERVAL": "0.1"})
    return [
        Row("OWN durable at this size, no snapshot", quiet.rate, "/s", ""),
        Row("OWN durable at this size, no snapshot: p99", quiet.quantile(0.99), "ms", ""),
        Row("OWN durable while a snapshot is taken", busy.rate, "/s", ""),
        Row("OWN durable while a snapshot is taken: p99", busy.quantile(0.99), "ms", ""),
    ]


def main() -> int:
    """Print the rows that are asked for, or all."""
    kinds = {"own": own, "start": start, "snapshot": snapshot, "threads": threads}
    for name in sys.argv[1:] or kinds:
        for row in kinds[name]():
            print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
