"""Small trackers for tests, over HTTP and UDP: the test chooses right, wrong or no answers."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable

from common.compact_peers import encode_peers
from common.udp_tracker import (
    AnnounceAnswer,
    AnnounceRequest,
    ConnectAnswer,
    ConnectRequest,
    TrackerRequest,
    decode_request,
)

PEERS = (("10.0.0.1", 6881), ("10.0.0.2", 6882))
Talk = Callable[[socket.socket, bytes], None]


def response(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class HttpServer:
    """Answers each connection as ``talk`` does, on a thread of its own, then closes it."""

    def __init__(
        self, talk: Talk | bytes, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> None:
        self._sock = socket.create_server((host, 0))
        self.port = self._sock.getsockname()[1]
        self._tls = tls
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}/announce"
        self.requests: list[bytes] = []
        self.clients: list[str] = []
        self.closing = threading.Event()
        self._client: socket.socket | None = None  # the last one
        self._talk: Talk = (lambda sock, _: sock.sendall(talk)) if isinstance(talk, bytes) else talk
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            sock, addr = self._sock.accept()
            if self._tls is not None and not self.closing.is_set():
                try:
                    sock = self._tls.wrap_socket(sock, server_side=True)
                except OSError:
                    continue  # the client trusts another certificate
            self._client = sock
            with sock:
                if self.closing.is_set():
                    return
                sock.settimeout(20)
                head = b""
                while b"\r\n\r\n" not in head and (part := sock.recv(65536)):
                    head += part
                if head:
                    self.requests.append(head)
                    self.clients.append(addr[0])
                    try:
                        self._talk(sock, head)
                    except OSError:
                        continue  # the client has left

    def stop(self) -> None:
        self.closing.set()
        if self._client is not None:
            with contextlib.suppress(OSError):  # closed already
                self._client.shutdown(socket.SHUT_RDWR)
        with socket.create_connection(self._sock.getsockname()):
            pass
        self._thread.join()
        self._sock.close()


Answer = Callable[[TrackerRequest], "list[bytes]"]


def usual(request: TrackerRequest) -> list[bytes]:
    """A tracker's usual answers: id 77, and two peers."""
    if isinstance(request, ConnectRequest):
        return [ConnectAnswer(request.transaction_id, 77).encode()]
    return [AnnounceAnswer(request.transaction_id, 900, 1, 2, encode_peers(PEERS)).encode()]


class PretendUdpTracker:
    """Answers each datagram with ``answer``, on a thread of its own."""

    def __init__(self, answer: Answer, host: str = "127.0.0.1", port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._sock = socket.socket(family, socket.SOCK_DGRAM)
        self._sock.bind((host, port))
        self.port = self._sock.getsockname()[1]
        self.url = f"udp://{f'[{host}]' if ':' in host else host}:{self.port}/announce"
        self.requests: list[TrackerRequest] = []
        self.clients: set[tuple[str, int]] = set()
        self._answer = answer
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            data, addr = self._sock.recvfrom(65536)
            if not data:
                return
            request = decode_request(data)
            self.requests.append(request)
            self.clients.add(addr[:2])
            for answer in self._answer(request):
                self._sock.sendto(answer, addr)

    def announces(self) -> list[AnnounceRequest]:
        return [request for request in self.requests if isinstance(request, AnnounceRequest)]

    def stop(self) -> None:
        with socket.socket(self._sock.family, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", self._sock.getsockname())
        self._thread.join()
        self._sock.close()
