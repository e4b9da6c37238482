"""The owner's loop: one listening thread serves all fetchers (the report's ``listen``).

Receive datagrams and let the ``Responder`` decide. A REQUEST that it accepts goes into the ``UploadQueue``.
Then send one batch of the queue, by way of one reused buffer, and receive again. The thread blocks only to
wait for datagrams, or for the upload limit.
"""

from __future__ import annotations

import contextlib
import secrets
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Mapping

from common.errors import FileFault, TransientFileFault
from node.chunk_udp import sockets, wire
from node.chunk_udp.address_validation import Address, AddressValidator
from node.chunk_udp.drr_queue import Added, SendBatch
from node.chunk_udp.flood import bpf_filter
from node.chunk_udp.flood.filter import FloodFilter
from node.chunk_udp.flood.token_tag import TagKeys
from node.chunk_udp.responder import Responder, SendChunk
from node.chunk_udp.segment_sender import SegmentSender
from node.chunk_udp.slots import Slots
from node.chunk_udp.upload_log import UploadLog
from node.chunk_udp.upload_queue import UploadQueue
from node.rate_limit import RateLimit, limit_of
from node.settings import TransferSettings
from node.tap import NO_TAP, Tap
from node.transport import ServedTorrent

STOP_CHECK = 0.5  # seconds after which the loop looks whether it should end, if nothing wakes it
RECEIVES_PER_BATCH = 64  # datagrams handled between two batches: a flood must not keep an owner from sending
UNREADABLE_LIMIT = 0.25  # seconds for which content cannot be read before fetchers get BUSY
DEFAULTS = TransferSettings()


class Owner:
    """Serves ``torrents`` (by info hash; the caller adds and removes) over ``sock`` until ``stop``.

    ``secret`` is the key of its tokens. ``limit`` bounds its datagrams, without IP and UDP headers (default:
    that of ``settings``). ``tap`` sees all datagrams; after a flood only those that get an answer.
    """

    def __init__(
        self,
        sock: socket.socket,
        torrents: Mapping[bytes, ServedTorrent],
        secret: bytes,
        settings: TransferSettings = DEFAULTS,
        limit: RateLimit | None = None,
        tap: Tap = NO_TAP,
    ) -> None:
        self._sock = sock
        self._tap, self._here = tap, sock.getsockname()[:2]
        self._torrents = torrents
        self._validator = AddressValidator(secret)
        self.slots = Slots(settings.upload_slots)
        self.uploads = UploadLog()
        self._queue = UploadQueue(limit or limit_of(settings.upload_limit), time.monotonic())
        self._filter = FloodFilter(self._validator)
        self._responder = Responder(
            self._validator, torrents, self.slots, self._queue, self._introduced, self._filter
        )
        self._stopped = threading.Event()
        self._sender = SegmentSender(sock, self.counts, tap)
        tap.opened(sock)
        self._chunk = memoryview(bytearray(wire.MAX_REQUEST))
        self._timeout = -1.0  # of the socket's calls; not set yet
        self._unreadable_since: dict[bytes, float] = {}  # info hash -> the first of its failed reads in a row

    @property
    def counts(self) -> Counter[str]:
        """Datagrams by what happened to them, for people and tests."""
        return self._responder.counts

    def stop(self) -> None:
        """Make ``listen`` return soon. May be called from any thread."""
        self._stopped.set()
        with contextlib.suppress(OSError):  # a valid ASK wakes the loop even behind the kernel's filter
            here = self._sock.getsockname()
            token = self._validator.make(here[:2], time.monotonic())
            self._sock.sendto(wire.encode(wire.Ask(0, 0, bytes(wire.INFO_HASH_SIZE), token)), here)

    def listen(self) -> None:
        """Serve until ``stop``: the body of the listening thread."""
        view = memoryview(bytearray(sockets.MAX_RECEIVE))
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, selectors.EVENT_READ)
            while not self._stopped.is_set() and self._sock.fileno() >= 0:
                self._receive(view)
                if self._queue.queue and not self._send_next(time.monotonic()):
                    self._wait(selector)
                if self._filter.unvalidated.flooded:
                    self._filter.adapt(self._attach, time.monotonic())

    def _attach(self, keys: TagKeys, fraction: float) -> None:
        bpf_filter.attach(self._sock, keys, fraction, secrets.randbits(32))

    def _introduced(self, addr: Address, node_id: int) -> None:
        self.uploads.introduce(addr, node_id)
        self._tap.introduce(addr, node_id)

    def _wait(self, selector: selectors.BaseSelector) -> None:
        """Wait for a datagram, or until a queued request may be sent."""
        if self._stopped.is_set():
            return  # the datagram that was to wake this thread may be received already
        if self._sender.blocked:
            selector.modify(self._sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
            selector.select(STOP_CHECK)
            selector.modify(self._sock, selectors.EVENT_READ)
            self._sender.blocked = False
            return
        wait = min(self._queue.wait(time.monotonic()) or 0.0, STOP_CHECK)
        if self._queue.limit is None:
            selector.select(wait)
        else:  # a datagram that comes meanwhile could not be answered earlier: waking up for it gains nothing
            self._stopped.wait(wait)

    def _receive(self, view: memoryview) -> None:
        """Handle up to RECEIVES_PER_BATCH datagrams. Wait for the first if no request is queued."""
        timeout = 0.0 if self._queue.queue else STOP_CHECK
        if self._tap.single:
            for delayed, addr in self._tap.due(self._here):
                self._take(memoryview(delayed), addr, was_delayed=True)
            timeout = min(timeout, self._tap.wait(self._here))
        if timeout != self._timeout:
            self._timeout = timeout
            sockets.set_timeouts(self._sock, timeout)
        for _ in range(RECEIVES_PER_BATCH):
            try:
                size, addr = self._sock.recvfrom_into(view)
            except (BlockingIOError, TimeoutError):
                return
            except OSError:  # Windows reports here that an earlier answer met a closed port (10054)
                if self._sock.fileno() < 0:
                    return
                continue
            self._take(view[:size], addr[:2])
            if timeout and (self._queue.queue or self._stopped.is_set()):
                return

    def _take(self, datagram: memoryview, addr: Address, was_delayed: bool = False) -> None:
        """Show the tap a datagram and handle it, unless the tap drops or delays it."""
        tap = self._tap
        if tap.single and not was_delayed and not tap.passes(datagram, False, self._here, addr):
            return
        if not self._filter.unvalidated.flooded:
            tap.received(datagram, len(datagram), self._here, addr)
            self.handle_requests(datagram, addr)
        elif self.handle_requests(datagram, addr):  # a flood would push all else out of the recorder
            tap.received(datagram, len(datagram), self._here, addr)

    def handle_requests(self, datagram: memoryview, addr: Address) -> bool:
        """Answer one datagram, or queue its request; False: stay silent."""
        now = time.monotonic()
        response = self._responder.handle_requests(datagram, addr, now)
        for notice, displaced in self._responder.take_notices():
            self._answer(notice, displaced)
        if isinstance(response, SendChunk):
            self._take_on(response.request, addr, now)
        elif isinstance(response, wire.Tell):
            self.tell_file_size(response, addr)
        elif response is not None:
            self._answer(response, addr)
        return response is not None

    def _take_on(self, request: wire.Request, addr: Address, now: float) -> None:
        """Send the range at once if that delays no other fetcher, else queue the request."""
        path_limit = self._sender.path_limit(addr[0])
        batch = self._queue.send_immediately(request, addr, path_limit, now)
        if batch is not None:
            sent = self.send_chunk(batch)
            if not self._sender.blocked:
                return
            request = request._replace(offset=request.offset + sent, length=request.length - sent)
        added = self._queue.add(request, addr, path_limit, now)
        if added is not Added.QUEUED:
            self.counts[added.value] += 1
        if added is Added.FULL:
            self._responder.not_sent(request, addr)

    def tell_file_size(self, answer: wire.Tell, addr: Address) -> None:
        """Answer ASK with the size and the pieces held."""
        self._answer(answer, addr)

    def _answer(self, answer: wire.Message, addr: Address) -> None:
        """Send a short message without queueing it. The upload limit counts it all the same."""
        self._queue.spend(self._sender.send_message(answer, addr), time.monotonic())

    # ---- sending

    def _send_next(self, now: float) -> bool:
        """Send one batch of the queue. False if the queue is empty or blocked."""
        batch = None if self._sender.blocked else self._queue.next(now)
        if batch is None:
            return False
        sent = self.send_chunk(batch)
        if sent:
            self._queue.sent(batch, sent, now)
        if sent < batch.length and not self._sender.blocked:  # unreadable, or too large for the path
            self._queue.queue.drop(batch)
            self._responder.not_sent(batch.request, batch.addr)
        return True

    def send_chunk(self, batch: SendBatch) -> int:
        """Read a batch of the requested range and send it in segments. Returns the bytes sent."""
        chunk = self._chunk[: batch.length]
        if not self._read(batch, chunk):
            return 0
        sent = self._sender.send_segments(batch, chunk)
        self.uploads.add(batch.addr, batch.request.info_hash, sent, time.monotonic())
        return sent

    def _read(self, batch: SendBatch, chunk: memoryview) -> bool:
        """Fill ``chunk``. False if that fails; then the fetcher gets a REFUSE, unless it may pass soon."""
        request, addr = batch.request, batch.addr
        torrent = self._torrents.get(request.info_hash)
        if torrent is None:  # withdrawn while the request was queued
            self._refuse(request, wire.Refusal.NOT_SHARED, addr)
            return False
        try:
            torrent.read_into(batch.offset, chunk)
        except TransientFileFault:
            self.counts["unread"] += 1
            if self._stays_unreadable(request.info_hash, time.monotonic()):
                self._refuse(request, wire.Refusal.BUSY, addr)
            return False
        except FileFault:
            self._refuse(request, wire.Refusal.CHANGED, addr)
            return False
        if self._unreadable_since:
            self._unreadable_since.pop(request.info_hash, None)
        return True

    def _stays_unreadable(self, info_hash: bytes, now: float) -> bool:
        """True once reads of this torrent have failed for UNREADABLE_LIMIT.

        A part that gets its final name is back at once, and a lost REQUEST costs the fetcher less than BUSY.
        """
        return now - self._unreadable_since.setdefault(info_hash, now) >= UNREADABLE_LIMIT

    def _refuse(self, request: wire.Request, reason: wire.Refusal, addr: Address) -> None:
        self._answer(wire.Refuse(request.transfer_id, request.sequence, reason), addr)
