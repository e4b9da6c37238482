"""The listening socket of the peer wire, and the thread that accepts connections."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
from collections.abc import Callable

from common.errors import LocalFault

BACKLOG = 128  # connections that wait to be accepted
OUT_OF_FILES_PAUSE = 0.5  # seconds; connections wait in the backlog meanwhile


class PeerListener:
    """Listens on ``host`` and ``port`` (0: any). LocalFault if that is not possible."""

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._stopped = threading.Event()
        self._sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            if os.name != "nt":  # Windows would let two programs listen at one port
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._sock.bind((host, port))
            self._sock.listen(BACKLOG)
        except OSError as error:
            self._sock.close()
            raise LocalFault(
                f"cannot listen on tcp {host}:{port}: {error.strerror}; "
                "-host and -port (settings NODE_HOST and TCP_PORT) choose another address"
            ) from None
        self.addr: tuple[str, int] = self._sock.getsockname()[:2]

    def run(self, accepted: Callable[[socket.socket, tuple[str, int]], None]) -> None:
        """Accept until ``close``; ``accepted`` owns each socket. The body of a thread."""
        while not self._stopped.is_set():
            try:
                sock, addr = self._sock.accept()
            except OSError as error:
                if self._stopped.is_set():
                    return
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._stopped.wait(OUT_OF_FILES_PAUSE)
                continue  # any other error is the connection's: it ended before it was accepted
            accepted(sock, addr[:2])

    def close(self) -> None:
        """Accept no more. ``run`` returns."""
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)  # wakes ``accept`` on Linux
        self._sock.close()
