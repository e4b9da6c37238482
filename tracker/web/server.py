"""The WSGI server: waitress on a socket that we open, drained when the tracker ends.

waitress reads requests and writes answers in one loop; only whole requests reach the worker threads. So a
slow client holds a connection, never a thread. A client that opens all connections keeps new clients out
for CHANNEL_TIMEOUT: on a hostile network, put a proxy in front.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ThreadedTaskDispatcher, WSGITask
from waitress.utilities import build_http_date

from common.addresses import Addr, http_url
from common.errors import LocalFault, SettingError
from tracker.web.epoll_loop import new_loop

BACKLOG = 1024  # connections that wait to be accepted
MAX_CONNECTIONS = 4000  # open at a time, where the system allows
SPARE_FILES = 64  # of the system's limit on open files, for other things than connections
READ_LIMIT = 16 << 20  # bytes of a body that are read at all; a longer one ends the connection (413)
HEADER_LIMIT = 16 << 10  # bytes of a request's head; a longer one is answered 431
UNREAD_LIMIT = 1 << 20  # bytes of answers that a client has not read; with more, it gets no further answer
CHANNEL_TIMEOUT = 60  # seconds without a byte after which a connection is closed
CLEANUP_INTERVAL = 5  # seconds between two searches for such connections
DRAIN_SECONDS = 1.0  # for requests in progress when the tracker ends
DRAIN_POLL = 0.02  # seconds between two looks at whether they are all answered
ACCEPT_AT_END = 64  # waiting connections that are accepted when the tracker ends; further ones are refused
JOIN_SECONDS = 0.2  # for worker threads that are still busy after DRAIN_SECONDS


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


class _Answer(WSGITask):  # type: ignore[misc]  # waitress has no types
    """An answer whose head is written without sorting and respelling its headers.

    waitress does that for every answer, and it takes longer than the tracker's own work for a heartbeat. When
    the server is draining, the answer has ``Connection: close`` and is the last one on its connection.
    """

    wrote_header = False

    def build_response_header(self) -> bytes:
        if not self.channel.server.accepting:
            self.set_close_on_finish()
        closes = self.close_on_finish or self.request.headers.get("CONNECTION", "").lower() == "close"
        sized = "Content-Length" in [name for name, _ in self.response_headers]
        if closes or self.version != "1.1" or not self.has_body or not sized:
            header: bytes = super().build_response_header()
            return header
        lines = [f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in self.response_headers)]
        lines += [f"Server: {self.channel.server.adj.ident}", f"Date: {_http_date(int(self.start_time))}"]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def write(self, data: bytes) -> None:
        """Send head and body in one system call, if ``data`` is the whole body."""
        whole = self.complete and not self.wrote_header and self.has_body
        if not whole or self.content_length != len(data):
            super().write(data)
            return
        self.channel.write_soon(self.build_response_header() + data)
        self.wrote_header = True
        self.content_bytes_written = len(data)


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection that wakes the loop only if the loop must do something for it.

    waitress wakes the loop after each answer, because it does not read from a connection with a request in
    progress. The loop then takes the interpreter lock from the workers, and looks at all connections. Here a
    connection stays readable; most clients send nothing before they have the answer. If one does, the
    connection is paused, and the worker that ends the pause wakes the loop.
    """

    task_class = _Answer
    paused = False

    def readable(self) -> bool:
        return self._fileno is not None and not (self.paused or self.writable())

    def writable(self) -> bool:
        """Never of a closed connection: the loop would poll its number, which may soon be a new one's."""
        return self._fileno is not None and bool(super().writable())

    def handle_read(self) -> None:
        if self.requests:
            self.paused = True  # before the second look: a worker looks for it after its last request
            if self.requests:
                return
            self.paused = False
        super().handle_read()

    def write_soon(self, data: Any) -> int:
        """Send now; only the part that the system does not take goes through the buffers and the loop."""
        sent = 0
        if isinstance(data, bytes):
            with self.outbuf_lock, contextlib.suppress(OSError):  # the buffers meet the same error again
                if self.connected and not self.total_outbufs_len:
                    sent = self.send(data, do_close=False)
        if sent < len(data):
            super().write_soon(data[sent:] if sent else data)
            if self.writable():
                self.wake()
        return len(data)

    def wake(self) -> None:
        """Have the loop ask again what this connection waits for."""
        self.server.asyncore.note(self)
        self.server.trigger.pull_trigger()

    def add_channel(self, map: Any = None) -> None:
        super().add_channel(map)
        self.server.asyncore.note(self)

    def del_channel(self, map: Any = None) -> None:
        self.server.asyncore.forget(self)
        super().del_channel(map)

    def _flush_outbufs_below_high_watermark(self) -> None:
        """End a connection whose client sent several requests at once and reads none of the answers.

        waitress calls this before the next answer, and waits here until the client has read. That would hold
        a worker for as long as the client likes.
        """
        if self.total_outbufs_len > self.adj.outbuf_high_watermark:
            self.will_close, self.connected = True, False
            with self.requests_lock:
                del self.requests[1:]  # the first is the one that is being answered

    def service(self) -> None:
        super().service()
        if self.connected and (self.paused or self.writable()):
            self.paused = False
            self.wake()


_http_date = lru_cache(4)(build_http_date)  # by the second


class WebServer:
    """Serves a WSGI application until stopped."""

    def __init__(
        self,
        application: Any,
        sock: socket.socket,
        threads: int,
        failed: Callable[[Exception], None] = lambda error: None,
        watching: Collection[str] = (),
    ) -> None:
        """From here on connections are accepted; they are answered after ``start``.

        ``failed`` is called once, from the loop's thread, if it ends because of an unexpected error.
        ``watching``: paths whose requests have a thread of their own. However many they are, other requests
        do not queue behind them.
        """
        logging.getLogger("waitress").setLevel(logging.ERROR)  # a full queue need not fill a terminal
        self._channels: dict[int, Any] = {}
        self._server = create_server(
            application,
            map=self._channels,
            sockets=[sock],
            threads=threads,
            backlog=BACKLOG,
            connection_limit=_connection_limit(),
            channel_timeout=CHANNEL_TIMEOUT,
            cleanup_interval=CLEANUP_INTERVAL,
            max_request_header_size=HEADER_LIMIT,
            max_request_body_size=READ_LIMIT,
            outbuf_high_watermark=UNREAD_LIMIT,
            asyncore_use_poll=True,
            log_socket_errors=False,
            ident="tracker",
        )
        self._server.channel_class = _Channel
        self._server.asyncore = new_loop(self._server)
        self._watching, self._watchers = frozenset(watching), ThreadedTaskDispatcher()
        self._watchers.set_thread_count(1 if watching else 0)
        self._server.add_task = self._add_task
        self._server.pull_trigger = lambda: None  # the channels wake the loop themselves
        self._mark_idle = self._server.maintenance
        self._server.maintenance = self._close_idle
        self.address: Addr = sock.getsockname()[:2]
        """With the port that the system gave."""
        self.url = http_url(*self.address)
        self._failed = failed
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        """Answer, in threads."""
        self._thread.start()

    def _add_task(self, channel: Any) -> None:
        """Have a worker answer the channel's first request."""
        is_watching = getattr(channel.requests[0], "path", "") in self._watching  # none: it is no HTTP
        (self._watchers if is_watching else self._server.task_dispatcher).add_task(channel)

    def _run(self) -> None:
        try:
            self._server.run()
        except Exception as error:
            self._failed(error)

    def stop(self) -> None:
        """Accept no more connections, answer the requests that were read, and close all.

        Takes at most DRAIN_SECONDS and a little. A request that was not read is not carried out.
        """
        if not self._thread.is_alive():
            return
        deadline = time.monotonic() + DRAIN_SECONDS
        self._on_loop(self._stop_accepting)
        time.sleep(DRAIN_POLL)  # the loop reads the requests that are here already
        while not self._on_loop(lambda: self._closed_if_drained(deadline)):
            time.sleep(DRAIN_POLL)
        for dispatcher in (self._server.task_dispatcher, self._watchers):
            dispatcher.shutdown(cancel_pending=True, timeout=JOIN_SECONDS)
        self._on_loop(lambda: wasyncore.close_all(self._channels, ignore_all=True))
        self._thread.join(JOIN_SECONDS)

    def _on_loop(self, action: Callable[[], Any]) -> Any:
        """The result of ``action``, run by the loop's thread: no request is read meanwhile."""
        results: list[Any] = []
        done = threading.Event()

        def act() -> None:
            try:
                results.append(action())
            finally:
                done.set()

        self._server.trigger.pull_trigger(act)
        done.wait(DRAIN_SECONDS)
        return results[0] if results else None

    def _close_idle(self, now: float) -> None:
        """Close the connections that were marked before, and mark the idle ones.

        waitress closes a marked connection when it can write to it. It never can if the client does not read.
        """
        for channel in list(self._server.active_channels.values()):
            if channel.will_close and not channel.requests:
                channel.handle_close()
        self._mark_idle(now)
        for channel in self._server.active_channels.values():
            if channel.will_close:
                self._server.asyncore.note(channel)

    def _stop_accepting(self) -> None:
        for _ in range(ACCEPT_AT_END):
            self._server.handle_accept()
        self._server.accepting = False
        self._server.socket.close()

    def _closed_if_drained(self, deadline: float) -> bool:
        channels = list(self._server.active_channels.values())
        busy = any(channel.requests or channel.total_outbufs_len for channel in channels)
        if busy and time.monotonic() < deadline:
            return False
        for channel in channels:
            channel.handle_close()
        return True


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
