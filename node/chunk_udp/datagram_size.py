"""How large datagrams may be under a rate limit. Pure."""

from __future__ import annotations

from node.chunk_udp import wire
from node.rate_limit import RateLimit

DATAGRAMS_PER_BURST = 3  # that fit into the limit's depth, where that does not make them too small


def largest_datagram(limit: RateLimit | None) -> int:
    """Bytes that a datagram may have and still fit well into the depth of ``limit``."""
    if limit is None:
        return wire.MAX_DATAGRAM
    usual = min(limit.depth, wire.SMALL_SEGMENT + wire.HEADER_SIZE)
    return min(wire.MAX_DATAGRAM, max(usual, limit.depth // DATAGRAMS_PER_BURST))
