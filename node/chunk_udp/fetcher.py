"""The fetcher's loop: one thread for each owner (the report's ``receive_chunk``).

Ask for as much as the connection has room for, receive, hand over what arrived, do what the time brings.
Everything that needs thought is in ``connection``; everything about the file is the supply's affair.
"""

from __future__ import annotations

import errno
import random
import secrets
import selectors
import socket
import time
from collections.abc import Sequence
from typing import Protocol

from common.errors import PeerFault
from node.chunk_udp import sockets, wire
from node.chunk_udp.access import AccessLink
from node.chunk_udp.congestion import make_controller
from node.chunk_udp.connection import FetchConnection
from node.chunk_udp.facts import Arrived, Fact, NotHeld, NotRare, Queued, Terms, Told
from node.chunk_udp.tokens import Address
from node.settings import TransferSettings

NEWS_INTERVAL = 1.0  # seconds between two questions what an owner holds that has not all
RECEIVES_PER_STEP = 8  # datagrams taken between two looks at what to ask for and at the timers


def first_news_wait(chance: float) -> float:
    """Seconds until an owner is asked for news the first time; ``chance``: from 0 to 1.

    Who has just begun holds little, and soon more. By chance, because all that joined together would ask at
    the same moments, and between them nobody would know of anything new.
    """
    return NEWS_INTERVAL * (0.3 + 0.7 * chance)


class Supply(Protocol):
    """What a fetcher needs of the download that it works for; called from the fetcher's thread only."""

    def told(self, size: int, complete: bool, first_piece: int, bitfield: bytes) -> None:
        """The owner says what it has, again and again while it is not complete; PeerFault ends it."""
        ...

    def next_span(self, limit: int) -> tuple[int, int] | None:
        """At most ``limit`` bytes that this owner shall be asked for, or a crumb more; None: nothing now."""
        ...

    def wants_rare(self, start: int) -> bool:
        """Whether the owner may refuse what ``next_span`` has just given, from ``start`` on, because somebody
        else was sent it lately; then ``not_rare`` follows.
        """
        ...

    def deliver(self, offset: int, payload: bytes | memoryview) -> None:
        """Bytes that were asked for; the view is valid during the call only."""
        ...

    def give_back(self, spans: Sequence[tuple[int, int]]) -> None:
        """These were handed out by ``next_span`` and will not come from this owner."""
        ...

    def not_held(self, spans: Sequence[tuple[int, int]]) -> None:
        """These were handed out by ``next_span``, and the owner does not hold them after all."""
        ...

    def not_rare(self, spans: Sequence[tuple[int, int]]) -> None:
        """These were handed out by ``next_span``, and somebody else has just got them from this owner."""
        ...

    def queued(self, place: int) -> None:
        """The owner serves others first, we are ``place``-th in line. ``told`` follows when it serves us."""
        ...

    def wait_for_work(self, timeout: float | None) -> bool:
        """Block until there may be something to fetch, at most ``timeout`` seconds; False: never any more."""
        ...

    def stopping(self) -> bool:
        """Whether to stop in mid-transfer."""
        ...


class Fetcher:
    """Fetches from one owner at ``addr`` whatever ``supply`` wants, until it wants nothing more."""

    def __init__(
        self,
        addr: Address,
        info_hash: bytes,
        settings: TransferSettings,
        supply: Supply,
        access: AccessLink | None = None,
    ) -> None:
        self._supply = supply
        self._access = access or AccessLink(settings.download_limit)
        family = sockets.family_of(addr[0])
        any_host = "::" if family == socket.AF_INET6 else "0.0.0.0"
        here = addr[0] if sockets.is_loopback(addr[0]) else any_host
        try:
            self._sock = sockets.udp_socket(here, 0, settings.socket_buffer_size)
        except OSError as error:
            raise PeerFault(f"no socket for it: {error.strerror}") from None
        try:
            self.connection = self._connect(addr, info_hash, settings)
        except BaseException:
            self._sock.close()
            raise
        self._buffer = memoryview(bytearray(sockets.BATCH))
        self._next_question = float("inf")
        self._dry = True  # the socket had nothing more when it was last asked
        self._next_page = 0  # the first piece that it is about
        self._news_wait = first_news_wait(random.random())

    def _connect(self, addr: Address, info_hash: bytes, settings: TransferSettings) -> FetchConnection:
        """What the path to ``addr`` is like, and a connection made for it."""
        try:
            self._sock.connect(addr)  # from now on the system drops what others send
        except OSError as error:
            raise PeerFault(f"cannot be reached: {error.strerror}") from None
        self._sock.setblocking(False)
        segment = sockets.path_segment_size(
            self._sock,
            addr[0],
            settings.segment_size,
            min(settings.loopback_segment_size, settings.max_datagram - wire.HEADER_SIZE),
            settings.datagram_limit,
        )
        largest = min(segment, self._access.largest_datagram - wire.HEADER_SIZE)
        known = largest if sockets.is_loopback(addr[0]) else min(largest, wire.SMALL_SEGMENT)
        terms = Terms(
            info_hash,
            secrets.randbits(64),
            known,
            sockets.receive_limit(self._sock, segment),
            settings.owner_timeout,
            largest_segment=largest,
            checked=not sockets.is_loopback(addr[0]) if settings.checked is None else settings.checked,
        )
        self._batches = sockets.accept_batches(self._sock, segment)
        controller = make_controller(settings.congestion_control, known)
        return FetchConnection(terms, controller, time.monotonic(), self._access.join())

    def receive_chunk(self) -> None:
        """Fetch until the supply is content; PeerFault if the owner fails. Closes the socket."""
        try:
            with self._sock, self._selector() as selector:
                selector.register(self._sock, selectors.EVENT_READ)
                while self._step(selector):
                    pass
        finally:
            self.connection.share.leave()
            self._supply.give_back(self.connection.unreceived())

    @staticmethod
    def _selector() -> selectors.BaseSelector:
        try:
            return selectors.DefaultSelector()
        except OSError as error:
            raise PeerFault(f"no socket for it: {error.strerror}") from None

    def _step(self, selector: selectors.BaseSelector) -> bool:
        """Ask, receive, look at the clock; False when there is nothing more to do."""
        connection = self.connection
        if self._supply.stopping():
            return False
        now = time.monotonic()
        if now >= self._next_question:
            self._ask_for_news(now)
        self._ask_for_more(now)
        if connection.idle:
            timeout = self._next_question - now
            return self._supply.wait_for_work(None if timeout == float("inf") else max(0.0, timeout))
        wake_at = self._next_timer()
        if self._dry:
            selector.select(None if wake_at == float("inf") else max(0.0, wake_at - now))
        for _ in range(RECEIVES_PER_STEP):
            self._dry = not self._receive(time.monotonic())
            if self._dry:
                break
        if wake_at <= (now := time.monotonic()):
            connection.on_timer(now)
        return True

    def _next_timer(self) -> float:
        """When to look at the clock again, at the latest."""
        timer = self.connection.next_timer()
        return self._next_question if timer is None else min(timer, self._next_question)

    def _ask_for_more(self, now: float) -> None:
        """Turn room in the window into requests; what was lost goes first."""
        connection = self.connection
        while size := connection.may_request(now):
            span, rare_only = connection.take_lost(size), False
            if span is None:
                span = self._supply.next_span(size)
                if span is None:
                    connection.out_of_work()
                    break
                rare_only = self._supply.wants_rare(span[0])
            connection.request(*span, now, rare_only)
        for datagram in connection.datagrams_to_send():
            try:
                self._sock.send(datagram)
            except OSError as error:
                self._survive(error)

    def _receive(self, now: float) -> bool:
        """Take what one receive call gives, hand it over; False if there was nothing."""
        try:
            if self._batches:
                size, step = sockets.receive_batch(self._sock, self._buffer)
            else:
                size = step = self._sock.recv_into(self._buffer)
        except OSError as error:
            self._survive(error)
            return False
        received = self._buffer[:size]
        for at in range(0, size, step or 1):
            for fact in self.connection.datagram_received(received[at : at + step], now):
                if type(fact) is Arrived:
                    self._supply.deliver(fact.offset, fact.payload)
                else:
                    self._hear(fact, now)
        return True

    def _hear(self, fact: Fact, now: float) -> None:
        """What the owner says of itself goes to the supply."""
        if isinstance(fact, Told):
            self._plan_next_question(fact, now)
            self._supply.told(fact.size, fact.complete, fact.first_piece, fact.bitfield)
        elif isinstance(fact, NotHeld):
            self._supply.not_held(fact.spans)
        elif isinstance(fact, NotRare):
            self._supply.not_rare(fact.spans)
        elif isinstance(fact, Queued):
            self._supply.give_back(fact.spans)
            self._supply.queued(fact.place)

    def _plan_next_question(self, told: Told, now: float) -> None:
        """Who has not all yet is asked again: for the next page at once, from the start after a second."""
        next_page = len(told.bitfield) == wire.MAX_BITFIELD
        self._next_page = told.first_piece + 8 * wire.MAX_BITFIELD if next_page else 0
        wait = 0.0 if next_page else self._news_wait
        if not next_page:
            self._news_wait = NEWS_INTERVAL
        self._next_question = float("inf") if told.complete else now + wait

    def _ask_for_news(self, now: float) -> None:
        """What has the owner got since? Where the answer is lost, the next question makes up for it."""
        self._next_question = now + NEWS_INTERVAL
        self.connection.ask_what_it_holds(now, self._next_page)

    def _survive(self, error: OSError) -> None:
        """What a socket call raised: nothing there is fine, a closed port may be fine once or twice."""
        if isinstance(error, (BlockingIOError, InterruptedError)) or error.errno == errno.ENOBUFS:
            return  # no buffer for a request is as good as a lost one
        if not isinstance(error, ConnectionError):
            raise PeerFault(f"cannot be reached: {error.strerror}") from None
        self.connection.refused(time.monotonic())  # ICMP: nobody listens there (Windows: 10054)
