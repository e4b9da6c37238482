"""A peer's requests on one connection: the blocks that we have agreed to send, first come, first served."""

from __future__ import annotations

from node.peer_tcp.limits import REQUESTS_ACCEPTED
from node.peer_tcp.messages import BlockRequest


class IncomingRequests:
    """At most REQUESTS_ACCEPTED blocks. A block is in it once, however often it is asked for."""

    def __init__(self) -> None:
        self._queue: dict[BlockRequest, None] = {}  # ordered

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, request: BlockRequest) -> bool:
        """Queue ``request``. False if there is no room, or if it is queued already."""
        if len(self._queue) >= REQUESTS_ACCEPTED or request in self._queue:
            return False
        self._queue[request] = None
        return True

    def cancel(self, request: BlockRequest) -> bool:
        """Drop ``request``. False if it is not queued: it has been sent, or never was."""
        if request not in self._queue:
            return False
        del self._queue[request]
        return True

    def take(self) -> BlockRequest | None:
        """The next block to send."""
        if not self._queue:
            return None
        request = next(iter(self._queue))
        del self._queue[request]
        return request

    def drop(self, kept: frozenset[int] = frozenset()) -> list[BlockRequest]:
        """Drop and return all requests, except for the pieces ``kept``."""
        dropped = [request for request in self._queue if request.piece not in kept]
        for request in dropped:
            del self._queue[request]
        return dropped
