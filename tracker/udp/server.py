"""The thread that answers UDP: receive, let the responder decide, send."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Callable

from common.addresses import Addr
from common.errors import LocalFault
from tracker.announce_service import AnnounceService
from tracker.rate_limits import RateLimits
from tracker.udp.connection_ids import ConnectionIds
from tracker.udp.responder import UdpResponder

MAX_DATAGRAM = 1536  # bytes; a scrape of 74 info hashes has 1,496
RECEIVE_BUFFER = 4 << 20  # bytes, where the system allows: many clients announce at once after a start
STOP_SECONDS = 0.5  # to wait for the thread


def udp_socket(host: str, port: int) -> socket.socket:
    """A UDP socket at a numeric address; LocalFault if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        reason = error.strerror or str(error)
        raise LocalFault(
            f"cannot listen on {host} UDP port {port}: {reason} (setting TRACKER_ADDR; UDP_TRACKER=0: no UDP)"
        ) from None
    return sock


class UdpServer:
    """Serves announces and scrapes over UDP until stopped."""

    def __init__(
        self,
        service: AnnounceService,
        sock: socket.socket,
        limits: RateLimits,
        failed: Callable[[Exception], None] = lambda error: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``failed`` is called once, from the thread, if it ends because of an unexpected error."""
        ids = ConnectionIds(secrets.token_bytes(32))
        self._responder = UdpResponder(service, ids, limits)
        self._sock = sock
        host, port = sock.getsockname()[:2]
        self.addr: Addr = (host, port)
        """Where it listens."""
        self._clock = clock
        self._failed = failed
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="udp", daemon=True)

    def start(self) -> None:
        """Answer, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more. The thread waits in ``recvfrom``, so a datagram to itself wakes it."""
        self._stopping = True
        host, port = self.addr
        if self._thread.is_alive():
            with socket.socket(self._sock.family, socket.SOCK_DGRAM) as waker, contextlib.suppress(OSError):
                waker.sendto(b"", ({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port))
            self._thread.join(STOP_SECONDS)
        self._sock.close()

    def _run(self) -> None:
        try:
            self._serve()
        except Exception as error:
            self._failed(error)

    def _serve(self) -> None:
        while not self._stopping:
            try:
                self._answer_all()
            except OSError:  # an answer cannot be sent, or (on Windows) an earlier one was not received
                if self._sock.fileno() < 0:
                    return

    def _answer_all(self) -> None:
        """Answer datagrams until ``stop`` sends an empty one."""
        receive, send = self._sock.recvfrom, self._sock.sendto
        answer_of, clock = self._responder.answer, self._clock
        while True:
            data, addr = receive(MAX_DATAGRAM)
            answer = answer_of(data, addr[0], clock())
            if answer is not None:
                send(answer, addr)
            elif self._stopping:
                return
