"""Announces over HTTP and HTTPS (BEP 3, BEP 23, BEP 7). Answers are bounded in size and in time.

Each announce uses a connection of its own: the next one is half an hour away. Redirects are followed by hand,
so that each address on the way is checked before a request is sent there (node.discovery.announce_url). The
check uses the address of the connected socket: a name server cannot answer differently the second time.
"""

from __future__ import annotations

import contextlib
import socket
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin

import requests
import requests.adapters
import urllib3
import urllib3.connection

from common.errors import MessageError, TrackerPacketError, TrackerRefused, TrackerUnavailable
from node.discovery.announce import (
    AnnounceFailure,
    AnnounceParams,
    AnnounceResult,
    announce_query,
    parse_announce_answer,
)
from node.discovery.announce_url import AnnounceUrl, caution, is_inside, parse_announce_url
from node.discovery.http_deadline import HeadDeadline, garbled, read_body, reason
from node.discovery.source_address import source_address

MAX_BODY = 1 << 20  # bytes of an answer, sent and unpacked
MAX_REDIRECTS = 3  # of one announce, one after another
REQUEST_TIMEOUT = 10.0  # max seconds for the connection, for the head, and for the body
REFUSED = 200  # HTTP: a tracker refuses with status 200 and a reason in the body

FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
_HEADERS = {"User-Agent": "classroom-swarm/0.1", "Accept-Encoding": "gzip", "Connection": "close"}


class HttpTrackerClient:
    """Sends announces over HTTP. Thread-safe.

    ``host``: the address where this peer listens. Requests come from it if it can reach the tracker, because
    the tracker lists the address that it sees.
    """

    def __init__(self, host: str = "", timeout: float = REQUEST_TIMEOUT, verify: bool | str = True) -> None:
        """``timeout``: see REQUEST_TIMEOUT. ``verify``: True, or a file with the certificates to trust."""
        self._host = host
        self._timeout = timeout
        self._verify = verify

    def announce(
        self, url: AnnounceUrl, params: AnnounceParams, timeout: float | None = None
    ) -> AnnounceResult:
        """Announce, and return the answer.

        TrackerUnavailable if no tracker answers there; TrackerRefused if it refuses, or the request is not
        sent out of caution.
        """
        limit = self._timeout if timeout is None else timeout
        query = announce_query(params)
        at = _Whereabouts(url)
        for _ in range(MAX_REDIRECTS + 1):
            with self._get(at, _with_query(at.url.text, query), limit) as response:
                location = response.headers.get("Location", "")
                if response.is_redirect and location:
                    at.move(location)
                    continue
                body = read_body(_reader(response), url.text, MAX_BODY, limit)
                return _result(url, params, response, body)
        raise TrackerUnavailable(f"tracker {url.text} redirects more than {MAX_REDIRECTS} times")

    @contextlib.contextmanager
    def _get(self, at: _Whereabouts, address: str, timeout: float) -> Iterator[requests.Response]:
        try:
            with requests.Session() as session:
                session.trust_env = False  # a proxy of the environment would be listed as this peer
                adapter = _DeadlineAdapter(at.connected)
                source = source_address(self._host, at.url.host, at.url.port)
                if source:
                    adapter.init_poolmanager(1, 1, source_address=(source, 0))
                session.mount(f"{at.url.scheme}://", adapter)
                with session.get(
                    address,
                    headers=_HEADERS,
                    timeout=timeout,
                    allow_redirects=False,
                    stream=True,
                    verify=self._verify,
                ) as response:
                    yield response
        except FAILURES as error:
            raise TrackerUnavailable(f"tracker {at.first.text} does not answer ({reason(error)})") from None


class _Whereabouts:
    """Where the redirects of one announce have led, and whether the next server may be asked."""

    def __init__(self, url: AnnounceUrl) -> None:
        self.first = self.url = url
        self._was_outside = False

    def connected(self, sock: socket.socket) -> None:
        """Called with the connection before the request. TrackerRefused if it is not sent."""
        ip = sock.getpeername()[0]
        why = caution(self.url, ip)
        if not why and self._was_outside and is_inside(ip):
            why = f"it redirects from outside this network to {ip}, inside"
        if why:
            raise TrackerRefused(f"tracker {self.first.text} is not asked: {why}", REFUSED)
        self._was_outside = self._was_outside or not is_inside(ip)

    def move(self, location: str) -> None:
        """Follow a redirect."""
        target = urljoin(self.url.text, location)
        try:
            self.url = parse_announce_url(target, may_set_parameters=True)
        except MessageError as error:
            raise garbled(self.first.text, f"it redirects: {error}") from None
        if self.url.is_udp:
            raise garbled(self.first.text, "it redirects to UDP")


class _DeadlineAdapter(requests.adapters.HTTPAdapter):
    """Makes connections whose answers have a deadline for the head, too.

    ``on_connect`` is called with the socket of each new connection, before a request is sent. If it raises,
    nothing is sent.
    """

    def __init__(self, on_connect: Callable[[socket.socket], None]) -> None:
        self._on_connect = on_connect
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        on_connect = self._on_connect

        class Connection(HeadDeadline, urllib3.connection.HTTPConnection):
            def connect(self) -> None:  # also called for a kept connection that the server closed
                super().connect()
                on_connect(self.sock)

        class SecureConnection(HeadDeadline, urllib3.connection.HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                on_connect(self.sock)

        class Pool(urllib3.HTTPConnectionPool):
            ConnectionCls = Connection

        class SecurePool(urllib3.HTTPSConnectionPool):
            ConnectionCls = SecureConnection

        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": Pool, "https": SecurePool}


def _reader(response: requests.Response) -> Callable[[int], bytes]:
    """Reads the body as it was sent.

    read1, where this urllib3 has it, returns what has arrived. So a tracker that sends one byte at a time
    cannot make a read last longer than the deadline.
    """
    read = getattr(response.raw, "read1", response.raw.read)
    return lambda size: bytes(read(size, decode_content=False))


def _with_query(address: str, query: str) -> str:
    """The URL of a request. A redirect may repeat the query, or leave it to the client."""
    if "info_hash=" in address:
        return address
    address = address.partition("#")[0]
    return f"{address}{'&' if '?' in address else '?'}{query}"


def _result(
    url: AnnounceUrl, params: AnnounceParams, response: requests.Response, body: bytes
) -> AnnounceResult:
    try:
        answer = parse_announce_answer(_unpacked(body), params.peer_id)
    except TrackerPacketError as error:
        why = str(error) if response.status_code == 200 else f"HTTP status {response.status_code}"
        raise garbled(url.text, why) from None
    if isinstance(answer, AnnounceFailure):
        raise TrackerRefused(
            f"tracker {url.text} refuses: {answer.reason}", response.status_code, retry_in=answer.retry_in
        )
    return answer


def _unpacked(body: bytes) -> bytes:
    """The body without gzip. Its first two bytes decide: some trackers forget the header, or lie in it."""
    if body[:2] != b"\x1f\x8b":
        return body
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(body, MAX_BODY + 1)
    except zlib.error:
        raise TrackerPacketError("the answer is damaged gzip") from None
    if len(content) > MAX_BODY:
        raise TrackerPacketError(f"the answer is longer than {MAX_BODY} bytes, unpacked")
    return content
