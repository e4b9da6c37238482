"""A tracker under attack: 1,000 slow clients and 1,000,000 forged ids, while a class works.

    python -m bench.tracker.siege [--ids 1000000] [--clients 1000]

The class has NODES nodes with claimed ids and one file. They send heartbeats and NEEDs, and sometimes open a
new connection, all from one address. Measured before and during the siege: the time to each honest answer,
the nodes that the tracker forgot, and the tracker's memory. The forger is faster than a real attacker: it
sends many requests in a packet, over loopback. Half of its ids come from one address, half from 64.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from bench import report
from bench.judging import Figure, at_most, exit_code
from bench.processes import Child, Children
from bench.tracker.effort import FULL, Effort
from labs.tracker_api import Tracker

NODES = 200
THREADS = 8  # of the class
BEAT = 2.0  # seconds between two heartbeats of a node; ten times as often as the tracker asks for
CALM = 5.0  # seconds of measuring before the siege
PATIENCE = 1000.0  # seconds for the whole measurement
PORT_TAKEN_BY = "Tracker program started: http://127.0.0.1:"
ADDRESSES = (1, 64)  # of the two halves of the forged ids
MOST_WAIT = 500  # milliseconds, p99 of honest requests
MOST_MEMORY = 300 << 20  # bytes of the tracker


@dataclass
class Siege:
    """The measurement."""

    calm: list[float] = field(default_factory=list)  # seconds of each honest request
    besieged: list[float] = field(default_factory=list)
    failed: int = 0  # honest requests with another status than 200
    forgotten: int = 0  # heartbeats of nodes that the tracker had forgotten
    owners: int = 0  # that NEED found at the end
    memory_before: int = 0  # bytes
    memory_most: int = 0
    seconds: float = 0.0  # of the siege
    answers: dict[str, int] = field(default_factory=dict)  # to the forgers, by status
    slow_connections: int = 0


class Class(threading.Thread):
    """A share of the honest nodes."""

    def __init__(self, port: int, nodes: list[Tracker], siege: Siege, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._port, self._nodes, self._siege, self._stop_now = port, nodes, siege, stop
        self.times = siege.calm

    def run(self) -> None:
        """Send requests until stopped."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        pause, count = BEAT / len(self._nodes), 0
        while not self._stop_now.is_set():
            for node in self._nodes:
                begun = time.monotonic()
                count += 1
                if count % 10 == 0:
                    connection.close()
                self._ask(connection, node, "/need" if count % 4 == 0 else "/register")
                self._stop_now.wait(max(0.0, begun + pause - time.monotonic()))
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, node: Tracker, path: str) -> None:
        body = {"node_id": node.node_id, "addr": node.addr, "filename": "lecture.mp4"}
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {node.secret}"}
        begun = time.perf_counter()
        try:
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            fields = json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            connection.close()
            self._siege.failed += 1
            return
        self.times.append(time.perf_counter() - begun)
        self._siege.failed += answer.status != 200
        self._siege.forgotten += path == "/register" and not fields.get("known")


def besiege(ids: int, clients: int) -> Siege:
    """Run the measurement."""
    siege, stop = Siege(), threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        settings = {"TRACKER_DB_DIR": str(Path(folder) / "db"), "LOGS_DIR": folder}
        with Children(settings) as children:
            tracker = children.start(["tracker.py", "--port", "0"], PATIENCE)
            port = int(tracker.line().removeprefix(PORT_TAKEN_BY))
            nodes = _class(port)
            threads = [Class(port, nodes[n::THREADS], siege, stop) for n in range(THREADS)]
            for thread in threads:
                thread.start()
            time.sleep(CALM)
            siege.memory_before = psutil.Process(tracker.pid).memory_info().rss
            for thread in threads:
                thread.times = siege.besieged
            _attack(siege, children, tracker, port, ids, clients)
            stop.set()
            for thread in threads:
                thread.join()
            siege.owners = _owners_known(port)
    return siege


def _class(port: int) -> list[Tracker]:
    nodes = [Tracker(f"http://127.0.0.1:{port}", n, ("127.0.0.1", 30_000 + n)) for n in range(1, NODES + 1)]
    for node in nodes:
        node.register(claim=True)
        node.own("lecture.mp4")
        node._session.close()
    return nodes


def _owners_known(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/stats")
    stats = json.loads(connection.getresponse().read())
    connection.close()
    return next((s["whole"] for s in stats["swarms"] if s["filename"] == "lecture.mp4"), 0)


def _attack(siege: Siege, children: Children, tracker: Child, port: int, ids: int, clients: int) -> None:
    begun = time.monotonic()
    words = ["-m", "bench.tracker.forgery"]
    slow = children.start([*words, "drip", "--port", str(port), "--clients", str(clients)], PATIENCE)
    slow.line()
    half = ids // len(ADDRESSES)
    for number, addresses in enumerate(ADDRESSES):
        given = ["--ids", str(1_000_000 + number * half), str(half), "--addresses", str(addresses)]
        forger = children.start([*words, "forge", "--port", str(port), *given], PATIENCE)
        counts = json.loads(_line_while_watching(siege, forger, tracker))
        for status, count in counts.items():
            siege.answers[status] = siege.answers.get(status, 0) + count
    siege.seconds = time.monotonic() - begun
    slow.end_input()
    siege.slow_connections = json.loads(slow.line())["connections"]


def _line_while_watching(siege: Siege, child: Child, tracker: Child) -> str:
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(child.line()), daemon=True)
    reader.start()
    process = psutil.Process(tracker.pid)
    while reader.is_alive():
        siege.memory_most = max(siege.memory_most, process.memory_info().rss)
        reader.join(0.2)
    return found[0]


def p99(times: list[float]) -> float:
    """The 99th percentile, in seconds."""
    return sorted(times)[int(len(times) * 0.99)] if times else float("inf")


def figures(siege: Siege) -> list[Figure]:
    """The rows of the table, with their bounds."""
    forged = ", ".join(f"{count:,} {status}" for status, count in sorted(siege.answers.items()))
    note = f"{len(siege.besieged):,} requests in {siege.seconds:.0f} s; forged: {forged}"
    during, before = 1e3 * p99(siege.besieged), 1e3 * p99(siege.calm)
    slow = f"{siege.slow_connections:,} slow connections"
    most, base, memory = siege.memory_most, siege.memory_before, at_most(MOST_MEMORY)
    forgotten = NODES - siege.owners + siege.forgotten
    return [
        Figure("besieged: honest p99", during, "ms", "before", before, at_most(MOST_WAIT), note),
        Figure("besieged: tracker's memory", most, "B", "before", base, memory, slow),
        Figure("besieged: claimed nodes pushed out", forgotten, "nodes", bounds=at_most(0)),
        Figure("besieged: honest requests failed", siege.failed, "requests", bounds=at_most(0)),
    ]


def siege(effort: Effort = FULL) -> Iterator[Figure]:
    """Slow clients and forged ids."""
    yield from figures(besiege(effort.ids, effort.slow_clients))


def main() -> int:
    """Print the figures; 1 if one is short."""
    parser = argparse.ArgumentParser(prog="python -m bench.tracker.siege")
    parser.add_argument("--ids", type=int, default=FULL.ids)
    parser.add_argument("--clients", type=int, default=FULL.slow_clients)
    options = parser.parse_args()
    rows = list(siege(replace(FULL, ids=options.ids, slow_clients=options.clients)))
    report.show(rows, "a tracker besieged")
    return exit_code(rows)


if __name__ == "__main__":
    sys.exit(main())
