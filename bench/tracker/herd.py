"""Ten thousand nodes lose their tracker for a minute: do all come back soon, spread over time?

    python -m bench.tracker.herd --nodes 10000 --gone 60

Each node is a real node's schedule (node.discovery.schedule). Its calls are REGISTERs to a real tracker
process, over a few kept connections. The process is killed, and started again on its port and records. All
nodes must be back within two of the tracker's intervals. The table also compares the busiest second after
the return with the mean rate of heartbeats, which is nodes / interval.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import json
import queue
import random
import secrets
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import report
from bench.judging import Bound, Figure, at_most, exit_code
from bench.tracker.effort import FULL, Effort
from bench.tracker.kills import HOST, PATIENCE, tracker_in
from node.discovery.schedule import HeartbeatSchedule

CONNECTIONS = 32
HEARTBEAT = 20.0  # seconds: a node's own
SETTLED = 1  # intervals between the last node's first REGISTER and the kill
ALLOWED = 2  # intervals until all must be back
SETTINGS = {  # all nodes have one address here
    "MAX_NODES_PER_ADDRESS": "1000000",
    "TRACKER_TIME_INTERVAL": "22",
}


@dataclass
class Herd:
    """The result; times are seconds since the tracker's return."""

    nodes: int
    interval: float  # seconds, from the tracker's last answer
    gone: float
    back: list[float] = field(default_factory=list)  # when each node was answered first
    calls: Counter[int] = field(default_factory=Counter)  # in each second

    @property
    def pace(self) -> float:
        """Calls a second of plain heartbeats."""
        return self.nodes / self.interval

    def figures(self) -> list[Figure]:
        """The rows of the table, with their bounds."""
        last = max(self.back, default=None)
        note = f"tracker gone for {self.gone:g} s"
        if self.back:
            note += f"; half are back after {sorted(self.back)[len(self.back) // 2]:.1f} s"
        in_time = (Bound("ratio", False, ALLOWED),)
        missing, busiest = self.nodes - len(self.back), max(self.calls.values(), default=0)
        seconds = tuple(float(self.calls[at]) for at in sorted(self.calls))
        return [
            Figure(f"{self.nodes:,} nodes: all back", last, "s", "interval", self.interval, in_time, note),
            Figure("  not back", missing, "nodes", bounds=at_most(0)),
            Figure("  busiest second's calls", busiest, "/s", "mean", self.pace, rounds=seconds),
        ]


class Line:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sock: socket.socket | None = None

    def post(self, body: bytes, secret: str) -> dict[str, object]:
        """The answer to a request to /tracker; OSError or ValueError if it is not a 200."""
        try:
            if self._sock is None:
                self._sock = socket.create_connection((HOST, self._port), PATIENCE)
                self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self._exchange(self._sock, body, secret)
        except (OSError, ValueError):
            self.close()
            raise

    def _exchange(self, sock: socket.socket, body: bytes, secret: str) -> dict[str, object]:
        head = (
            f"POST /tracker HTTP/1.1\r\nHost: {HOST}:{self._port}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {secret}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        sock.sendall(head.encode() + body)
        received = bytearray()
        while b"\r\n\r\n" not in received:
            received += _some(sock)
        status, _, rest = bytes(received).partition(b"\r\n\r\n")
        length = next(
            int(line[15:]) for line in status.lower().split(b"\r\n") if line.startswith(b"content-length")
        )
        while len(rest) < length:
            rest += _some(sock)
        if not status.startswith(b"HTTP/1.1 200"):
            raise ValueError(f"{status[:40]!r} {rest[:200]!r}")
        answer: dict[str, object] = json.loads(rest)
        return answer

    def close(self) -> None:
        """Close the connection."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def _some(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise OSError("hung up")
    return data


class Nodes:
    """``count`` nodes that call by their schedules until ``stop``."""

    def __init__(self, count: int, port: int, seed: int) -> None:
        rng = random.Random(seed)
        self._port = port
        self._schedules = [HeartbeatSchedule(HEARTBEAT, random.Random(rng.random())) for _ in range(count)]
        self._secrets = [secrets.token_urlsafe(32) for _ in range(count)]
        begun = time.monotonic()
        self._calls = [(begun + rng.uniform(0, HEARTBEAT / 2), number) for number in range(count)]
        heapq.heapify(self._calls)
        self._due: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # guards the counts and the calls to come
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(CONNECTIONS)]
        self._threads.append(threading.Thread(target=self._hand_out))
        self.interval = 0.0
        self.seen: dict[int, float] = {}  # number -> time of the first answer since ``forget``
        self.called: list[float] = []
        self.failure = ""  # reason of the last failed call

    def start(self) -> None:
        """Begin to call."""
        for thread in self._threads:
            thread.start()

    def forget(self) -> None:
        """Set the counts back."""
        with self._lock:
            self.seen, self.called = {}, []

    def wait_for_all(self, patience: float) -> bool:
        """Wait until each node was answered since ``forget``; False after ``patience`` seconds."""
        deadline = time.monotonic() + patience
        while len(self.seen) < len(self._schedules):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def stop(self) -> None:
        """End all calls."""
        self._stopping.set()
        for _ in range(CONNECTIONS):
            self._due.put(None)
        for thread in self._threads:
            thread.join()

    def _hand_out(self) -> None:
        while not self._stopping.is_set():
            now = time.monotonic()
            with self._lock:
                while self._calls and self._calls[0][0] <= now:
                    due, number = heapq.heappop(self._calls)
                    self.called.append(due)
                    self._due.put(number)
            time.sleep(0.005)

    def _work(self) -> None:
        line = Line(self._port)
        while (number := self._due.get()) is not None:
            self._call(line, number)
        line.close()

    def _call(self, line: Line, number: int) -> None:
        addr = ["127.0.0.1", 1024 + number % 60_000]
        message = {"mode": 0, "node_id": 1 + number, "addr": addr, "claim": True}
        schedule = self._schedules[number]
        try:
            answer = line.post(json.dumps(message).encode(), self._secrets[number])
        except (OSError, ValueError) as error:
            self.failure = str(error)
            schedule.failed(time.monotonic())
        else:
            now = time.monotonic()
            schedule.answered(now, float(str(answer["interval"])))
            with self._lock:
                self.interval = schedule.interval
                self.seen.setdefault(number, now)
        with self._lock:
            heapq.heappush(self._calls, (schedule.due, number))


def stampede(folder: Path, count: int, gone: float, seed: int) -> Herd:
    """Register all nodes, stop the tracker for ``gone`` seconds, and watch them come back."""
    with contextlib.ExitStack() as cleanup:
        with tracker_in(folder, **SETTINGS) as (_, port):
            nodes = Nodes(count, port, seed)
            cleanup.callback(nodes.stop)
            nodes.start()
            if not nodes.wait_for_all(PATIENCE + count / 200):
                raise RuntimeError(
                    f"only {len(nodes.seen)} of {count} nodes were registered: {nodes.failure}"
                )
            time.sleep(SETTLED * nodes.interval)
        time.sleep(gone)
        with tracker_in(folder, str(port), **SETTINGS):
            back = time.monotonic()
            nodes.forget()
            nodes.wait_for_all(2 * ALLOWED * nodes.interval)
            time.sleep(max(0.0, back + ALLOWED * nodes.interval - time.monotonic()))
            result = Herd(count, nodes.interval, gone)
            result.back = [at - back for at in nodes.seen.values()]
            result.calls = Counter(int(at - back) for at in nodes.called if at >= back)
    return result


def lost_tracker(effort: Effort = FULL) -> Iterator[Figure]:
    """Run the measurement in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        yield from stampede(Path(folder), effort.herd, effort.gone, effort.seed).figures()


def main() -> int:
    """Print the table; 1 if not all nodes were back in time."""
    parser = argparse.ArgumentParser(prog="python -m bench.tracker.herd")
    parser.add_argument("--nodes", type=int, default=FULL.herd)
    parser.add_argument("--gone", type=float, default=FULL.gone, help="seconds")
    parser.add_argument("--seed", type=int, default=FULL.seed)
    options = parser.parse_args()
    effort = replace(FULL, herd=options.nodes, gone=options.gone, seed=options.seed)
    rows = list(lost_tracker(effort))
    report.show(rows, "a tracker that was away")
    calls = " ".join(f"{count:g}" for count in rows[-1].rounds)
    print(f"calls in each second: {calls}")
    return exit_code(rows)


if __name__ == "__main__":
    sys.exit(main())
