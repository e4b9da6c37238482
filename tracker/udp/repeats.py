"""The short way for announces that repeat: a known peer that is unchanged, at a host that proved its address.

Nearly all announces are of this kind. ``UdpResponder`` checks the first one of a host, and grants the host
that the next ones skip these checks: up to GRANT announces in GRANT_SECONDS, with the same connection id.
Their tokens are taken from the rate limit at once. Pure: time is an argument.
"""

from __future__ import annotations

import struct
from collections import Counter

from common.udp_tracker import Action
from tracker.announce_query import DEFAULT_WANTED, MAX_WANTED
from tracker.announce_service import AnnounceAgain
from tracker.rate_limits import RateLimits

ANNOUNCE_SIZE = 98  # bytes of an announce without options
GRANT = 64  # announces that skip the checks
GRANT_SECONDS = 10.0  # until a grant ends
MAX_GRANTED = 16_384  # hosts with a grant

_ANNOUNCED = struct.Struct("!I4sIII")
_ANNOUNCE = int(Action.ANNOUNCE)  # a plain number is faster than an enum's member
_NO_EVENT, _NOTHING_LEFT = bytes(4), bytes(8)


class _Grant:
    """What a host need not prove again."""

    __slots__ = ("start", "packed", "left", "until")

    def __init__(self, start: bytes, packed: bytes, until: float) -> None:
        self.start = start  # the first 12 bytes of its announces: connection id and action
        self.packed = packed  # its address in a compact list
        self.left = GRANT  # announces
        self.until = until  # seconds


class Repeats:
    """Answers announces that repeat. Not thread-safe."""

    def __init__(
        self, again: AnnounceAgain, interval: int, limits: RateLimits, answered: Counter[str]
    ) -> None:
        """``interval``: seconds between announces; ``answered``: counts packets by the kind of answer."""
        self._again = again
        self._interval = interval
        self._limits = limits
        self._answered = answered
        self._grants: dict[str, _Grant] = {}  # by host

    def grant(self, start: bytes, host: str, packed: bytes, home: str, now: float) -> int:
        """Let the host's next announces take the short way; how many, 0 if its rate has no room for them."""
        if not self._limits.take_many(home, GRANT, now):
            return 0
        if len(self._grants) >= MAX_GRANTED:
            self._grants.clear()
        self._grants[host] = _Grant(start, packed, now + GRANT_SECONDS)
        return GRANT

    def answer(self, data: bytes, host: str, now: float) -> bytes | None:
        """The answer; None if this packet must be checked."""
        grant = self._grants.get(host)
        if grant is None or not data.startswith(grant.start) or len(data) != ANNOUNCE_SIZE:
            return None
        if grant.left <= 0 or now >= grant.until:
            del self._grants[host]
            return None
        if data[80:84] != _NO_EVENT:
            return None
        grant.left -= 1
        wanted = data[92:96]  # compared as bytes: the order of numbers that are not negative
        found = self._again(
            data[16:56] + data[88:92],
            grant.packed + data[96:],
            data[64:72] == _NOTHING_LEFT,
            _WANTED.get(wanted, MAX_WANTED) if wanted < _NEGATIVE else DEFAULT_WANTED,
        )
        if found is None:
            return None
        self._answered["announce"] += 1
        seeds, leechers, peers = found
        return _ANNOUNCED.pack(_ANNOUNCE, data[12:16], self._interval, leechers, seeds) + peers


_NEGATIVE = b"\x80"  # a signed number that starts so, or higher, is below 0
_WANTED = {number.to_bytes(4, "big"): number for number in range(MAX_WANTED)}
