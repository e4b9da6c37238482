"""The tracker's client: against a real tracker, and against servers absent, silent or mad."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import MessageError, TrackerRefused, TrackerUnavailable
from common.messages import OwnedFile, OwnerEntry
from node.discovery import http_client
from node.discovery.base import PeerSource
from node.discovery.classroom import MAX_REASON, TrackerClient
from node.discovery.tracker_url import tracker_url

A, B = ("127.0.0.1", 4001), ("127.0.0.1", 4002)
HASH = "ab" * 20
PATIENCE = 20.0  # seconds


@pytest.fixture
def make_client() -> Iterator[Callable[..., TrackerClient]]:
    """Makes clients that are closed in the end."""
    made: list[TrackerClient] = []

    def make(url: str, node_id: int = 1, timeout: float = PATIENCE) -> TrackerClient:
        made.append(TrackerClient(url, node_id, timeout))
        return made[-1]

    yield make
    for client in made:
        client.close()


class Server:
    """Answers each connection with the same bytes, then closes it."""

    def __init__(self, answer: bytes, pause: float = 0.0) -> None:
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}"
        self.requests: list[bytes] = []
        self._answer, self._pause = answer, pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            sock, _ = self.sock.accept()
            with sock:
                if not self._stop.is_set():
                    self._talk(sock)

    def _talk(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        try:
            self.requests.append(sock.recv(1 << 16))
            head, end, body = self._answer.partition(b"\r\n\r\n")
            if not end:  # all head
                head, body = body, head
            sock.sendall(head + end)
            for byte in body if self._pause else ():
                if self._stop.wait(self._pause):
                    return
                sock.sendall(bytes([byte]))
            sock.sendall(body)
        except OSError:
            return  # the client had enough

    def close(self) -> None:
        self._stop.set()
        socket.create_connection(self.sock.getsockname()).close()
        self._thread.join()
        self.sock.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts servers that are closed in the end."""
    started: list[Server] = []

    def start(answer: bytes, pause: float = 0.0) -> Server:
        started.append(Server(answer, pause))
        return started[-1]

    yield start
    for server in started:
        server.close()


def http(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_a_nodes_life(tracker_process, make_client: Callable[..., TrackerClient]) -> None:
    one, two = make_client(tracker_process.url, 1), make_client(tracker_process.url + "/announce", 2)
    answer = one.register(A)
    assert (answer.interval, answer.known, answer.files) == (11.0, False, 0)
    one.own([OwnedFile("f", HASH, 9, complete=False)])
    two.register(B)
    two.own([OwnedFile("f", HASH, 9), OwnedFile("g")])
    assert one.update("f", owner=2, info_hash=HASH, amount=9)
    assert one.need("f", HASH) == one.need(info_hash=HASH) == one.need("f")
    assert one.need("f") == [OwnerEntry(2, B, 1, HASH, True, 9), OwnerEntry(1, A, 0, HASH, False, 9)]
    two.exit()
    assert one.need("g") == []


def test_ten_thousand_files_are_announced_in_ten_requests(
    tracker_process, make_client: Callable[..., TrackerClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(tracker_process.url)
    client.register(A)
    asked = []
    real = http_client.HttpClient._once
    monkeypatch.setattr(http_client.HttpClient, "_once", lambda *words: asked.append(1) or real(*words))
    client.own([OwnedFile(f"file {n}", f"{n:040x}", n) for n in range(10_000)])
    assert len(asked) == 10
    assert client.register(A).files == 10_000
    client.own([])
    assert len(asked) == 11


def test_a_tracker_that_restarted_is_noticed_by_a_new_connection(
    tracker_process: Any, make_client: Callable[..., TrackerClient]
) -> None:
    client = make_client(tracker_process.url)
    client.register(A)
    client.own([OwnedFile("a", None, 1)])
    assert client.own([OwnedFile("b", None, 1)]) == 2
    before = client.connections
    client.register(A)
    assert client.connections == before
    tracker_process.restart()
    client.register(A)
    assert client.connections > before


def test_a_refusal_says_why(tracker_process, make_client: Callable[..., TrackerClient]) -> None:
    make_client(tracker_process.url).register(A)
    with pytest.raises(TrackerRefused, match="node 1 is in use at 127.0.0.1:4001") as caught:
        make_client(tracker_process.url).register(B)
    assert caught.value.status == 409
    with pytest.raises(TrackerRefused, match="does not know node 5") as caught:
        make_client(tracker_process.url, 5).update("f")
    assert caught.value.status == 400


def test_a_tracker_that_was_restarted_is_found_again(
    tracker_process, make_client: Callable[..., TrackerClient]
) -> None:
    client = make_client(tracker_process.url)
    client.register(A)
    tracker_process.kill()
    with pytest.raises(TrackerUnavailable, match="connection refused"):
        client.register(A)
    tracker_process.restart()
    assert client.register(A).known
    client.update("f")


def test_threads_share_a_client(tracker_process, make_client: Callable[..., TrackerClient]) -> None:
    client = make_client(tracker_process.url)
    client.register(A)
    client.own([OwnedFile("f")])
    threads = [threading.Thread(target=lambda: [client.update("f") for _ in range(5)]) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.need("f")[0].uploads == 80


def test_who_was_refused_does_not_remove_who_is_in(
    tracker_process, make_client: Callable[..., TrackerClient]
) -> None:
    first, second = make_client(tracker_process.url), make_client(tracker_process.url)
    first.register(A)
    with pytest.raises(TrackerRefused):
        second.register(B)
    second.exit()
    assert first.register(A).known


def test_own_needs_an_address() -> None:
    with pytest.raises(ValueError, match="before register"):
        TrackerClient("http://127.0.0.1:1", 1).own([OwnedFile("f")])


def test_nobody_there_is_said_in_one_line_for_people(make_client: Callable[..., TrackerClient]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    with pytest.raises(TrackerUnavailable) as caught:
        make_client(f"http://127.0.0.1:{port}").register(A)
    assert str(caught.value) == (
        f"tracker http://127.0.0.1:{port} does not answer (connection refused); is it running?"
    )


def test_silence_ends_with_the_timeout(make_client: Callable[..., TrackerClient]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        begin = time.monotonic()
        with pytest.raises(TrackerUnavailable, match="timeout"):
            make_client(f"http://127.0.0.1:{sock.getsockname()[1]}", timeout=0.2).need("f")
        assert time.monotonic() - begin < 10


def test_an_answer_that_drips_ends_with_the_timeout(
    make_client: Callable[..., TrackerClient], serve: Callable[..., Server]
) -> None:
    server = serve(http(b" " * 10_000), pause=0.05)
    begin = time.monotonic()
    with pytest.raises(TrackerUnavailable, match="takes longer than 0.3 s"):
        make_client(server.url, timeout=0.3).need("f")
    assert time.monotonic() - begin < 10


def test_the_head_of_an_answer_may_not_drip_either(
    make_client: Callable[..., TrackerClient], serve: Callable[..., Server]
) -> None:
    server = serve(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 10_000, pause=0.05)
    begin = time.monotonic()
    with pytest.raises(TrackerUnavailable):
        make_client(server.url, timeout=0.3).need("f")
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{",
        http(b"<html>"), http(b"{}"), http(b'{"search_result": [[1, 2]]}'),
        http(b'{"search_result": [[{}, 0]]}'), http(b"", "204 No Content"),
        http(b'{"search_result": []}', "201 Created"),
    ],
)  # fmt: skip
def test_nonsense_is_no_answer(
    make_client: Callable[..., TrackerClient], serve: Callable[..., Server], answer: bytes
) -> None:
    server = serve(answer)
    with pytest.raises(TrackerUnavailable) as caught:
        make_client(server.url).need("f")
    assert "\n" not in str(caught.value) and server.url in str(caught.value)
    assert 1 <= len(server.requests) <= 2


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"error": "\x1b]0;owned\x07\nforged line\u202e" * 500}).encode(),
        b'{"error": 5}',
        b"[]",
        b"<html>",
    ],
)
def test_a_refusal_is_cleaned_for_the_terminal(
    make_client: Callable[..., TrackerClient], serve: Callable[..., Server], body: bytes
) -> None:
    with pytest.raises(TrackerRefused) as caught:
        make_client(serve(http(body, "403 Forbidden")).url).need("f")
    assert caught.value.status == 403
    assert str(caught.value).isprintable() and len(str(caught.value)) < MAX_REASON + 200


def test_a_proxy_of_the_environment_is_not_asked(
    make_client: Callable[..., TrackerClient], serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, server = serve(http(b"proxy")), serve(http(json.dumps({"search_result": []}).encode()))
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    assert make_client(server.url).need("f") == []
    assert proxy.requests == []


def test_a_dropped_connection_is_tried_again_except_for_an_upload(
    make_client: Callable[..., TrackerClient], serve: Callable[..., Server]
) -> None:
    server = serve(b"")
    for ask, tries in ((lambda c: c.register(A), 2), (lambda c: c.update("f"), 1)):
        server.requests.clear()
        with pytest.raises(TrackerUnavailable, match="connection lost"):
            ask(make_client(server.url))
        assert len(server.requests) == tries


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("http://127.0.0.1:12345", "http://127.0.0.1:12345"),
        ("http://localhost:12345/announce", "http://127.0.0.1:12345"),
        ("http://h.example/tracker?x=1#y", "http://h.example:80"),
        ("HTTP://H.Example:9/", "http://h.example:9"),
        ("http://[::1]:9/announce", "http://[::1]:9"),
    ],
)
def test_the_host_and_port_of_an_announce_url_are_asked(url: str, meant: str) -> None:
    assert tracker_url(url) == meant
    assert TrackerClient(url, 1).url == meant


@pytest.mark.parametrize(
    "url",
    [
        "", "127.0.0.1:12345", "//127.0.0.1:1", "javascript:alert(1)", "ftp://127.0.0.1", "http://user:secret@h:1",
        "http://h:1\r\nX-Injected: 1", "https://h:1/announce", "udp://h:1", "http://", "http://:80", "http://h:0",
        "http://h:x", "http://h:70000", "http://user@h:1", "http://a b:1", "http://[::1", "http://[x]:1",
        "http://é:1", "file:///etc/passwd",
        "http://" + "a" * 64, "http://" + "a" * 5000, "http://a..b", "http://\x1b[31m:1",
    ],
)  # fmt: skip
def test_what_is_no_tracker_url_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(MessageError) as caught:
        tracker_url(url)
    assert len(str(caught.value)) < 1000 and str(caught.value).isprintable()


@given(st.text() | st.text().map("http://{}".format) | st.from_regex(r"http://[a-z0-9.\[\]:@-]{0,20}(/.*)?"))
def test_any_text_is_a_tracker_url_or_a_message_error(url: str) -> None:
    try:
        assert tracker_url(tracker_url(url)) == tracker_url(url)
    except MessageError as error:
        assert error.field == "announce"


def test_it_is_a_discovery() -> None:
    discovery: PeerSource = TrackerClient("http://127.0.0.1:1", 1)
    assert discovery


def test_files_are_taken_back_from_trackers_that_can(play_tracker: Any) -> None:
    played_tracker = play_tracker()
    client = TrackerClient(played_tracker.url, 1)
    client.register(A)
    file = OwnedFile("x", HASH, 3)
    assert client.withdraw([file]) is None  # it answers as to any OWN
    played_tracker.refuse(400, "withdraw is not known")
    assert client.withdraw([file]) is None
    played_tracker.answer = lambda mode, fields: (200, {"status": "File owner removed", "files": 2}, {})
    assert client.withdraw([file]) == 2
    _, fields, _ = played_tracker.heard[-1]
    assert fields["mode"] == 1 and fields["withdraw"] is True and fields["filename"] == "x"
    played_tracker.refuse(403, "no")
    with pytest.raises(TrackerRefused):
        client.withdraw([file])
    client.close()


def test_a_file_that_is_taken_back_leaves_the_others_and_the_credit(
    tracker_process: Any, make_client: Callable[..., TrackerClient]
) -> None:
    owner, other = make_client(tracker_process.url, 1), make_client(tracker_process.url, 2)
    owner.register(A)
    other.register(B)
    files = [OwnedFile("x", HASH, 3), OwnedFile("y", "cd" * 20, 4)]
    owner.own(files)
    assert other.update("x", 1, HASH, 3)
    assert owner.withdraw(files[:1]) == 1
    assert other.need("x", HASH) == []
    (left,) = other.need("y", "cd" * 20)
    assert (left.node_id, left.uploads) == (1, 1)
