"""A classroom node with a hostile tracker or a hostile torrent."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from common.errors import TrackerUnavailable
from node.discovery.classroom import MAX_OWNERS, TrackerClient
from node.discovery.http_client import MAX_ANSWER

PATIENCE = 20.0  # seconds for one answer; each of these tests takes a small part of one
HASH = "ab" * 20


def _whole_request(sock: socket.socket) -> bool:
    """Read head and body: a system resets a connection that is closed with something unread."""
    request = b""
    while b"\r\n\r\n" not in request:
        if not (more := sock.recv(1 << 16)):
            return False
        request += more
    head, _, body = request.partition(b"\r\n\r\n")
    length = next(
        int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    )
    while len(body) < length:
        if not (more := sock.recv(1 << 16)):
            return False
        body += more
    return True


class HostileTracker:
    """Sends ``answer`` to every client, in pieces of 64 KiB, as long as the client reads."""

    def __init__(self, answer: bytes) -> None:
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}"
        self.asked = 0
        self.sent = 0
        self._answer = answer
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(PATIENCE)
                try:
                    if not _whole_request(sock):
                        continue
                    self.asked += 1
                    for at in range(0, len(self._answer), 1 << 16):
                        sock.sendall(self._answer[at : at + (1 << 16)])
                        self.sent = at
                except OSError:
                    continue  # it had enough

    def close(self) -> None:
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self._thread.join(PATIENCE)


@pytest.fixture
def tracker() -> Iterator[Callable[[bytes], HostileTracker]]:
    made: list[HostileTracker] = []

    def make(answer: bytes) -> HostileTracker:
        made.append(HostileTracker(answer))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def client_of() -> Iterator[Callable[[HostileTracker], TrackerClient]]:
    made: list[TrackerClient] = []

    def make(tracker: HostileTracker) -> TrackerClient:
        made.append(TrackerClient(tracker.url, 1, PATIENCE))
        return made[-1]

    yield make
    for one in made:
        one.close()


def http(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {size}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def need(owners: object) -> bytes:
    return json.dumps({"dest_node_id": 1, "filename": "x", "search_result": owners}).encode()


GOOD = [{"node_id": 2, "addr": ["127.0.0.1", 4002]}, 0]
MAX_TOKENS_PER_SECOND = {
    "a list": b"[]",
    "deep": b"[" * 500_000,
    "deep in a field": b'{"search_result":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
    "a number of a million digits": b'{"search_result":[' + b"9" * 1_000_000 + b"]}",
    "not a number": b'{"search_result":[[{"node_id":NaN},1]]}',
    "half a character": b'{"search_result":"\xff\xfe"}',
    "nothing": b"",
    "another protocol": b"SSH-2.0-x\r\n",
    "wrong types": need([[[], []]]),
    "an owner as a number": need([7]),
    "an id too large": need([[{**GOOD[0], "node_id": 2**31}, 0]]),  # type: ignore[dict-item]
    "a port too large": need([[{"node_id": 2, "addr": ["127.0.0.1", 65_536]}, 0]]),
    "a name for an address": need([[{"node_id": 2, "addr": ["localhost.evil.example", 1]}, 0]]),
    "an address with an escape code": need([[{"node_id": 2, "addr": ["fe80::1%\x1b[31m", 1]}, 0]]),
    "everybody's address": need([[{"node_id": 2, "addr": ["255.255.255.255", 1]}, 0]]),
    "a group's address": need([[{"node_id": 2, "addr": ["224.0.0.1", 1]}, 0]]),
    "a negative count": need([[GOOD[0], -1]]),
}


@pytest.mark.parametrize("body", MAX_TOKENS_PER_SECOND.values(), ids=MAX_TOKENS_PER_SECOND.keys())
def test_a_mad_answer_is_no_answer(
    tracker: Callable[[bytes], HostileTracker],
    client_of: Callable[[HostileTracker], TrackerClient],
    body: bytes,
) -> None:
    client = client_of(tracker(http(body)))
    used = time.process_time()
    with pytest.raises(TrackerUnavailable) as raised:
        client.need(info_hash=HASH)
    assert time.process_time() - used < 5.0, "it costs too much to find out"
    assert "\n" not in str(raised.value) and "\x1b" not in str(raised.value)


def test_an_answer_without_end_is_cut(
    tracker: Callable[[bytes], HostileTracker], client_of: Callable[[HostileTracker], TrackerClient]
) -> None:
    mad = tracker(http(b" " * (8 * MAX_ANSWER)))
    with pytest.raises(TrackerUnavailable, match="longer than"):
        client_of(mad).need(info_hash=HASH)
    assert mad.sent < 8 * MAX_ANSWER - (1 << 20), "it was read to its end"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_a_compressed_answer_is_not_unpacked(
    tracker: Callable[[bytes], HostileTracker],
    client_of: Callable[[HostileTracker], TrackerClient],
    encoding: str,
) -> None:
    """We ask for none, so a few kilobytes cannot become gigabytes."""
    bomb = gzip.compress(b" " * 50_000_000)
    with pytest.raises(TrackerUnavailable):
        client_of(tracker(http(bomb, "200 OK", f"Content-Encoding: {encoding}"))).need(info_hash=HASH)


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"]
)
def test_a_redirect_is_not_followed(
    tracker: Callable[[bytes], HostileTracker],
    client_of: Callable[[HostileTracker], TrackerClient],
    status: str,
) -> None:
    """Or a tracker could have a node knock at doors that only the node can reach."""
    inside = tracker(http(need([GOOD])))
    client = client_of(tracker(http(b"", status, f"Location: {inside.url}/tracker")))
    with pytest.raises(TrackerUnavailable):
        client.need(info_hash=HASH)
    assert inside.asked == 0


def test_ten_thousand_header_lines_are_no_answer(
    tracker: Callable[[bytes], HostileTracker], client_of: Callable[[HostileTracker], TrackerClient]
) -> None:
    headers = [f"X-{number}: {'y' * 50}" for number in range(10_000)]
    with pytest.raises(TrackerUnavailable):
        client_of(tracker(http(need([GOOD]), "200 OK", *headers))).need(info_hash=HASH)


def test_of_very_many_owners_only_so_many_are_looked_at(
    tracker: Callable[[bytes], HostileTracker], client_of: Callable[[HostileTracker], TrackerClient]
) -> None:
    owners = [[{"node_id": number, "addr": ["127.0.0.1", 4002]}, 0] for number in range(40_000)]
    found = client_of(tracker(http(need(owners)))).need(info_hash=HASH)
    assert [owner.node_id for owner in found] == list(range(MAX_OWNERS))


@pytest.mark.parametrize(
    ("interval", "kept"),
    [("11", 11.0), ("1e-300", 0.1), ("1e300", 3600.0)]
    + [(text, None) for text in ("-5", "0", '"11"', "true", "null", "[]", "1e309")],
)
def test_a_mad_interval_neither_floods_the_tracker_nor_silences_the_node(
    tracker: Callable[[bytes], HostileTracker],
    client_of: Callable[[HostileTracker], TrackerClient],
    interval: str,
    kept: float | None,
) -> None:
    client = client_of(tracker(http(b'{"status":"Node registered","interval":' + interval.encode() + b"}")))
    try:
        told = client.register(("127.0.0.1", 4001))
    except TrackerUnavailable:
        assert kept is None
        return
    assert told.interval == kept or (kept is None and 0.1 <= told.interval <= 3600)
