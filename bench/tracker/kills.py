"""kill -9 at random moments of a real tracker under load: acknowledged writes must survive.

    python -m bench.tracker.kills --kills 1000

Each worker is a few nodes that own, upload and leave as fast as they are answered, and it remembers the
answers. Then the process is killed, a copy of its database is read and compared, and the next tracker starts
on the database itself and goes on. A request that was not answered may be in or not, whole or not at all.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import report
from bench.judging import Figure, at_most, exit_code
from bench.tracker.effort import FULL, Effort
from tracker.storage.sqlite import DATABASE, open_database

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
PATIENCE = 30.0  # seconds for one answer, or a start
NODES = 3  # of a worker
MOST_SAID = 20  # lines about what was lost
MAX_OWNED = 40  # files of a node; then it leaves and comes back
SETTINGS = {  # no limit on what one address may do: all the load comes from one
    "TRACKER_TIME_INTERVAL": "3600",
    "ADDRESS_RATE": "1000000",
    "NODE_RATE": "1000000",
}


@dataclass(frozen=True)
class AcknowledgedNode:
    """The state of a node by the answers that its worker got."""

    inside: bool = False
    uploads: int = 0
    files: frozenset[str] = frozenset()


@dataclass
class Result:
    """The outcome of all kills."""

    kills: int = 0
    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)  # a line each
    slowest_start: float = 0.0  # seconds until a tracker reported its start

    def figures(self, killed: str) -> list[Figure]:
        """The bounds on ``killed``, the name of the killed process."""
        note = f"{self.acknowledged:,} acknowledged, {self.kills:,} kills"
        lost = f"{killed}: writes lost"
        return [
            Figure(lost, len(self.lost), "writes", bounds=at_most(0), note=note),
            Figure(f"{killed}: slowest start", self.slowest_start, "s"),
        ]


class Worker:
    """A few nodes, one request at a time; ``before`` and ``after`` the one that is under way."""

    def __init__(self, number: int, seed: int) -> None:
        self._rng = random.Random(f"{seed} {number}")
        first = 1 + number * NODES
        self.known = {node_id: AcknowledgedNode() for node_id in range(first, first + NODES)}
        self.perhaps: dict[int, AcknowledgedNode] = {}  # the state if the request in flight was carried out
        self.acknowledged = 0

    def work(self, port: int) -> None:
        """Until the tracker is gone."""
        connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
        try:
            while True:
                self.request(connection)
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()

    def settle(self, found: dict[int, AcknowledgedNode]) -> list[str]:
        """Compare with the state found and continue from it; returns a line for each loss."""
        lost = []
        for node_id, known in self.known.items():
            now = found.get(node_id, AcknowledgedNode())
            if now not in (known, self.perhaps.get(node_id, known)):
                lost.append(f"node {node_id}: {known} was acknowledged, {now} is there")
            self.known[node_id] = now
        self.perhaps.clear()
        return lost

    def request(self, connection: http.client.HTTPConnection) -> None:
        """One, and its answer; HTTPException if that is not 200."""
        node_id = self._rng.choice(list(self.known))
        body, after = self._next(node_id, self.known[node_id])
        self.perhaps[node_id] = after
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/tracker", json.dumps({"node_id": node_id, **body}), headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise http.client.HTTPException(f"{answer.status} {text!r}")
        self.known[node_id] = self.perhaps.pop(node_id)
        self.acknowledged += 1

    def _next(self, node_id: int, known: AcknowledgedNode) -> tuple[dict[str, Any], AcknowledgedNode]:
        addr = [HOST, 10_000 + node_id]
        if not known.inside:
            return {"mode": "REGISTER", "addr": addr}, replace(known, inside=True)
        if len(known.files) >= MAX_OWNED:
            return {"mode": "EXIT"}, AcknowledgedNode()
        if self._rng.random() < 0.3:
            return {"mode": "UPDATE", "filename": "f"}, replace(known, uploads=known.uploads + 1)
        names = [f"{self._rng.getrandbits(48):x}.mp4" for _ in range(self._rng.choice([1, 1, 3]))]
        files = [{"filename": name, "info_hash": os.urandom(20).hex(), "size": 9} for name in names]
        return {"mode": "OWN", "addr": addr, "files": files}, replace(known, files=known.files | {*names})


def kill_often(folder: Path, kills: int, seed: int, workers: int = 8, longest: float = 0.4) -> Result:
    """``kills`` times: start, load for up to ``longest`` seconds, kill, compare."""
    rng = random.Random(seed)
    crew = [Worker(number, seed) for number in range(workers)]
    result = Result()
    for _ in range(kills):
        begin = time.monotonic()
        with tracker_in(folder) as (process, port):
            result.slowest_start = max(result.slowest_start, time.monotonic() - begin)
            threads = [threading.Thread(target=worker.work, args=(port,)) for worker in crew]
            for thread in threads:
                thread.start()
            time.sleep(rng.uniform(0, longest))
            process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
            for thread in threads:
                thread.join()
        result.kills += 1
        found = found_in(folder / "db")
        for worker in crew:
            result.lost += worker.settle(found)
    result.acknowledged = sum(worker.acknowledged for worker in crew)
    return result


def found_in(folder: Path) -> dict[int, AcknowledgedNode]:
    """The records a tracker would find, read from a copy: recovery of the database itself is left to the next
    tracker."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as copy:
        for path in folder.glob(f"{DATABASE}*"):
            shutil.copy(path, copy)
        database = open_database(Path(copy))
        contents = database.load()
        database.close()
    files: dict[int, set[str]] = {node.node_id: set() for node in contents.nodes}
    for file, node_ids in contents.owned:
        for node_id in node_ids:
            files[node_id].add(file.filename)
    return {
        node.node_id: AcknowledgedNode(True, node.uploads, frozenset(files[node.node_id]))
        for node in contents.nodes
    }


@contextmanager
def tracker_in(folder: Path, at: str = "0", **settings: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A tracker process with its records and log in ``folder``, and its port (``at``; 0: a free one).

    ``SAVE_INTERVAL`` among the settings replaces the constant of that name. Killed in the end.
    """
    places = {"TRACKER_DB_DIR": str(folder / "db"), "LOGS_DIR": str(folder / "logs")}
    with subprocess.Popen(
        [sys.executable, *_program(settings.pop("SAVE_INTERVAL", "")), "--host", HOST, "--port", at],
        cwd=ROOT,
        env={**os.environ, **SETTINGS, **places, **settings},
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if "started" not in line:
                raise RuntimeError("the tracker did not start")
            yield process, int(line.rpartition(":")[2])
        finally:
            process.kill()


def _program(save_interval: str) -> list[str]:
    if not save_interval:
        return [str(ROOT / "tracker.py")]
    code = (
        "import sys; from tracker import bootstrap, cli;"
        f"bootstrap.SAVE_INTERVAL = {save_interval}; sys.exit(cli.main())"
    )
    return ["-c", code]


def kills(effort: Effort = FULL) -> Iterator[Figure]:
    """On a real disk, not in memory; losses go to standard error."""
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".bench-") as folder:
        result = kill_often(Path(folder), effort.kills, effort.seed)
    for line in result.lost[:MOST_SAID]:
        print(line, file=sys.stderr)
    yield from result.figures("tracker killed")


def main() -> int:
    """Print the result; 1 if anything is lost."""
    parser = argparse.ArgumentParser(prog="python -m bench.tracker.kills")
    parser.add_argument("--kills", type=int, default=FULL.kills)
    parser.add_argument("--seed", type=int, default=FULL.seed)
    options = parser.parse_args()
    rows = list(kills(replace(FULL, kills=options.kills, seed=options.seed)))
    report.show(rows, "kill -9 under load")
    return exit_code(rows)


if __name__ == "__main__":
    sys.exit(main())
