"""How much one address and one node may ask for, and how many nodes one address may bring. Pure: time is
an argument; the caller holds a lock.

A token bucket a key, kept as one number, the time when the bucket will be full again (the generic cell rate
algorithm of ITU-T I.371): a key that has not asked for a while has nothing to be remembered. The tables are
bounded; the key that has been silent longest is forgotten first. To flush a table so that its own debt
is forgotten, an attacker needs as many other addresses as the table is long, and each of those has
a bucket of its own: it gains nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache

from common.errors import RateLimited

BURST = 10.0  # seconds of its rate that one may use up at once after a silence
MAX_ADDRESSES = 65_536  # whose buckets are remembered: about 15 MB
MAX_CALLERS = 65_536  # nodes whose buckets are remembered: about 12 MB
MAX_HOMES = 250_000  # nodes whose address is remembered: about 25 MB
FORGET_AT_A_TIME = 4  # nodes of a time long past that a request may have to forget


@dataclass(frozen=True)
class Limits:
    """What one address and one node may do. A class of 200 nodes behind one address needs 100 requests a
    second at most, and some thousands at once when all start together.
    """

    address_rate: float = 1000.0  # requests a second from one address, in the long run
    node_rate: float = 50.0  # requests a second in the name of one node, in the long run
    nodes_per_address: int = 5000  # nodes that one address may keep in


class Buckets:
    """A token bucket for each of the ``size`` keys that asked last."""

    def __init__(self, rate: float, size: int) -> None:
        """``rate``: tokens a second; a full bucket holds BURST seconds of them, and one at least."""
        self._token = 1.0 / rate  # seconds
        self._depth = max(BURST, self._token)  # seconds
        self._size = size
        self._full_at: dict[Hashable, float] = {}

    def take(self, key: Hashable, now: float) -> float:
        """Take a token: 0.0; or, if there is none, the seconds until there is one."""
        full_at = max(self._full_at.pop(key, now), now)
        wait = full_at + self._token - now - self._depth
        if wait <= 1e-9:
            full_at, wait = full_at + self._token, 0.0
        self._full_at[key] = full_at
        if len(self._full_at) > self._size:
            del self._full_at[next(iter(self._full_at))]
        return wait

    def __len__(self) -> int:
        return len(self._full_at)


class Homes:
    """Which address each node was heard from, for one to two times ``memory`` seconds.

    Three tables: what was heard in this span and in the one before it, and what is too old, which is
    forgotten a few at a time, so that no request pays for all.
    """

    def __init__(self, memory: float) -> None:
        self._memory = memory
        self._recent: dict[int, str] = {}
        self._before: dict[int, str] = {}
        self._old: dict[int, str] = {}
        self._counts: dict[str, int] = {}
        self._turn = 0.0

    def count(self, address: str) -> int:
        """How many nodes ``address`` is the home of."""
        return self._counts.get(address, 0)

    def of(self, node_id: int) -> str | None:
        """Where the node was heard last; None if not lately."""
        return self._recent.get(node_id) or self._before.get(node_id)

    def is_fresh(self, node_id: int, address: str) -> bool:
        """Whether ``heard`` would change nothing. From any thread."""
        return self._recent.get(node_id) == address

    def heard(self, node_id: int, address: str, now: float) -> None:
        """The node is there."""
        self.turn(now)
        if self._recent.get(node_id) == address:
            return
        self.left(node_id)
        self._recent[node_id] = address
        self._counts[address] = self._counts.get(address, 0) + 1

    def left(self, node_id: int) -> None:
        """The node is nowhere."""
        for table in (self._recent, self._before, self._old):
            if (address := table.pop(node_id, None)) is not None:
                self._uncount(address)

    def turn(self, now: float) -> None:
        """Forget some of what is too old."""
        if now - self._turn >= self._memory and not self._old:
            self._recent, self._before, self._old = self._old, self._recent, self._before
            self._turn = now
        for _ in range(min(FORGET_AT_A_TIME, len(self._old))):
            self._uncount(self._old.popitem()[1])
        if len(self) >= MAX_HOMES:
            self._uncount((self._old or self._before or self._recent).popitem()[1])

    def _uncount(self, address: str) -> None:
        left = self._counts[address] - 1
        if left:
            self._counts[address] = left
        else:
            del self._counts[address]

    def __len__(self) -> int:
        return len(self._recent) + len(self._before) + len(self._old)


class Admission:
    """Asked before each request is carried out; told what came of it."""

    def __init__(self, limits: Limits, silence: float) -> None:
        """``silence``: seconds for which a node stays in without being heard."""
        self._limits = limits
        self._silence = silence
        self._addresses = Buckets(limits.address_rate, MAX_ADDRESSES)
        self._callers = Buckets(limits.node_rate, MAX_CALLERS)
        self._homes = Homes(silence)

    def ask(self, address: str, now: float) -> None:
        """A request came from ``address``, and nothing of it is read yet. RateLimited if that is one too
        many.
        """
        if wait := self._addresses.take(address, now):
            raise RateLimited("too many requests from your address", wait)

    def call(self, address: str, node_id: int, secret: str | None, now: float) -> None:
        """The request is made in the name of a node. RateLimited if that is one too many for it.

        Strangers cannot use up what a node may ask for: who calls from elsewhere, or does not show the same
        secret, has another bucket.
        """
        if wait := self._callers.take(hash((address, node_id, secret)), now):
            raise RateLimited(f"too many requests of node {node_id}", wait)

    def come(self, address: str, node_id: int, now: float) -> None:
        """The request brings a node in, or keeps it in. RateLimited if the address has its fill of them."""
        self._homes.turn(now)
        if (
            self._homes.of(node_id) != address
            and self._homes.count(address) >= self._limits.nodes_per_address
        ):
            raise RateLimited(
                f"your address has {self._limits.nodes_per_address} nodes already", self._silence
            )

    def is_home(self, address: str, node_id: int) -> bool:
        """Whether ``came`` would be no news. From any thread."""
        return self._homes.is_fresh(node_id, address)

    def came(self, address: str, node_id: int, now: float) -> None:
        """It is in."""
        self._homes.heard(node_id, address, now)

    def left(self, node_id: int) -> None:
        """It is out."""
        self._homes.left(node_id)

    @property
    def remembered(self) -> tuple[int, int, int]:
        """How many addresses, callers and nodes are remembered."""
        return len(self._addresses), len(self._callers), len(self._homes)


@lru_cache(1024)
def one_owner(remote: str) -> str:
    """The address as which ``remote`` counts: itself, or its /64 if it is IPv6, which one host has whole."""
    if ":" not in remote:
        return remote
    try:
        ip = ipaddress.IPv6Address(remote.partition("%")[0])
    except ValueError:
        return remote
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Network((ip, 64), strict=False))
