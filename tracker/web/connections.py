"""waitress with limits against slow and greedy clients, a loop whose work does not grow with idle
connections, and an end that leaves no request unanswered.

waitress reads requests and writes answers in one loop, without a thread for each connection; only whole
requests reach the worker threads. So a slow client holds no thread. What it does hold is bounded here:

* a request must be whole REQUEST_SECONDS after its first byte, an answer taken ANSWER_SECONDS after it was
  ready, and a connection on which nothing happens is closed after IDLE_SECONDS;
* when connections run out, in all or those of one address, the one that has been of no use for longest
  makes room for the new one: who opens thousands drives out its own, and an idle node connects again;
* what all requests that are not answered yet hold together is bounded; beyond it the one is given up that
  holds most and has done so for longest.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import threading
import time
from collections import OrderedDict
from functools import lru_cache
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import build_http_date

from tracker.rate_limits import one_owner
from tracker.web.guard import HEADERS, NOTHING

REQUEST_SECONDS = 10.0  # from the first byte of a request to its last
ANSWER_SECONDS = 20.0  # for which an answer may lie unread
IDLE_SECONDS = 60.0  # after which a connection on which nothing happens is closed
NEW_SECONDS = 10.0  # for which a new connection may stay silent
SHARE_OF_ADDRESS = 0.75  # of the connections that are for one address, at most
MAX_HELD = 64 << 20  # bytes of requests that are not answered yet, all together
LOOK_AFTER = 0.5  # seconds between two looks at the deadlines
ACCEPT_AT_ONCE = 64  # connections that are accepted before others get their turn
QUIET = 0.1  # seconds without anything asked, at the end, after which nobody is expected to ask
POLL = 0.02  # seconds between two looks at whether all is answered, at the end


_http_date = lru_cache(4)(build_http_date)  # by the second


class _Request(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    def __init__(self, adjustments: Any) -> None:
        super().__init__(adjustments)
        self.begun = time.monotonic()


class _Answer(WSGITask):  # type: ignore[misc]
    wrote_header = False
    content_bytes_written = 0

    def build_response_header(self) -> bytes:
        """At the end, each answer is its connection's last."""
        if self.channel.server.ending:
            self.set_close_on_finish()
        header: bytes = self._usual_header() or super().build_response_header()
        return header

    def _usual_header(self) -> bytes | None:
        """A body of known length, and the connection stays: no need to sort and respell a dozen headers."""
        connection = self.request.headers.get("CONNECTION", "")
        known = self.has_body and self.content_length is not None
        if self.version != "1.1" or self.close_on_finish or not known or connection.lower() == "close":
            return None
        said = "".join([f"{name}: {value}\r\n" for name, value in self.response_headers])
        if "Content-Length: " not in said or "Server: " in said or "Date: " in said:
            return None
        ident, date = self.channel.server.adj.ident, _http_date(int(self.start_time))
        return f"HTTP/1.1 {self.status}\r\n{said}Server: {ident}\r\nDate: {date}\r\n\r\n".encode("latin-1")

    def write(self, data: bytes) -> None:
        """Head and body in one packet and one system call, where the length is known."""
        if self.wrote_header or not (self.complete and self.has_body and self.content_length == len(data)):
            super().write(data)
            return
        self.channel.write_now(self.build_response_header() + data)
        self.wrote_header = True
        self.content_bytes_written = len(data)


class _Error(ErrorTask):  # type: ignore[misc]
    def execute(self) -> None:
        """What waitress itself refuses, in the form of all our errors. Nothing of the request is repeated."""
        error = self.request.error
        body = json.dumps({"error": str(error.reason).lower()}).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers += [("Content-Type", "application/json"), *HEADERS]
        self.response_headers += [("Content-Security-Policy", NOTHING), ("Cache-Control", "no-store")]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Connection(HTTPChannel):  # type: ignore[misc]
    """One client's."""

    parser_class = _Request
    task_class = _Answer
    error_task_class = _Error

    def __init__(self, server: LimitedServer, sock: Any, addr: Any, adj: Any, map: Any) -> None:
        self.held = 0  # bytes of the request that is not answered yet
        self.asked = False  # whether there was a whole request
        self.answer_since: float | None = None  # when its answer was first seen to lie here
        self.since = time.monotonic()  # the last whole request, or the beginning
        self.address = one_owner(addr[0])
        super().__init__(server, sock, addr, adj, map=map)

    def received(self, data: bytes) -> bool:
        """Bytes came."""
        taken = bool(super().received(data))
        self.server.hold(self, self.held + len(data))
        if self.requests:
            self.asked, self.since = True, time.monotonic()
            self.server.was_of_use(self)
        return taken

    def write_now(self, data: bytes) -> None:
        """From a worker: an answer goes straight to the system, which has room for it nearly always. What it
        does not take, or an error, is the buffers' business: of a long answer they make a file in memory.
        """
        sent = 0
        with self.outbuf_lock:
            if self.connected and not self.total_outbufs_len:
                with contextlib.suppress(OSError):  # comes again as soon as the buffers are sent
                    sent = self.send(data, do_close=False)
        if sent < len(data):
            self.write_soon(data[sent:])

    @property
    def weight(self) -> float:
        """How much room it takes, and for how long (byte seconds); 0 if it is we who are working."""
        if self.requests or self.request is None:
            return 0.0
        return self.held * (time.monotonic() - float(self.request.begun))

    def overdue(self, now: float) -> bool:
        """Whether the client had its time."""
        if self.requests:
            return False  # it is we who are working
        if self.total_outbufs_len:
            self.answer_since = self.answer_since or now
            return now - self.answer_since > ANSWER_SECONDS
        self.answer_since = None
        if self.request is not None:
            return now - float(self.request.begun) > REQUEST_SECONDS
        return now - self.since > (IDLE_SECONDS if self.asked else NEW_SECONDS)

    def readable(self) -> bool:
        """Whether more may come. It is asked after every change: here an answered request is let go of."""
        if self.held and not self.requests and self.request is None:
            self.server.hold(self, 0)
        return bool(super().readable())

    def writable(self) -> bool:
        """Whether we have something to send. As long as a worker is at it, it sends; the loop would only look
        again and again whether it is done, and keep it from that. Unless it waits for the loop to send.
        """
        if self.requests and not self.will_close:
            return bool(self.total_outbufs_len > self.adj.outbuf_high_watermark)
        return bool(super().writable())

    @property
    def idle(self) -> bool:
        """Whether nothing is asked and nothing is to be sent."""
        return not (self.requests or self.total_outbufs_len or self.request is not None)

    def add_channel(self, map: Any = None) -> None:
        """It is new."""
        super().add_channel(map)
        self.server.opened(self)

    def del_channel(self, map: Any = None) -> None:
        """It is over."""
        self.server.closed(self)
        super().del_channel(map)


class LimitedServer(TcpWSGIServer):  # type: ignore[misc]
    """The loop, and who may stay connected. All but ``end`` is for the loop's own thread."""

    channel_class = Connection

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.ending = False
        self._over = False
        self._held = 0
        self._next_look = 0.0
        self._last_use = 0.0
        self._selector = selectors.DefaultSelector()
        self._unsure: set[Any] = set()  # whose wish to read or write may be another than the selector knows
        self._by_use: OrderedDict[Connection, None] = OrderedDict()  # the least useful first
        self._of_address: dict[str, OrderedDict[Connection, None]] = {}
        super().__init__(*arguments, **options)
        self._share = max(1, int(self.adj.connection_limit * SHARE_OF_ADDRESS))
        self._listening: Any = self.socket

    def getsockname(self) -> tuple[str, int]:
        """The numeric address: waitress would ask the name service, which may take seconds to not know."""
        host, port = self.socket.getsockname()[:2]
        return str(host), int(port)

    def set_reuse_addr(self) -> None:
        """Done, or left out, where the socket was made."""

    def readable(self) -> bool:
        """Until the end: there is always room for one more connection, if need be another's."""
        return bool(self.accepting)

    # ---- the loop

    def run(self) -> None:
        """Serve until ``end``."""
        self._unsure.update(self._map.values())
        while not self._over:
            self._settle()
            for key, events in self._selector.select(LOOK_AFTER):
                self._attend(key.fd, key.data, events)
            now = time.monotonic()
            if now >= self._next_look:
                self._next_look = now + LOOK_AFTER
                self._look(now)
        wasyncore.close_all(self._map, ignore_all=True)
        self._selector.close()

    def _attend(self, fd: int, serving: Any, events: int) -> None:
        if self._map.get(fd) is not serving:
            return  # closed a moment ago; the number may be another's already
        self._unsure.add(serving)
        if events & selectors.EVENT_READ:
            wasyncore.read(serving)
        if events & selectors.EVENT_WRITE and self._map.get(fd) is serving:
            wasyncore.write(serving)

    def _settle(self) -> None:
        """Tell the selector what everyone waits for; who has a request at work is asked again next time."""
        for serving in list(self._unsure):
            fd = serving._fileno
            if fd is None or self._map.get(fd) is not serving:
                self._unsure.discard(serving)
                continue
            if not getattr(serving, "requests", None):  # looked at first: a worker may be done in between
                self._unsure.discard(serving)
            wanted = selectors.EVENT_READ if serving.readable() else 0
            if serving.writable() and not serving.accepting:
                wanted |= selectors.EVENT_WRITE
            self._want(fd, serving, wanted)

    def _want(self, fd: int, serving: Any, wanted: int) -> None:
        known = self._selector.get_map().get(fd)
        if known is None:
            if wanted:
                self._selector.register(fd, wanted, serving)
        elif not wanted:
            self._selector.unregister(fd)
        elif known.events != wanted or known.data is not serving:
            self._selector.modify(fd, wanted, serving)

    def _look(self, now: float) -> None:
        for connection in list(self._by_use):
            if connection.overdue(now):
                connection.handle_close()
        self._unsure.update(self._by_use)

    # ---- who may stay

    def handle_accept(self) -> None:
        """Take in whoever waits, some at a time."""
        for _ in range(ACCEPT_AT_ONCE):
            try:
                accepted = self.accept()
            except OSError:  # no file descriptors are left, or the client is gone already
                self._make_room(self._by_use)
                return
            if accepted is None:
                return
            sock, addr = accepted
            self._admit(sock, addr)

    def _admit(self, sock: Any, addr: Any) -> None:
        of_address = self._of_address.get(one_owner(addr[0]), ())
        if len(of_address) >= self._share:
            self._make_room(of_address)
        elif len(self._by_use) >= self.adj.connection_limit:
            self._make_room(self._by_use)
        try:
            self.set_socket_options(sock)
        except OSError:  # macOS: the client is gone already
            sock.close()
            return
        self.channel_class(self, sock, addr, self.adj, map=self._map)

    def _make_room(self, among: Any) -> None:
        for connection in among:
            if not connection.requests:
                connection.handle_close()
                return

    def opened(self, connection: Connection) -> None:
        """A connection is there."""
        self._by_use[connection] = None
        self._of_address.setdefault(connection.address, OrderedDict())[connection] = None
        self._unsure.add(connection)

    def was_of_use(self, connection: Connection) -> None:
        """It brought a whole request."""
        self._last_use = time.monotonic()
        if connection in self._by_use:
            self._by_use.move_to_end(connection)
            self._of_address[connection.address].move_to_end(connection)

    def closed(self, connection: Connection) -> None:
        """It is gone."""
        self._held -= connection.held
        connection.held = 0
        self._by_use.pop(connection, None)
        self._unsure.discard(connection)
        of_address = self._of_address.get(connection.address)
        if of_address is not None:
            of_address.pop(connection, None)
            if not of_address:
                del self._of_address[connection.address]
        if connection._fileno is not None and connection._fileno in self._selector.get_map():
            self._selector.unregister(connection._fileno)

    def hold(self, connection: Connection, size: int) -> None:
        """Its unfinished request has ``size`` bytes now."""
        self._held += size - connection.held
        connection.held = size
        if self._held > MAX_HELD:
            heaviest = max(self._by_use, key=lambda other: other.weight)
            if heaviest.weight:
                heaviest.handle_close()

    # ---- the end

    def end(self, seconds: float) -> None:
        """From another thread: take no more connections, answer what is asked, each answer being its
        connection's last, for ``seconds`` at most; then close all.
        """
        if self._over:
            return
        self.trigger.pull_trigger(self._stop_listening)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._all_is_quiet():
            threading.Event().wait(POLL)
        self.trigger.pull_trigger(self._finish)

    def _finish(self) -> None:
        """On the loop's own thread: else that might end, and its trigger be closed, before it is pulled."""
        self._over = True

    def _stop_listening(self) -> None:
        self.ending = True
        self._last_use = time.monotonic()
        for _ in range(self.adj.backlog // ACCEPT_AT_ONCE + 1):
            self.handle_accept()  # those who are connected already, as far as they know
        self.accepting = False
        self._want(self._fileno, self, 0)
        self._listening.close()

    def _all_is_quiet(self) -> bool:
        quiet = time.monotonic() - self._last_use > QUIET
        return self.ending and quiet and all(connection.idle for connection in list(self._by_use))
