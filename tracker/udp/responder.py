"""The answer to one datagram of the UDP tracker protocol (BEP 15). Pure: time is an argument.

A datagram that is no request gets no answer. Before its connection id is checked, the sender's address is
unproved: an answer to it is never larger than the request, so the tracker amplifies no attack. A wrong or
expired id gets an error at once, and the client connects again; without an answer it would wait for 15
seconds. A host that is over its rate gets no answer at all. Proved and unproved packets of a host are counted
apart: packets with a forged address do not use up the tokens of the host that has it.

An announce is read with slices at fixed offsets instead of ``common.udp_tracker.decode_request``: the
tracker's speed is the time for one packet. ``tracker.udp.repeats`` has the short way of most of them.
"""

from __future__ import annotations

import ipaddress
import struct
from functools import lru_cache

from common.addresses import unicast_host
from common.errors import RateLimited, SwarmError, TrackerPacketError
from common.text import sanitize
from common.udp_tracker import MAX_SCRAPE, PROTOCOL_ID, Action, AnnounceEvent, decode_request
from tracker.announce_query import swarm_key_of, wanted_peers
from tracker.announce_service import AnnounceService
from tracker.auth import ANONYMOUS, Credentials
from tracker.model import Announcement
from tracker.rate_limits import RateLimits, client_prefix
from tracker.udp.connection_ids import ConnectionIds
from tracker.udp.repeats import ANNOUNCE_SIZE, Repeats

MIN_REQUEST = 16  # bytes
MAX_REASON = 400  # bytes of an error's text
CONNECT_AGAIN = "connect again"
UNPROVED = "unproved "  # before the address in the rate limits
_ANNOUNCE, _SCRAPE = int(Action.ANNOUNCE), int(Action.SCRAPE)  # plain numbers are compared faster

_HEAD = struct.Struct("!8sI4s")  # connection id, action, transaction id
_WANTED = struct.Struct("!i")
_CONNECTED = struct.Struct("!I4s8s")
_ANNOUNCED = struct.Struct("!I4sIII")
_SCRAPED = struct.Struct("!III")
_ERROR = struct.Struct("!I4s")
_PROTOCOL = PROTOCOL_ID.to_bytes(8, "big")
_NOTHING_LEFT = bytes(8)
_EVENTS = {event.to_bytes(4, "big"): event for event in AnnounceEvent}


class UdpResponder:
    """Answers datagrams. Not thread-safe."""

    def __init__(self, service: AnnounceService, ids: ConnectionIds, limits: RateLimits) -> None:
        self._service = service
        self._interval = round(service.interval)
        self._ids = ids
        self._limits = limits
        self._answered = service.udp_packets
        self._repeats = Repeats(service.again, self._interval, limits, self._answered)

    def answer(self, data: bytes, host: str, now: float) -> bytes | None:
        """The answer to ``data`` from ``host``; None if it gets none."""
        return self._repeats.answer(data, host, now) or self._checked(data, host, now)

    def _checked(self, data: bytes, host: str, now: float) -> bytes | None:
        if len(data) < MIN_REQUEST:
            self._answered["ignored"] += 1
            return None
        shown, action, transaction = _HEAD.unpack_from(data)
        home = client_prefix(host)
        is_proved = action in (_ANNOUNCE, _SCRAPE) and self._ids.is_valid(shown, host, now)
        try:
            self._limits.admit_request(home if is_proved else UNPROVED + home, now)
        except RateLimited:
            self._answered["limited"] += 1
            return None
        if not is_proved:
            return self._unproved(data, shown, action, transaction, host, now)
        try:
            if action == _ANNOUNCE:
                return self._announce(data, transaction, host, now)
            return self._scrape(data, transaction, home)
        except SwarmError as error:
            self._answered["refused"] += 1
            return _error(transaction, sanitize(error))

    def _unproved(
        self, data: bytes, shown: bytes, action: int, transaction: bytes, host: str, now: float
    ) -> bytes | None:
        """The answer to a packet whose sender may have forged its address."""
        if action == Action.CONNECT and shown == _PROTOCOL:
            self._answered["connect"] += 1
            return _CONNECTED.pack(action, transaction, self._ids.issue(host, now))
        if action in (_ANNOUNCE, _SCRAPE):
            self._answered["expired"] += 1
            return _error(transaction, CONNECT_AGAIN)[: len(data)]
        self._answered["ignored"] += 1
        return None

    def _announce(self, data: bytes, transaction: bytes, host: str, now: float) -> bytes:
        event = _EVENTS.get(data[80:84])
        if len(data) < ANNOUNCE_SIZE or event is None or data[96:98] == b"\0\0":
            raise TrackerPacketError("an announce needs 98 bytes, a known event and a port")
        packed, home = _packed(host)
        call = Announcement(
            data[16:56] + data[88:92],
            packed + data[96:98],
            data[64:72] == _NOTHING_LEFT,
            event,
            wanted_peers(_WANTED.unpack_from(data, 92)[0]),
            home,
        )
        by = self._credentials(data, home) if self._service.wants_key else ANONYMOUS
        found = self._service.announce(call, by)
        self._answered["announce"] += 1
        if not self._service.wants_key:
            self._service.count(self._repeats.grant(data[:12], host, packed, home, now))
        head = _ANNOUNCED.pack(_ANNOUNCE, transaction, self._interval, found.incomplete, found.complete)
        return head + (found.ipv4 if len(packed) == 4 else found.ipv6)

    def _scrape(self, data: bytes, transaction: bytes, home: str) -> bytes:
        hashes = [data[at : at + 20] for at in range(MIN_REQUEST, len(data) - 19, 20)]
        if not 1 <= len(hashes) <= MAX_SCRAPE:
            raise TrackerPacketError(f"a scrape needs 1 to {MAX_SCRAPE} info hashes")
        # A scrape has no options (BEP 41 defines them for announces), so it cannot carry a swarm key.
        found = self._service.scrape(hashes, Credentials(remote=home))
        self._answered["scrape"] += 1
        counts = [_SCRAPED.pack(one.complete, one.downloaded, one.incomplete) for one in found]
        return _ERROR.pack(Action.SCRAPE, transaction) + b"".join(counts)

    def _credentials(self, data: bytes, home: str) -> Credentials:
        request = decode_request(data)
        url = getattr(request, "url_data", b"")
        return Credentials(None, swarm_key_of(url), home)


def _error(transaction: bytes, reason: str) -> bytes:
    return _ERROR.pack(Action.ERROR, transaction) + reason.encode("utf-8", "replace")[:MAX_REASON]


@lru_cache(8192)
def _packed(host: str) -> tuple[bytes, str]:
    """The bytes of a host in a compact list, and the client address that it counts as.

    TrackerPacketError if no single host has this address.
    """
    try:
        return ipaddress.ip_address(unicast_host(host.partition("%")[0])).packed, client_prefix(host)
    except ValueError as error:
        raise TrackerPacketError(f"your address: {error}") from None
