"""The attackers of ``bench.tracker.siege``, in another process:

    python -m bench.tracker.forgery forge --port PORT --ids FIRST COUNT --addresses N
    python -m bench.tracker.forgery drip --port PORT --clients N

``forge`` sends REGISTERs of unused ids as fast as they are answered, over kept connections with many
requests in one packet, from N addresses of 127.0.0.0/8. ``drip`` keeps N slow connections open, of several
kinds, and opens a new one for each that the tracker closes. Both run until standard input ends or their
work is done.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import resource
import selectors
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

HOST = "127.0.0.1"
CONNECTIONS = 64  # of the forger
BATCH = 16  # requests in one packet
STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
HEAD = "POST /register HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
BEAT = 1.0  # seconds between two bytes of a slow client
RECEIVE_BUFFER = 4096  # bytes, of a client that does not read


def connected(port: int, address: str, buffer: int = 0) -> socket.socket:
    """A connection from one of this machine's addresses."""
    sock = socket.socket()
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.settimeout(30)
    sock.bind((address, 0))
    sock.connect((HOST, port))
    return sock


# ---- forged ids


class Forger:
    """One connection that sends batches of forged REGISTERs."""

    def __init__(self, port: int, address: str) -> None:
        self._port, self._address = port, address
        self.sock = connected(port, address)
        self.waiting = 0  # answers
        self._rest = b""

    def send(self, ids: list[int]) -> None:
        """A batch in one packet."""
        self.waiting += len(ids)
        self.sock.sendall(b"".join(map(_register, ids)))

    def receive(self, answered: Counter[str]) -> None:
        """Count the answers received; open a new connection after a closed one."""
        part = self.sock.recv(1 << 16)
        if not part:
            answered["closed"] += self.waiting
            self.sock.close()
            self.sock, self.waiting, self._rest = connected(self._port, self._address), 0, b""
            return
        text = self._rest + part
        ended = 0
        for found in STATUS.finditer(text):
            answered[found[1].decode()] += 1
            self.waiting -= 1
            ended = found.end()
        self._rest = text[ended:][-16:]


def _register(node_id: int) -> bytes:
    addr = [f"10.{node_id >> 16 & 255}.{node_id >> 8 & 255}.{node_id & 255 or 1}", 4001]
    body = json.dumps({"node_id": node_id, "addr": addr})
    return f"{HEAD}{len(body)}\r\n\r\n{body}".encode()


def forge(port: int, first: int, count: int, addresses: int, ended: Callable[[], bool]) -> Counter[str]:
    """Send all ids; the number of answers by status."""
    answered: Counter[str] = Counter()
    batches = iter(
        [list(range(n, min(n + BATCH, first + count))) for n in range(first, first + count, BATCH)]
    )
    with selectors.DefaultSelector() as selector:
        for number in range(CONNECTIONS):
            forger = Forger(port, f"127.1.{number % addresses}.1")
            if batch := next(batches, None):
                forger.send(batch)
                selector.register(forger.sock, selectors.EVENT_READ, forger)
        while selector.get_map() and not ended():
            for key, _ in selector.select(1.0):
                _go_on(selector, key.data, batches, answered)
    return answered


def _go_on(
    selector: selectors.BaseSelector, forger: Forger, batches: Iterator[list[int]], answered: Counter[str]
) -> None:
    before = forger.sock
    with contextlib.suppress(ConnectionError):
        forger.receive(answered)
    if forger.waiting:
        return
    selector.unregister(before)
    if batch := next(batches, None):
        forger.send(batch)
        selector.register(forger.sock, selectors.EVENT_READ, forger)
    else:
        forger.sock.close()


# ---- slow clients

BODY = HEAD.replace("register", "own").encode() + b"900000\r\n\r\n"
OPENAPI = b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
BEGINNINGS = (b"", b"GET / HTTP/1.1\r\nX: ", BODY, OPENAPI * 8)  # silent; slow head; slow body; never reads
DRIPS = (b"", b"x", b"x", b"")


class Slow:
    """One slow client; its number selects its kind."""

    def __init__(self, port: int, number: int) -> None:
        self._port, self._kind = port, number % len(BEGINNINGS)
        self._address = f"127.2.{number % 250}.1"
        self.opened = 0
        self._open()

    def beat(self) -> None:
        """Send the next byte; connect again if the tracker closed the connection."""
        try:
            if drip := DRIPS[self._kind]:
                self._sock.sendall(drip)
            elif self._kind == 0 and self._sock.recv(1, socket.MSG_DONTWAIT) == b"":
                raise ConnectionError
        except BlockingIOError:
            return
        except OSError:
            self._sock.close()
            self._open()

    def _open(self) -> None:
        with contextlib.suppress(OSError):
            self._sock = connected(self._port, self._address, RECEIVE_BUFFER if self._kind == 3 else 0)
            self._sock.sendall(BEGINNINGS[self._kind])
            self.opened += 1


def drip(port: int, clients: int, ended: Callable[[], bool]) -> Counter[str]:
    """Keep ``clients`` slow clients; the number of connections that were opened."""
    slow = [Slow(port, number) for number in range(clients)]
    print("dripping", flush=True)
    while not ended():
        begun = time.monotonic()
        for client in slow:
            client.beat()
        time.sleep(max(0.0, begun + BEAT - time.monotonic()))
    return Counter(connections=sum(client.opened for client in slow))


def _wait_for_the_end(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


def main() -> int:
    """Attack; print the counts as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.tracker.forgery")
    parser.add_argument("attack", choices=("forge", "drip"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--ids", type=int, nargs=2, default=(1_000_000, 1_000_000), metavar=("FIRST", "COUNT")
    )
    parser.add_argument("--addresses", type=int, default=1)
    parser.add_argument("--clients", type=int, default=1000)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))
    over = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(over,), daemon=True).start()
    if options.attack == "drip":
        counts = drip(options.port, options.clients, over.is_set)
    else:
        first, count = options.ids
        counts = forge(options.port, first, count, options.addresses, over.is_set)
    print(json.dumps(counts), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
