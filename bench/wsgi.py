"""Compares WSGI servers for the tracker: ``python -m bench.wsgi`` prints REGISTER/s and p99 for each.

Each server runs the real application in another process, with eight threads if the number can be chosen. The
records are in memory, so the server is measured and not the disk. This process is the load: many nodes, each
on a kept connection, send the next heartbeat as soon as the last is answered. Candidates are servers that
run inside a Python process on every system, Windows included.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tracker.model import Rules
from tracker.rate_limits import Limits
from tracker.service import TrackerService
from tracker.settings import WebSettings
from tracker.storage.memory import MemoryStorage
from tracker.web.app import create_app
from tracker.web.server import WebServer, listening_socket

THREADS = 8
NODES = 32  # connections
WARM_UP = 0.5  # seconds
PATIENCE = 10.0  # seconds for one answer
HOST = "127.0.0.1"


@dataclass(frozen=True)
class ServerRate:
    """One server's figures."""

    server: str
    rate: float  # REGISTERs answered a second
    p99: float  # milliseconds

    def __str__(self) -> str:
        return f"{self.server:<28}{self.rate:>12,.0f}{self.p99:>10.1f}"


def serve_waitress(app: Any) -> None:
    """waitress, as the tracker runs it."""
    server = WebServer(app, listening_socket(HOST, 0), THREADS)
    server.start()
    _announce(int(server.url.rpartition(":")[2]))


def serve_cheroot(app: Any) -> None:
    """cheroot's own thread pool."""
    from cheroot.wsgi import Server

    server = Server((HOST, 0), app, numthreads=THREADS, max=THREADS, request_queue_size=1024)
    server.prepare()
    _announce(server.bind_addr[1])
    server.serve()


def serve_werkzeug(app: Any) -> None:
    """Flask's development server: a thread for each connection, and a new connection for each request."""
    import logging

    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server(HOST, 0, app, threaded=True)
    _announce(server.server_port)
    server.serve_forever()


def serve_wsgiref(app: Any) -> None:
    """The standard library's, with a thread for each connection."""
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

    class Threaded(ThreadingMixIn, WSGIServer):
        daemon_threads = True
        request_queue_size = 1024

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing."""

        def address_string(self) -> str:
            return str(self.client_address[0])

    server = Threaded((HOST, 0), Quiet)
    server.set_app(app)
    _announce(server.server_port)
    server.serve_forever()


SERVERS: dict[str, Callable[[Any], None]] = {
    "waitress": serve_waitress,
    "cheroot": serve_cheroot,
    "werkzeug (development)": serve_werkzeug,
    "wsgiref (threaded)": serve_wsgiref,
}


def _announce(port: int) -> None:
    print(port, flush=True)


def _application() -> Any:
    rules = Rules(silence=3600, interval=11)
    service = TrackerService(MemoryStorage(rules), rules)
    return create_app(service, WebSettings(limits=Limits(address_rate=1e6, node_rate=1e6)))


class LoadNode:
    """One connection that sends the same heartbeat again and again."""

    def __init__(self, port: int, node_id: int) -> None:
        body = json.dumps({"mode": 0, "node_id": node_id, "addr": [HOST, 10_000 + node_id]})
        head = f"POST /tracker HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        self._request = (head + body).encode()
        self._port = port
        self.connect()

    def connect(self) -> None:
        """A new connection, and the first request on it."""
        self.sock = socket.create_connection((HOST, self._port), timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.ask()

    def ask(self) -> None:
        """Send the heartbeat."""
        self.begun = time.perf_counter()
        self.received = b""
        self.sock.sendall(self._request)

    def answered(self) -> tuple[bool, bool]:
        """Read more; True if the answer is complete, and True if the server then closes the connection."""
        part = self.sock.recv(1 << 16)
        self.received += part
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not part and not end:
            raise ConnectionError("the server closed the connection without an answer")
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        if not (end and len(body) >= length) and part:
            return False, False
        if b" 200 " not in lines[0]:
            raise ConnectionError(f"the server answered {lines[0]!r}")
        return True, not part or b"connection: close" in lines or lines[0].startswith(b"http/1.0")


def load(port: int, seconds: float) -> tuple[float, list[float]]:
    """Heartbeats of NODES nodes for ``seconds``: the number a second, and the time of each (seconds)."""
    nodes = [LoadNode(port, node_id) for node_id in range(NODES)]
    times: list[float] = []
    with selectors.DefaultSelector() as selector:
        for node in nodes:
            selector.register(node.sock, selectors.EVENT_READ, node)
        begin = time.perf_counter() + WARM_UP
        while (now := time.perf_counter()) < begin + seconds:
            ready = selector.select(PATIENCE)
            if not ready:
                raise ConnectionError(f"no answer for {PATIENCE} s")
            for key, _ in ready:
                _go_on(selector, key.data, times if now > begin else [])
    for node in nodes:
        node.sock.close()
    return len(times) / seconds, times


def _go_on(selector: selectors.BaseSelector, node: LoadNode, times: list[float]) -> None:
    complete, closing = node.answered()
    if not complete:
        return
    times.append(time.perf_counter() - node.begun)
    if not closing:
        node.ask()
        return
    selector.unregister(node.sock)
    node.sock.close()
    node.connect()
    selector.register(node.sock, selectors.EVENT_READ, node)


@contextmanager
def _running(name: str) -> Iterator[int]:
    command = [sys.executable, "-m", "bench.wsgi", "--serve", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline() or 0)
        finally:
            process.kill()


def measure(name: str, seconds: float, rounds: int) -> ServerRate | None:
    """The median of ``rounds``; None if the server is not installed."""
    rates, slowest = [], []
    for _ in range(rounds):
        with _running(name) as port:
            if not port:
                return None
            rate, times = load(port, seconds)
        rates.append(rate)
        slowest.append(sorted(times)[int(len(times) * 0.99)])
    return ServerRate(name, statistics.median(rates), statistics.median(slowest) * 1000)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.wsgi")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts")
    parser.add_argument("--serve", choices=SERVERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        try:
            SERVERS[options.serve](_application())
        except ImportError:
            return 0
        sys.stdin.read()  # until the measuring process is done
        return 0
    print(f"{NODES} nodes on kept connections, {THREADS} threads")
    print(f"{'server':<28}{'REGISTER/s':>12}{'p99 ms':>10}")
    for name in SERVERS:
        row = measure(name, options.seconds, options.rounds)
        print(row or f"{name:<28}{'not installed: skipped':>22}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
