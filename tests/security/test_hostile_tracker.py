"""A classroom node with a hostile tracker or a hostile torrent."""

from __future__ import annotations

import gzip
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from common import bencode
from common.errors import MessageError, MetainfoError, TrackerRefused, TrackerUnavailable
from common.metainfo import MAX_PIECES, decode_metainfo
from node.discovery.classroom import MAX_OWNERS, MAX_REASON, TrackerClient
from node.discovery.http_client import MAX_ANSWER
from node.discovery.tracker_url import tracker_url

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


def test_an_error_text_is_short_and_clean(
    tracker: Callable[[bytes], HostileTracker], client_of: Callable[[HostileTracker], TrackerClient]
) -> None:
    text = "\x1b]0;owned\x07\nforged line\u202e" * 500
    answer = http(json.dumps({"error": text}).encode(), "400 Bad")
    with pytest.raises(TrackerRefused) as raised:
        client_of(tracker(answer)).need(info_hash=HASH)
    said = str(raised.value)
    assert len(said) < MAX_REASON + 100
    assert not any(c in said for c in "\x1b\x07\n\u202e")


INTERVALS = ["1e308", "1e-300", "-5", "0", '"11"', "true", "null", "[]"]


@pytest.mark.parametrize("interval", INTERVALS)
def test_a_mad_interval_neither_floods_the_tracker_nor_silences_the_node(
    tracker: Callable[[bytes], HostileTracker],
    client_of: Callable[[HostileTracker], TrackerClient],
    interval: str,
) -> None:
    client = client_of(tracker(http(b'{"status":"Node registered","interval":' + interval.encode() + b"}")))
    try:
        told = client.register(("127.0.0.1", 4001))
    except TrackerUnavailable:
        return
    assert 0.1 <= told.interval <= 3600


# ---- a hostile torrent

URLS = [
    "file:///etc/passwd",
    "https://127.0.0.1:1",
    "ftp://127.0.0.1",
    "http://user:secret@127.0.0.1:1",
    "http://",
    "http://[::1",
    "http://127.0.0.1:0",
    "http://127.0.0.1:99999",
    "http://127.0.0.1:1\r\nX-Injected: 1",
    "http://a b",
    "javascript:alert(1)",
    "//127.0.0.1:1",
    "http://\x1b[31m",
    "http://" + "a" * 5000,
]


@pytest.mark.parametrize("url", URLS)
def test_an_announce_that_is_no_trackers_address_is_not_asked(url: str) -> None:
    with pytest.raises(MessageError) as raised:
        tracker_url(url)
    assert len(str(raised.value)) < 1000
    assert not any(c in str(raised.value) for c in "\x1b\r\n")


def info(**changed: object) -> dict[bytes, object]:
    plain: dict[str, object] = {"length": 1, "name": b"x", "piece length": 32_768, "pieces": bytes(20)}
    return {name.replace("_", " ").encode(): value for name, value in {**plain, **changed}.items()}


def torrent_of(**changed: object) -> bytes:
    return bencode.encode({b"info": info(**changed)})  # type: ignore[dict-item]  # whatever is wrong


TORRENTS = {
    "deep": b"d4:info" + b"l" * 100_000 + b"e" * 100_000 + b"e",
    "very many values": b"d4:infol" + b"le" * 1_500_000 + b"ee",
    "a length of many digits": b"d4:infod6:lengthi" + b"9" * 1_000_000 + b"eee",
    "a string longer than all": b"d4:info999999999999:x",
    "a size beyond all disks": torrent_of(length=2**63),
    "a size of minus one": torrent_of(length=-1),
    "pieces of one byte, very many": torrent_of(length=2**40, piece_length=1),
    "pieces of nothing": torrent_of(piece_length=0),
    "pieces of minus one": torrent_of(piece_length=-1),
    "hashes for more than there is": torrent_of(pieces=bytes(20 * 50_000)),
    "hashes for less than there is": torrent_of(length=10**9),
    "a name that is a list": torrent_of(name=[b"x"]),
    "keys twice": b"d4:infod6:lengthi1e6:lengthi2eee",
}


@pytest.mark.parametrize("data", TORRENTS.values(), ids=TORRENTS.keys())
def test_a_hostile_torrent_is_refused_at_once(data: bytes) -> None:
    used = time.process_time()
    with pytest.raises(MetainfoError) as raised:
        decode_metainfo(data)
    assert time.process_time() - used < 20.0
    assert len(str(raised.value)) < 500 and "\n" not in str(raised.value)


def test_pieces_without_number_are_refused_before_anything_is_made_for_them() -> None:
    size = (MAX_PIECES + 1) * 32_768
    with pytest.raises(MetainfoError, match="more than"):
        decode_metainfo(torrent_of(length=size, pieces=random.Random(1).randbytes(20)))
