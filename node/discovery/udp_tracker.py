"""Announces over UDP (BEP 15): one connected socket for each tracker address, one thread for all of them.

A connected socket receives datagrams from its tracker only, and learns at once that nothing listens there.
All torrents share the socket and its connection id: trackers bind an id to the address it was given to.
A tracker with an IPv4 and an IPv6 address is asked at both, if this peer listens on both.
"""

from __future__ import annotations

import contextlib
import ipaddress
import random
import selectors
import socket
import threading
import time
from dataclasses import dataclass, field

from common.addresses import Addr
from common.compact_peers import decode_peers
from common.errors import RemoteFault, TrackerPacketError, TrackerRefused, TrackerUnavailable
from common.udp_tracker import AnnounceRequest, ErrorAnswer
from node.discovery.announce import AnnounceParams, AnnounceResult, announce_result, merged, shown
from node.discovery.announce_url import AnnounceUrl
from node.discovery.http_deadline import garbled
from node.discovery.source_address import resolve, source_for
from node.discovery.udp_link import UdpExchange, UdpLink

IDLE_LIMIT = 120.0  # seconds after which the socket of a tracker that is not asked is closed
RESOLVED_FOR = 600.0  # seconds that the addresses of a name are kept
SECOND_ANSWER = 1.0  # max seconds to wait for the other IP version after the first answer
URGENT_REPEAT = 0.3  # seconds between the packets of an urgent announce
MAX_DATAGRAM = 65536  # bytes

_U64 = 2**64 - 1


@dataclass(eq=False)
class _Channel:
    """The socket of one tracker address."""

    sock: socket.socket
    link: UdpLink
    version: int  # of IP
    used_at: float = 0.0  # monotonic seconds
    asks: dict[UdpExchange, _Ask] = field(default_factory=dict)


@dataclass(eq=False)
class _Ask:
    """One exchange, for the thread that waits for it."""

    exchange: UdpExchange
    version: int
    failure: str = ""
    is_over: bool = False

    @property
    def is_answered(self) -> bool:
        return self.exchange.answer is not None


class _Loop:
    """The thread's wait: for sockets, and for a wake-up."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self.selector.register(self._woken, selectors.EVENT_READ)

    def wait(self, timeout: float) -> list[_Channel]:
        """The channels with a datagram, after at most ``timeout`` seconds."""
        ready = [key.data for key, _ in self.selector.select(timeout)]
        if None in ready:
            with contextlib.suppress(OSError):
                self._woken.recv(4096)
        return [channel for channel in ready if channel is not None]

    def wake(self) -> None:
        """End ``wait``; from any thread."""
        with contextlib.suppress(OSError):  # full: it ends anyway
            self._waker.send(b"\0")

    def close(self) -> None:
        self.selector.close()
        self._woken.close()
        self._waker.close()


class UdpTrackerClient:
    """Sends announces over UDP. Thread-safe.

    ``host``: the address where this peer listens; announces come from it if it can reach the tracker.
    """

    def __init__(self, host: str = "") -> None:
        self._host = host
        self._changed = threading.Condition()  # guards what follows
        self._channels: dict[Addr, _Channel] = {}
        self._resolved: dict[tuple[str, int], tuple[float, list[Addr]]] = {}
        self._loop: _Loop | None = None  # once a tracker is asked
        self._thread: threading.Thread | None = None
        self._closed = False

    def announce(
        self, url: AnnounceUrl, params: AnnounceParams, timeout: float, urgent: bool = False
    ) -> AnnounceResult:
        """Announce once, and return the answer. Waits at most ``timeout`` seconds, and for a name's lookup.

        ``urgent``: packets are repeated every URGENT_REPEAT. TrackerUnavailable if no answer comes;
        TrackerRefused if the tracker answers with an error.
        """
        addrs = self._addresses(url, urgent)
        with self._changed:
            asks = [self._begin(addr, url, params, timeout, urgent) for addr in addrs]
            self._wake()
            self._changed.wait_for(lambda: self._closed or self._is_enough(asks), timeout + 0.5)
            if not all(ask.is_over for ask in asks):
                self._changed.wait_for(
                    lambda: self._closed or all(ask.is_over for ask in asks),
                    min(SECOND_ANSWER, timeout),
                )
            return _outcome(url, asks)

    def close(self) -> None:
        """End the thread, and close the sockets. Announces under way end without an answer."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
            thread, loop = self._thread, self._loop
            self._wake()
        if thread is not None:
            thread.join()
        for channel in self._channels.values():
            channel.sock.close()
        if loop is not None:
            loop.close()

    # ---- beginning

    def _addresses(self, url: AnnounceUrl, urgent: bool) -> list[Addr]:
        """One address of the tracker for each IP version that this peer listens on."""
        key, now = (url.host, url.port), time.monotonic()
        with self._changed:
            until, found = self._resolved.get(key, (0.0, []))
        if not found or (now > until and not urgent):
            try:
                found = resolve(url.host, url.port)
            except OSError:
                raise TrackerUnavailable(f"tracker {url.text} does not answer (no such host)") from None
            with self._changed:
                self._resolved[key] = now + RESOLVED_FOR, found
        first: dict[int, Addr] = {}
        for addr in found:
            first.setdefault(ipaddress.ip_address(addr[0]).version, addr)
        chosen = [addr for version, addr in first.items() if version in listening_versions(self._host)]
        if not chosen:
            raise TrackerUnavailable(f"tracker {url.text} has no address that {self._host} reaches")
        return chosen

    def _begin(
        self, addr: Addr, url: AnnounceUrl, params: AnnounceParams, timeout: float, urgent: bool
    ) -> _Ask:
        now = time.monotonic()
        exchange = UdpExchange(
            _request(url, params), now + timeout, repeat_every=URGENT_REPEAT if urgent else None
        )
        try:
            channel = self._channel(addr)
        except OSError as error:
            return _Ask(exchange, 4, error.strerror or "network unreachable", is_over=True)
        ask = channel.asks[exchange] = _Ask(exchange, channel.version)
        channel.used_at = now
        self._send(channel, channel.link.begin(exchange, now))
        return ask

    def _channel(self, addr: Addr) -> _Channel:
        if self._closed:
            raise OSError(0, "the node is ending")
        if addr in self._channels:
            return self._channels[addr]
        version = ipaddress.ip_address(addr[0]).version
        sock = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            if source := source_for(self._host, addr[0]):
                sock.bind((source, 0))
            sock.connect(addr)
        except OSError:
            sock.close()
            raise
        channel = self._channels[addr] = _Channel(sock, UdpLink(random.SystemRandom()), version)
        if self._loop is None:
            self._loop = _Loop()
            self._thread = threading.Thread(
                target=self._run, args=(self._loop,), name="udp-trackers", daemon=True
            )
            self._thread.start()
        self._loop.selector.register(sock, selectors.EVENT_READ, channel)
        return channel

    @staticmethod
    def _is_enough(asks: list[_Ask]) -> bool:
        return any(ask.is_answered for ask in asks) or all(ask.is_over for ask in asks)

    # ---- on the thread

    def _run(self, loop: _Loop) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                wait = max(0.0, self._next_tick() - time.monotonic())
            for channel in loop.wait(min(wait, IDLE_LIMIT)):
                self._receive(channel)
            self._tick(loop)

    def _next_tick(self) -> float:
        return min((channel.link.next_tick() for channel in self._channels.values()), default=float("inf"))

    def _receive(self, channel: _Channel) -> None:
        with self._changed:
            try:
                data = channel.sock.recv(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError as error:
                self._failed(channel, error)
                return
            datagrams, ended = channel.link.receive(data, time.monotonic())
            self._send(channel, datagrams)
            self._end(channel, ended)

    def _tick(self, loop: _Loop) -> None:
        with self._changed:
            now = time.monotonic()
            for addr, channel in list(self._channels.items()):
                datagrams, ended = channel.link.tick(now)
                self._send(channel, datagrams)
                self._end(channel, ended)
                if channel.link.is_idle and now > channel.used_at + IDLE_LIMIT:
                    loop.selector.unregister(channel.sock)
                    channel.sock.close()
                    del self._channels[addr]

    def _send(self, channel: _Channel, datagrams: list[bytes]) -> None:
        for datagram in datagrams:
            try:
                channel.sock.send(datagram)
            except BlockingIOError:
                continue  # lost, as on the network
            except OSError as error:
                self._failed(channel, error)

    def _failed(self, channel: _Channel, error: OSError) -> None:
        """The system reports that nothing listens there, or that there is no way."""
        for ask in channel.asks.values():
            ask.failure = (error.strerror or "network unreachable").lower()
        self._end(channel, channel.link.abandon())

    def _end(self, channel: _Channel, exchanges: list[UdpExchange]) -> None:
        for exchange in exchanges:
            channel.asks.pop(exchange).is_over = True
        if exchanges:
            self._changed.notify_all()

    def _wake(self) -> None:
        if self._loop is not None:
            self._loop.wake()


def listening_versions(host: str) -> frozenset[int]:
    """The IP versions of the connections that reach a peer that listens on ``host``."""
    if not host or host == "::":
        return frozenset((4, 6))
    return frozenset((ipaddress.ip_address(host).version,))


def _request(url: AnnounceUrl, params: AnnounceParams) -> AnnounceRequest:
    ip = ipaddress.ip_address(params.ip).packed if params.ip else bytes(4)
    totals = params.totals
    return AnnounceRequest(
        0,
        0,
        params.info_hash,
        params.peer_id,
        min(totals.downloaded, _U64),
        min(totals.left, _U64),
        min(totals.uploaded, _U64),
        params.event,
        ip if len(ip) == 4 else bytes(4),
        params.key,
        params.num_want,
        params.port,
        b"" if url.request in ("", "/", "/announce") else url.request.encode(),
    )


def _outcome(url: AnnounceUrl, asks: list[_Ask]) -> AnnounceResult:
    """The answers of all addresses as one; the first error if none has answered."""
    results: list[AnnounceResult] = []
    errors: list[RemoteFault] = []
    for ask in asks:
        answer = ask.exchange.answer
        if answer is None:
            errors.append(
                TrackerUnavailable(f"tracker {url.text} does not answer ({ask.failure or 'timeout'})")
            )
        elif isinstance(answer, ErrorAnswer):
            why = shown(answer.message.encode())
            errors.insert(0, TrackerRefused(f"tracker {url.text} refuses: {why}", 200))
        else:
            try:
                peers = decode_peers(answer.peers, ask.version)
            except TrackerPacketError as error:
                errors.append(garbled(url.text, str(error)))
            else:
                results.append(announce_result(peers, answer.interval, None, answer.seeders, answer.leechers))
    if not results:
        raise errors[0]
    return merged(results)
