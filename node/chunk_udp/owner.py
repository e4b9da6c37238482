"""The owner's loop: one listening thread answers everybody (the report's ``listen``).

Receive what has come, let ``Responder`` decide; then send one portion of what waits, and look again what has
come. A portion is read from the file into one reused buffer and sent from there, as many segments to a system
call as the system takes. Nothing here blocks but the wait for news, or for the upload limit.
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
from node.chunk_udp.flood.unvalidated import LIMITER_INTERVAL
from node.chunk_udp.responder import Responder, SendChunk
from node.chunk_udp.segment_sender import SegmentSender
from node.chunk_udp.slots import Slots
from node.chunk_udp.upload_log import UploadLog
from node.chunk_udp.upload_queue import UploadQueue
from node.settings import TransferSettings
from node.transport import ServedTorrent

STOP_CHECK = 0.5  # seconds after which the loop looks whether it shall end, if nothing wakes it
RECEIVES = 64  # datagrams looked at between two portions: a flood shall not keep us from sending
UNREADABLE_LIMIT = 0.25  # seconds for which content cannot be read before fetchers are told BUSY
DEFAULTS = TransferSettings()


class Owner:
    """Serves ``torrents`` (by info hash; the caller adds and removes) over ``sock`` until ``stop``.

    Of ``settings`` the upload limit and the number of slots count.
    """

    def __init__(
        self,
        sock: socket.socket,
        torrents: Mapping[bytes, ServedTorrent],
        secret: bytes,
        settings: TransferSettings = DEFAULTS,
    ) -> None:
        self._sock = sock
        self._torrents = torrents
        self._mint = AddressValidator(secret)
        self.slots = Slots(settings.upload_slots)
        self.uploads = UploadLog()
        self._serving = UploadQueue(settings.upload_limit, time.monotonic())
        self._answerer = Responder(
            self._mint,
            torrents,
            self.slots,
            self._displace,
            self._serving.is_backlogged,
            self.uploads.introduce,
        )
        self._stopped = threading.Event()
        self._sender = SegmentSender(sock, self.counts)
        self._chunk = memoryview(bytearray(wire.MAX_REQUEST))
        self._timeout = -1.0  # of the socket's calls; not known yet
        self._guard_at = 0.0  # when to adjust the system's filter
        self._unreadable_since: dict[
            bytes, float
        ] = {}  # info hash -> first of the reads that failed in a row

    @property
    def counts(self) -> Counter[str]:
        """Datagrams by what became of them, for people and tests."""
        return self._answerer.counts

    def stop(self) -> None:
        """Make ``listen`` return soon; it may be called from any thread."""
        self._stopped.set()
        with contextlib.suppress(OSError):  # what wakes the loop must get past the filter, too
            here = self._sock.getsockname()
            wake = wire.Ask(0, 0, bytes(wire.INFO_HASH_SIZE), self._mint.make(here[:2], time.monotonic()))
            self._sock.sendto(wire.encode(wake), here)

    def listen(self) -> None:
        """Answer datagrams until ``stop``; the body of the listening thread."""
        view = memoryview(bytearray(sockets.MAX_RECEIVE))
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, selectors.EVENT_READ)
            while not self._stopped.is_set() and self._sock.fileno() >= 0:
                self._receive(view)
                if self._serving.queue and not self._send_next(time.monotonic()):
                    self._wait(selector)
                if self._answerer.strangers.flooded:
                    self._guard(time.monotonic())

    def _wait(self, selector: selectors.BaseSelector) -> None:
        """Until something comes, or something that waits may be sent."""
        if self._stopped.is_set():  # what was to wake us may have been received already
            return
        if self._sender.blocked:
            selector.modify(self._sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
            selector.select(STOP_CHECK)
            selector.modify(self._sock, selectors.EVENT_READ)
            self._sender.blocked = False
            return
        wait = min(self._serving.wait(time.monotonic()) or 0.0, STOP_CHECK)
        if self._serving.limit.rate is None:
            selector.select(wait)
        else:  # what comes meanwhile could not be sent before either: to wake up for it gains nothing
            self._stopped.wait(wait)

    def _receive(self, view: memoryview) -> None:
        """Look at what has come, but at no more than RECEIVES datagrams; if nothing is to be sent, wait.

        To wait within the call that receives costs less than a selector.
        """
        timeout = 0.0 if self._serving.queue else STOP_CHECK
        if timeout != self._timeout:
            self._timeout = timeout
            sockets.set_timeouts(self._sock, timeout)
        for _ in range(RECEIVES):
            try:
                size, addr = self._sock.recvfrom_into(view)
            except (BlockingIOError, TimeoutError):
                return
            except OSError:  # Windows tells here that an earlier answer found nobody (10054): not our concern
                if self._sock.fileno() < 0:
                    return
                continue
            self.handle_requests(view[:size], addr[:2])
            if timeout and (self._serving.queue or self._stopped.is_set()):
                return

    def handle_requests(self, datagram: memoryview, addr: Address) -> None:
        """Answer one datagram, or note what it asks for, or keep silent."""
        now = time.monotonic()
        answer = self._answerer.handle_requests(datagram, addr, now)
        if isinstance(answer, SendChunk):
            self._take_on(answer.request, addr, now)
        elif isinstance(answer, wire.Tell):
            self.tell_file_size(answer, addr)
        elif answer is not None:
            self._answer(answer, addr)

    def _take_on(self, request: wire.Request, addr: Address, now: float) -> None:
        """Send what is asked for at once if that is nobody's disadvantage, else let it wait for its turn."""
        path_limit = self._sender.path_limit(addr[0])
        portion = self._serving.at_once(request, addr, path_limit, now)
        if portion is not None:
            sent = self.send_chunk(portion)
            if not self._sender.blocked:
                return
            request = request._replace(offset=request.offset + sent, length=request.length - sent)
        added = self._serving.add(request, addr, path_limit, now)
        if added is not Added.WAITING:
            self.counts[added.value] += 1
        if added is Added.FULL:
            self._answerer.not_sent(request, addr)

    def tell_file_size(self, answer: wire.Tell, addr: Address) -> None:
        """Answer ASK with the size, unless the file has changed since it was shared."""
        self._answer(answer, addr)

    def _answer(self, answer: wire.Message, addr: Address) -> None:
        """Send what is too short to wait for its turn; the upload limit counts it all the same."""
        self._serving.limit.spend(self._sender.send_message(answer, addr), time.monotonic())

    def _displace(self, addr: Address) -> None:
        """The slice of ``addr`` is over: what it asked for is not sent, and it is told so."""
        forgotten = self._serving.queue.forget(addr)
        for request in forgotten:
            self._answerer.not_sent(request, addr)
        for request in forgotten[-1:]:
            self._refuse(request, wire.Refusal.BUSY, addr, self.slots.place_of(addr))

    def _guard(self, now: float) -> None:
        """Once there was a flood, let the system drop what is worthless before we see it."""
        strangers = self._answerer.strangers
        if now >= self._guard_at or (strangers.flooded and self._guard_at == float("inf")):
            self._adjust_filter(now)

    def _adjust_filter(self, now: float) -> None:
        self._guard_at = now + LIMITER_INTERVAL
        share, draw = self._answerer.strangers.adjust(now), secrets.randbits(32)
        bpf_filter.attach(self._sock, self._mint.tag_keys(now), share, draw)

    # ---- sending

    def _send_next(self, now: float) -> bool:
        """Send one portion; False if there is none, or it cannot be sent now."""
        portion = None if self._sender.blocked else self._serving.next(now)
        if portion is None:
            return False
        sent = self.send_chunk(portion)
        if sent:
            self._serving.sent(portion, sent, now)
        if sent < portion.length and not self._sender.blocked:
            self._serving.queue.drop(portion)  # it cannot be read, or the path does not take it
            self._answerer.not_sent(portion.request, portion.addr)
        return True

    def send_chunk(self, portion: SendBatch) -> int:
        """Answer REQUEST: read a portion of the range and send it, in segments; how many bytes were sent."""
        chunk = self._chunk[: portion.length]
        if not self._read(portion, chunk):
            return 0
        sent = self._sender.send_segments(portion, chunk)
        self.uploads.add(portion.addr, portion.request.info_hash, sent, time.monotonic())
        return sent

    def _read(self, portion: SendBatch, chunk: memoryview) -> bool:
        """Read the bytes of ``portion``. False if that fails; unless it is passing the fetcher is told."""
        request, addr = portion.request, portion.addr
        torrent = self._torrents.get(request.info_hash)
        if torrent is None:  # withdrawn just now
            return False
        try:
            torrent.read_into(portion.offset, chunk)
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

    def _refuse(self, request: wire.Request, reason: wire.Refusal, addr: Address, place: int = 0) -> None:
        self._answer(wire.Refuse(request.transfer_id, request.sequence, reason, place), addr)
