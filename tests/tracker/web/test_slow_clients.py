"""The server on real sockets: slow, silent and greedy clients hold nobody up; the end cuts nobody off."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tracker.web import connections, server
from tracker.web.server import WebServer, listening_socket

PATIENCE = 10.0  # seconds
GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LARGE = 8 << 20  # bytes of an answer that no socket buffer takes
HOME = "127.0.0.1"


class Application:
    """Answers "ok"; /large with much; /wait when told to."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.at_work = threading.Semaphore(0)

    def __call__(self, environ, start_response):  # type: ignore[no-untyped-def]
        body = b"x" * LARGE if environ["PATH_INFO"] == "/large" else b"ok"
        if environ["PATH_INFO"] == "/wait":
            self.at_work.release()
            assert self.go_on.wait(PATIENCE)
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def web(application: Application) -> Iterator[WebServer]:
    with listening_socket(HOME, 0) as sock:
        web = WebServer(application, sock, 2)
        web.start()
        yield web
        application.go_on.set()
        web.stop()


def test_the_loop_is_not_woken_after_it_has_ended(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """By then the number of what wakes it may be another file's."""
    server, pull = web._server, web._server.trigger._physical_pull

    def pull_late() -> None:
        if server._over:
            web._thread.join(PATIENCE)
        pull()

    monkeypatch.setattr(server.trigger, "_physical_pull", pull_late)
    web.stop()
    assert not web._thread.is_alive()


@pytest.fixture
def short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUEST_SECONDS", "ANSWER_SECONDS", "NEW_SECONDS"):
        monkeypatch.setattr(connections, name, 0.3)
    monkeypatch.setattr(connections, "LOOK_AFTER", 0.05)


def connect(web: WebServer, source: str = HOME) -> socket.socket:
    port = int(web.url.rpartition(":")[2])
    return socket.create_connection((HOME, port), timeout=PATIENCE, source_address=(source, 0))


def answer(sock: socket.socket) -> bytes:
    """One whole answer; b"" if the connection ends before it begins."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = sock.recv(65_536)
        if not part:
            return received
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    )
    while len(body) < length:
        part = sock.recv(65_536)
        assert part, "an answer was cut"
        body += part
    return head + b"\r\n\r\n" + body


def is_served(web: WebServer, source: str = HOME) -> bool:
    with connect(web, source) as sock:
        sock.sendall(GET)
        return answer(sock).endswith(b"ok")


def ends(sock: socket.socket) -> float:
    """Seconds until the server closes the connection."""
    begun = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while sock.recv(65_536):
            pass
    return time.monotonic() - begun


@pytest.mark.parametrize(
    "said",
    [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf",
     b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nha"],
    ids=["nothing", "one byte", "half a head", "half a body", "half a chunk"],
)  # fmt: skip
def test_who_stops_in_the_middle_is_dropped(short_deadlines: None, web: WebServer, said: bytes) -> None:
    with connect(web) as sock:
        sock.sendall(said)
        assert ends(sock) < 2.0
    assert is_served(web)


def test_an_answer_that_the_system_takes_only_in_parts_arrives_whole(web: WebServer) -> None:
    with connect(web) as sock:
        for _ in range(2):
            sock.sendall(GET.replace(b"/ ", b"/large "))
            assert answer(sock).partition(b"\r\n\r\n")[2] == b"x" * LARGE


def test_who_sends_byte_by_byte_is_dropped_and_others_are_served(
    short_deadlines: None, web: WebServer
) -> None:
    slow = [connect(web) for _ in range(50)]
    begun = time.monotonic()
    while slow:
        assert time.monotonic() - begun < PATIENCE
        assert is_served(web)
        for sock in list(slow):
            try:
                sock.sendall(b"G")
            except OSError:
                slow.remove(sock)
                sock.close()


def test_who_never_reads_its_answer_is_dropped(short_deadlines: None, web: WebServer) -> None:
    with connect(web) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(GET.replace(b"/ ", b"/large "))
        begun = time.monotonic()
        assert is_served(web)
        slow = next(iter(web._server._by_use))
        while slow.connected:
            assert is_served(web)  # no worker is held, either
            assert time.monotonic() - begun < PATIENCE


def test_a_kept_connection_may_be_silent_for_longer(short_deadlines: None, web: WebServer) -> None:
    with connect(web) as sock:
        for _ in range(2):
            sock.sendall(GET)
            assert answer(sock).endswith(b"ok")
            time.sleep(0.6)  # twice what a new one or a half request may take
        sock.sendall(GET)
        assert answer(sock).endswith(b"ok")


def test_when_connections_run_out_the_most_useless_make_room(
    monkeypatch: pytest.MonkeyPatch, application: Application
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 20)
    with listening_socket(HOME, 0) as sock, contextlib.ExitStack() as cleanup:
        web = WebServer(application, sock, 2)
        web.start()
        cleanup.callback(web.stop)
        honest = cleanup.enter_context(connect(web))
        for number in range(100):
            source = f"127.0.0.{2 + number % 50}"  # many addresses: all connections are used up, no share is
            cleanup.enter_context(connect(web, source)).sendall(b"G")
            honest.sendall(GET)
            assert answer(honest).endswith(b"ok")
            assert is_served(web, "127.0.1.1")


def test_one_address_drives_out_only_its_own(
    monkeypatch: pytest.MonkeyPatch, application: Application
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 20)
    with listening_socket(HOME, 0) as sock, contextlib.ExitStack() as cleanup:
        web = WebServer(application, sock, 2)
        web.start()
        cleanup.callback(web.stop)
        others = [cleanup.enter_context(connect(web, "127.0.0.9")) for _ in range(4)]
        for other in others:
            other.sendall(GET)
            assert answer(other).endswith(b"ok")
        for _ in range(100):
            cleanup.enter_context(connect(web))
        assert is_served(web, "127.0.0.8")
        for other in others:  # idle all the time, and still there
            other.sendall(GET)
            assert answer(other).endswith(b"ok")


def test_what_half_requests_hold_together_is_bounded(monkeypatch: pytest.MonkeyPatch, web: WebServer) -> None:
    monkeypatch.setattr(connections, "MAX_HELD", 1 << 20)
    head = b"POST / HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n"
    with contextlib.ExitStack() as cleanup:
        for _ in range(32):
            sock = cleanup.enter_context(connect(web))
            with contextlib.suppress(ConnectionError):
                sock.sendall(head + b"x" * 100_000)
            assert is_served(web)
        assert 0 < web._server._held <= (1 << 20) + 65_536


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n<script>\r\n\r\n", b"400"),
        (b"<script> / HTTP/1.1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: <script>\r\n\r\n", b"501"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
    ],
)
def test_what_is_refused_before_flask_is_refused_in_json_and_repeats_nothing(
    web: WebServer, said: bytes, status: bytes
) -> None:
    with connect(web) as sock:
        sock.sendall(said)
        told = answer(sock)
    head, _, body = told.partition(b"\r\n\r\n")
    assert head.split()[1] == status
    assert list(json.loads(body)) == ["error"]
    assert b"script" not in told
    for header in (b"nosniff", b"default-src 'none'", b"no-store", b"no-referrer"):
        assert header in head
    assert is_served(web)


def test_an_answer_that_is_ready_while_the_loop_looks_is_not_overlooked(web: WebServer) -> None:
    """A worker may finish between any two looks at a connection; then it must be looked at once more."""

    class JustDone:
        accepting = False
        _fileno = 10**6

        def __init__(self) -> None:
            self.requests = ["at work"]

        def readable(self) -> bool:
            self.requests = []  # now, by the worker
            return False

        def writable(self) -> bool:
            return False

    idle, done = web._server, JustDone()
    web.stop()
    idle._map[done._fileno] = done
    idle._unsure.add(done)
    idle._selector = selectors.DefaultSelector()
    idle._settle()
    assert done in idle._unsure
    idle._selector.close()


# ---- the end


def test_the_end_waits_for_what_is_under_way_and_takes_no_more(application: Application) -> None:
    with listening_socket(HOME, 0) as sock, contextlib.ExitStack() as cleanup:
        web = WebServer(application, sock, 2)
        web.start()
        waiting = [cleanup.enter_context(connect(web)) for _ in range(5)]  # two at work, three in line
        for one in waiting:
            one.sendall(GET.replace(b"/ ", b"/wait "))
        for _ in range(2):
            assert application.at_work.acquire(timeout=PATIENCE)
        kept = cleanup.enter_context(connect(web))
        ending = threading.Thread(target=web.stop)
        ending.start()
        kept.sendall(GET)  # asked when the end has begun
        application.go_on.set()
        for one in [*waiting, kept]:
            told = answer(one)
            assert told.endswith(b"ok")
            assert one.recv(1) == b""  # and no more
        ending.join(PATIENCE)
        assert not ending.is_alive()
        with pytest.raises(ConnectionRefusedError):
            connect(web)


def test_the_end_does_not_wait_for_ever(application: Application, web: WebServer) -> None:
    with connect(web) as at_work, connect(web) as half, connect(web) as silent:
        at_work.sendall(GET.replace(b"/ ", b"/wait "))
        assert application.at_work.acquire(timeout=PATIENCE)
        half.sendall(b"GET /")
        begun = time.monotonic()
        web.stop()
        assert time.monotonic() - begun < 1.8
        for sock in (at_work, half, silent):
            assert ends(sock) < 1.0
