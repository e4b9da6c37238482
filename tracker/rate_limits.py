"""How many requests one client address and one node may make. Pure: time is an argument.

There is a token bucket for each address and for each node. The tables are bounded: the key that has been
silent longest is forgotten first. To lose its debt, a client must flush the table with requests from 65,536
other addresses. Each address has its own bucket, so the client gains nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache

from common.errors import RateLimited
from common.token_bucket import TokenBucket

BURST_SECONDS = 10.0  # of its rate that a key may use up at once after a silence
MAX_ADDRESSES = 65_536  # addresses with a bucket: about 15 MB
MAX_CALLERS = 65_536  # nodes with a bucket: about 15 MB
MAX_REPORTING = 4096  # nodes with a bucket for their reports
REPORT_RATE = 4.0  # reports a second of one node, in the long run


@dataclass(frozen=True)
class Limits:
    """Requests a second in the long run. A class of 200 nodes behind one address needs at most 100, and some
    thousands at once when all nodes start together.
    """

    address_rate: float = 1000.0  # from one client address
    node_rate: float = 50.0  # in the name of one node


class TokenBuckets:
    """A token bucket for each of the ``size`` keys that asked last."""

    def __init__(self, rate: float, size: int) -> None:
        """``rate``: tokens a second; a full bucket holds BURST_SECONDS of them, and at least one."""
        self._rate = rate
        self._depth = max(BURST_SECONDS * rate, 1.0)
        self._size = size
        self._buckets: dict[Hashable, TokenBucket] = {}

    def take(self, key: Hashable, now: float, amount: float = 1.0) -> float:
        """Take ``amount`` tokens and return 0.0, or return the seconds until there are so many."""
        bucket = self._buckets.pop(key, None) or TokenBucket(self._rate, self._depth)
        self._buckets[key] = bucket  # the last in the table
        if len(self._buckets) > self._size:
            del self._buckets[next(iter(self._buckets))]
        return bucket.take(amount, now)

    def __len__(self) -> int:
        return len(self._buckets)


class RateLimits:
    """The limits of a tracker. Not thread-safe."""

    def __init__(self, limits: Limits) -> None:
        self._addresses = TokenBuckets(limits.address_rate, MAX_ADDRESSES)
        self._callers = TokenBuckets(limits.node_rate, MAX_CALLERS)
        self._reporters = TokenBuckets(REPORT_RATE, MAX_REPORTING)

    def admit_request(self, address: str, now: float) -> None:
        """A request came from ``address``; nothing of it is read yet. RateLimited if it is one too many."""
        if wait := self._addresses.take(address, now):
            raise RateLimited("too many requests from your address", wait)

    def take_many(self, address: str, count: int, now: float) -> bool:
        """Take the tokens of ``count`` later requests from ``address`` now. False if there are fewer."""
        return self._addresses.take(address, now, count) == 0.0

    def admit_call(self, address: str, node_id: int, secret: str | None, now: float) -> None:
        """The request speaks for a node. RateLimited if it is one too many for the node.

        A stranger cannot use up a node's tokens: requests from another address, or with another secret, have
        a bucket of their own.
        """
        if wait := self._callers.take(hash((address, node_id, secret)), now):
            raise RateLimited(f"too many requests of node {node_id}", wait)

    def admit_report(self, address: str, node_id: int, secret: str | None, now: float) -> None:
        """As ``admit_call``, for a report to the live log."""
        if wait := self._reporters.take(hash((address, node_id, secret)), now):
            raise RateLimited(f"too many reports of node {node_id}", wait)

    @property
    def remembered(self) -> tuple[int, int]:
        """How many addresses and callers are remembered."""
        return len(self._addresses), len(self._callers)


@lru_cache(1024)
def client_prefix(remote: str) -> str:
    """The address that ``remote`` counts as: its /64 if it is IPv6, because one host has a whole /64."""
    if ":" not in remote:
        return remote
    try:
        ip = ipaddress.IPv6Address(remote.partition("%")[0])
    except ValueError:
        return remote
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Network((ip, 64), strict=False))
