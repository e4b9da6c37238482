"""The cost of the live log: REGISTER's p99 with 60 viewers and 60 reporting nodes, and without.

    python -m bench.tracker.viewers [--rounds 7]

The load and the rounds are those of ``pollers``. Each viewer asks for the events since its last answer, twice
a second, as the page does. Each node reports four events as often. They are another process, of one thread.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from bench import report
from bench.judging import Figure, exit_code
from bench.tracker.effort import FULL, Effort
from bench.tracker.pollers import figures, measure

VIEWERS = REPORTERS = 60
EVERY = 0.5  # seconds between two requests of each
FIRST_NODE = 1000  # node_id; the load has the lower ones
HOST = "127.0.0.1"
HASH = "0123456789abcdef0123456789abcdef01234567"
TORRENT = {"torrent": HASH[:12]}
PATIENCE = 30.0  # seconds


class PollingCaller:
    """A kept connection that asks every EVERY seconds."""

    def __init__(self, port: int, due: float) -> None:
        self.due = due
        self.sock = socket.create_connection((HOST, port), timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self._is_waiting = False  # for an answer

    def request(self) -> bytes:
        """The next request."""
        raise NotImplementedError

    def take(self, body: bytes) -> None:
        """The answer to it."""

    def ask(self) -> None:
        """Send the next request, unless the last one has no answer yet."""
        self.due += EVERY
        if not self._is_waiting:
            self._is_waiting = True
            self.sock.sendall(self.request())

    def read(self) -> None:
        """Read more of the answer."""
        self._received += self.sock.recv(1 << 20)
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        if len(body) >= length:
            self._received, self._is_waiting = b"", False
            if b" 200 " not in lines[0] and b" 304 " not in lines[0]:
                raise ConnectionError(f"the tracker answered {lines[0]!r} {body!r}")
            self.take(body)


class ViewerCaller(PollingCaller):
    """An open page."""

    epoch, since = "", 0

    def request(self) -> bytes:
        path = f"/swarm?epoch={self.epoch}&since={self.since}"
        return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()

    def take(self, body: bytes) -> None:
        if body:
            answer = json.loads(body)
            self.epoch, self.since = answer["epoch"], answer["seq"]


class ReporterCaller(PollingCaller):
    """A node in the middle of a download. Its first request is OWN, which brings it in."""

    def __init__(self, port: int, due: float, node_id: int) -> None:
        super().__init__(port, due)
        self._node_id = node_id
        self._seq = 0

    def request(self) -> bytes:
        if not self._seq:
            self._seq = 1
            file = {"filename": "f", "info_hash": HASH, "size": 1 << 30, "complete": False}
            return self._post("/own", {"addr": [HOST, 10_000 + self._node_id], **file})
        now, rows = time.monotonic() * 1000, []
        for name, data in self._events():
            rows.append([now, self._seq, name, {**TORRENT, **data}])
            self._seq += 1
        return self._post("/report", {"run": "ab", "sent": now, "round_trip": 2.0, "events": rows})

    def _events(self) -> list[tuple[str, dict[str, object]]]:
        piece, peers = self._seq % 1000, [self._node_id - 1, self._node_id + 1]
        moved = {"in": [[peer, 250_000] for peer in peers], "out": [[peers[0], 400_000]]}
        return [
            ("link:bytes", {**moved, "down": self._seq, "up": self._seq, "span_ms": 500.0}),
            ("piece:requested", {"piece": piece + 1, "peers": peers}),
            ("piece:verified", {"piece": piece, "peers": peers}),
            ("congestion:sample", {"peer": peers[0], "window": 90_000, "rtt_ms": 1.5, "outstanding": 60_000}),
        ]

    def _post(self, path: str, fields: dict[str, object]) -> bytes:
        body = json.dumps({"node_id": self._node_id, **fields}).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def call_until_end(port: int) -> None:
    """All callers, spread over EVERY seconds, until standard input ends."""
    stop, begin = threading.Event(), time.monotonic()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    apart = EVERY / VIEWERS
    callers: list[PollingCaller] = [ViewerCaller(port, begin + number * apart) for number in range(VIEWERS)]
    callers += [
        ReporterCaller(port, begin + number * apart, FIRST_NODE + number) for number in range(REPORTERS)
    ]
    print("calling", flush=True)
    with selectors.DefaultSelector() as selector:
        for caller in callers:
            selector.register(caller.sock, selectors.EVENT_READ, caller)
        while not stop.is_set():
            now = time.monotonic()
            for caller in callers:
                if caller.due <= now:
                    caller.ask()
            for key, _ in selector.select(max(0.0, min(caller.due for caller in callers) - now)):
                key.data.read()


def viewers(effort: Effort = FULL) -> Iterator[Figure]:
    """REGISTER with viewers and reporting nodes."""
    polled = measure(effort.poll_rounds, effort.seconds, "bench.tracker.viewers")
    note = f"{VIEWERS} viewers and {REPORTERS} reporting nodes, each {1 / EVERY:g} requests a second"
    yield from figures(polled, "REGISTER: p99, seen", note)


def main() -> int:
    """Print the figure; 1 if it is short."""
    parser = argparse.ArgumentParser(prog="python -m bench.tracker.viewers")
    parser.add_argument("--rounds", type=int, default=FULL.poll_rounds, help="of which the median counts")
    parser.add_argument("--poll", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.poll:
        call_until_end(options.poll)
        return 0
    rows = list(viewers(replace(FULL, poll_rounds=options.rounds)))
    report.show(rows, "the live log")
    return exit_code(rows)


if __name__ == "__main__":
    sys.exit(main())
