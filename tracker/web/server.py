"""The WSGI server: waitress on a socket of our own, stopped without losing the answers under way."""

from __future__ import annotations

import ipaddress
import logging
import socket
import sys
import threading
from typing import Any

from waitress.adjustments import Adjustments

from common.errors import LocalFault, SettingError
from tracker.web.connections import LimitedServer

BACKLOG = 1024  # connections that wait to be accepted
MAX_CONNECTIONS = 4000  # open at a time, where the system allows
SPARE_FILES = 64  # of the system's limit that are for other things than connections
READ_LIMIT = 16 << 20  # bytes of a body that are read at all; a longer one ends the connection
HEADER_LIMIT = 16 << 10  # bytes of a request's head, at most (then 431)
GRACE = 1.0  # seconds for which the requests under way may go on when the tracker ends


def listening_socket(host: str, port: int) -> socket.socket:
    """A TCP socket that listens at a numeric address or at localhost; LocalFault if it cannot listen."""
    host = "127.0.0.1" if host == "localhost" else host
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        raise SettingError(f"{host!r} is not a numeric IP address (setting TRACKER_ADDR)") from None
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":  # there, SO_REUSEADDR would let two trackers share the port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)  # on Linux, it may be only now that the port turns out to be taken
    except OSError as error:
        sock.close()
        reason = error.strerror or str(error)
        raise LocalFault(f"cannot listen on {host} port {port}: {reason} (setting TRACKER_ADDR)") from None
    return sock


class WebServer:
    """Serves a WSGI application until stopped."""

    def __init__(self, application: Any, sock: socket.socket, threads: int) -> None:
        """From here on connections are accepted; they are answered after ``start``."""
        logging.getLogger("waitress").setLevel(logging.ERROR)  # a full queue is no news to a terminal
        adjustments = Adjustments(
            threads=threads,
            backlog=BACKLOG,
            connection_limit=_connection_limit(),
            max_request_header_size=HEADER_LIMIT,
            max_request_body_size=READ_LIMIT,
            ident="tracker",
        )
        self._server = LimitedServer(
            application,
            map={},
            _sock=sock,
            adj=adjustments,
            bind_socket=False,
            sockinfo=(sock.family, sock.type, sock.proto, sock.getsockname()),
        )
        host, port = self._server.getsockname()
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        """With the port that the system gave."""
        self._thread = threading.Thread(target=self._server.run, name="web", daemon=True)

    def start(self) -> None:
        """Answer, in threads."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more connections, answer what is asked for GRACE seconds at most, close all."""
        self._server.end(GRACE)
        self._thread.join(1.0)
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=0.2)


def _connection_limit() -> int:
    try:
        import resource
    except ImportError:  # Windows: its select() takes 512 sockets
        return 512 - SPARE_FILES
    wanted = MAX_CONNECTIONS + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, soft - SPARE_FILES)
