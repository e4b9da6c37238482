"""Load from this process: clients on kept connections; each asks again as soon as it is answered."""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HOST = "127.0.0.1"
PATIENCE = 30.0  # seconds for one answer
WARM_UP = 0.5  # seconds

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Load:
    """The result of a load."""

    rate: float  # answers of 200 a second
    times: Sequence[float]  # of each, in seconds, sorted
    refused: int  # other answers

    def quantile(self, share: float) -> float:
        """Milliseconds within which ``share`` of the answers came."""
        return self.times[min(int(len(self.times) * share), len(self.times) - 1)] * 1000


class Client:
    """One connection; ``next_body`` makes each request to /tracker."""

    def __init__(self, port: int, next_body: Callable[[], Body]) -> None:
        self._next_body = next_body
        self._host = f"{HOST}:{port}"
        self.sock = socket.create_connection((HOST, port), timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.begun = 0.0
        self._received = b""

    def ask(self) -> None:
        """Send the next request."""
        body = json.dumps(self._next_body())
        head = (
            f"POST /tracker HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._received = b""
        self.begun = time.perf_counter()
        self.sock.sendall((head + body).encode())

    def answered(self) -> int:
        """Read more: the status when the answer is complete, else 0."""
        part = self.sock.recv(1 << 16)
        if not part:
            raise ConnectionError("the tracker closed the connection")
        self._received += part
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return 0
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        return int(lines[0].split()[1]) if len(body) >= length else 0


def load(port: int, bodies: Sequence[Callable[[], Body]], seconds: float, warm_up: float = WARM_UP) -> Load:
    """Run a client for each of ``bodies``, for ``seconds``."""
    clients = [Client(port, next_body) for next_body in bodies]
    times: list[float] = []
    refused = 0
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.sock, selectors.EVENT_READ, client)
            client.ask()
        begin = time.perf_counter() + warm_up
        while (now := time.perf_counter()) < begin + seconds:
            ready = selector.select(PATIENCE)
            if not ready:
                raise ConnectionError(f"no answer for {PATIENCE} s")
            for key, _ in ready:
                client = key.data
                status = client.answered()
                if status and now > begin:
                    refused += status != 200
                    times += [time.perf_counter() - client.begun] if status == 200 else []
                if status:
                    client.ask()
    for client in clients:
        client.sock.close()
    if not times:
        raise ConnectionError(f"none of {refused} requests was answered with 200")
    return Load(len(times) / seconds, sorted(times), refused)


def ask(port: int, body: Body) -> tuple[int, dict[str, Any]]:
    """One request on a new connection: status and answer."""
    client = Client(port, lambda: body)
    try:
        client.ask()
        while not (status := client.answered()):
            pass
        return status, json.loads(client._received.partition(b"\r\n\r\n")[2])
    finally:
        client.sock.close()


def announcing(node_id: int, files: int = 50) -> Callable[[], Body]:
    """OWNs without end, each with a change to record, of ``files`` files."""
    count = iter(range(1 << 62))

    def body() -> Body:
        number = next(count)
        name = f"file-{node_id}-{number % files}"
        complete = number // files % 2 == 0
        return {
            "mode": 1,
            "node_id": node_id,
            "addr": [HOST, 10_000 + node_id % 50_000],
            "filename": name,
            "info_hash": f"{node_id:020x}{number % files:020x}",
            "size": 1000,
            "complete": complete,
        }

    return body
