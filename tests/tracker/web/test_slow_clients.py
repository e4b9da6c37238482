"""The server on real sockets: slow clients hold no worker thread; the end cuts no answer off."""

from __future__ import annotations

import collections
import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tracker.web import server
from tracker.web.server import WebServer, listening_socket

PATIENCE = 20.0  # seconds
GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LARGE = 8 << 20  # bytes of an answer that no socket buffer takes
HOME = "127.0.0.1"


class Application:
    """Answers "ok"; /large with a long answer; /wait at the test's command."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.at_work = threading.Semaphore(0)

    def __call__(self, environ, start_response):  # type: ignore[no-untyped-def]
        body = b"x" * LARGE if environ["PATH_INFO"] == "/large" else b"ok"
        if environ["PATH_INFO"] == "/wait":
            self.at_work.release()
            assert self.go_on.wait(PATIENCE)
        sized = [] if environ["PATH_INFO"] == "/unsized" else [("Content-Length", str(len(body)))]
        start_response("200 OK", sized)
        return [body]


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CHANNEL_TIMEOUT", 1)
    monkeypatch.setattr(server, "CLEANUP_INTERVAL", 1)


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


def test_clients_that_stop_in_the_middle_are_dropped(short_timeout: None, web: WebServer) -> None:
    beginnings = [
        b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nha",
    ]  # fmt: skip
    with contextlib.ExitStack() as cleanup:
        clients = [cleanup.enter_context(connect(web)) for _ in beginnings]
        for sock, beginning in zip(clients, beginnings, strict=True):
            sock.sendall(beginning)
        assert is_served(web)
        for sock in clients:
            assert ends(sock) < PATIENCE


@pytest.mark.parametrize("path", [b"/", b"/unsized"])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("connection", [b"close", b"keep-alive"])
def test_every_answer_has_a_length_and_says_whether_it_is_the_last(
    web: WebServer, path: bytes, version: bytes, connection: bytes
) -> None:
    with connect(web) as sock:
        request = b"GET %s HTTP/%s\r\nHost: 127.0.0.1\r\nConnection: %s\r\n\r\n"
        sock.sendall(request % (path, version, connection))
        head, _, body = answer(sock).partition(b"\r\n\r\n")
        assert body == b"ok"
        lines = [line.lower() for line in head.split(b"\r\n")]
        for name in (b"content-length: 2", b"server: tracker", b"date: "):
            assert sum(line.startswith(name) for line in lines) == 1
        if connection == b"close":
            assert b"connection: close" in lines and sock.recv(1) == b""


def test_an_answer_that_the_system_takes_only_in_parts_arrives_whole(web: WebServer) -> None:
    with connect(web) as sock:
        for _ in range(2):
            sock.sendall(GET.replace(b"/ ", b"/large "))
            assert answer(sock).partition(b"\r\n\r\n")[2] == b"x" * LARGE


def test_a_request_sent_before_the_last_answer_waits_for_it(application: Application, web: WebServer) -> None:
    with connect(web) as sock:
        sock.sendall(GET.replace(b"/ ", b"/wait "))
        assert application.at_work.acquire(timeout=PATIENCE)
        sock.sendall(GET)
        sock.shutdown(socket.SHUT_WR)
        begun = time.monotonic()
        while not any(channel.paused for channel in list(web._server.active_channels.values())):
            assert time.monotonic() - begun < PATIENCE
            time.sleep(0.01)
        application.go_on.set()
        received = b"".join(iter(lambda: sock.recv(65_536), b""))
    assert received.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="this system has no epoll")
def test_idle_connections_cost_nothing_while_another_is_answered(
    web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: collections.Counter[int] = collections.Counter()
    readable = server._Channel.readable

    def counted(channel: server._Channel) -> bool:
        asked[channel._fileno] += 1
        return readable(channel)

    with contextlib.ExitStack() as cleanup:
        idle = [cleanup.enter_context(connect(web)) for _ in range(20)]
        busy = cleanup.enter_context(connect(web))
        for sock in [*idle, busy]:
            sock.sendall(GET)
            answer(sock)
        monkeypatch.setattr(server._Channel, "readable", counted)
        for _ in range(50):
            busy.sendall(GET)
            answer(busy)
    assert max(asked.values()) >= 50
    assert sum(asked.values()) - max(asked.values()) <= 3 * len(idle)


def test_requests_that_only_watch_keep_no_other_request_waiting(application: Application) -> None:
    with listening_socket(HOME, 0) as listening, contextlib.ExitStack() as cleanup:
        web = WebServer(application, listening, 2, watching=["/wait"])
        web.start()
        cleanup.callback(web.stop)
        watchers = [cleanup.enter_context(connect(web)) for _ in range(5)]
        for sock in watchers:
            sock.sendall(GET.replace(b"/ ", b"/wait "))
        assert application.at_work.acquire(timeout=PATIENCE)
        assert all(is_served(web) for _ in range(5))
        application.go_on.set()
        assert all(answer(sock).endswith(b"ok") for sock in watchers)


def test_a_system_without_epoll_is_served(
    short_timeout: None, monkeypatch: pytest.MonkeyPatch, application: Application
) -> None:
    monkeypatch.delattr(select, "epoll", raising=False)
    with listening_socket(HOME, 0) as listening, contextlib.ExitStack() as cleanup:
        web = WebServer(application, listening, 2)
        web.start()
        cleanup.callback(web.stop)
        sock = cleanup.enter_context(connect(web))
        for path in (b"/large ", b"/ "):
            sock.sendall(GET.replace(b"/ ", path))
            assert answer(sock)
        assert ends(sock) < PATIENCE


def test_a_client_that_never_reads_its_answer_is_dropped(short_timeout: None, web: WebServer) -> None:
    with connect(web) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(GET.replace(b"/ ", b"/large "))
        assert sock.recv(1)  # the answer has begun
        begun = time.monotonic()
        while web._server.active_channels:
            assert time.monotonic() - begun < PATIENCE
            time.sleep(0.05)
    assert is_served(web)


def test_clients_that_ask_for_much_and_read_nothing_hold_no_worker(
    short_timeout: None, web: WebServer
) -> None:
    """More such clients than workers, each with more requests than the buffers take."""
    with contextlib.ExitStack() as cleanup:
        for _ in range(5):
            sock = cleanup.enter_context(connect(web))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.sendall(GET.replace(b"/ ", b"/large ") * 20)
        assert all(is_served(web) for _ in range(10))
        begun = time.monotonic()
        while web._server.active_channels:
            assert time.monotonic() - begun < PATIENCE
            time.sleep(0.05)


def test_connections_beyond_the_limit_wait_until_others_time_out(
    short_timeout: None, monkeypatch: pytest.MonkeyPatch, application: Application
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 10)
    with listening_socket(HOME, 0) as sock, contextlib.ExitStack() as cleanup:
        web = WebServer(application, sock, 2)
        web.start()
        cleanup.callback(web.stop)
        for _ in range(20):
            cleanup.enter_context(connect(web))
        assert is_served(web)


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
def test_what_is_no_http_is_refused_with_a_status_and_nothing_of_it_is_repeated(
    web: WebServer, said: bytes, status: bytes
) -> None:
    with connect(web) as sock:
        sock.sendall(said)
        told = answer(sock)
    assert told.split()[1] == status
    assert b"script" not in told and b"Traceback" not in told
    assert is_served(web)


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
