"""A peer's requests on one connection: the blocks that we have agreed to send, first come, first served."""

from __future__ import annotations

from typing import TypeAlias

from node.peer_tcp.limits import REQUESTS_ACCEPTED

Requested: TypeAlias = tuple[int, int, int]  # piece, begin, length


class IncomingRequests:
    """At most REQUESTS_ACCEPTED blocks. A block is in it once, however often it is asked for."""

    def __init__(self) -> None:
        self._queue: dict[Requested, None] = {}  # ordered

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, request: Requested) -> bool:
        """Queue ``request``. False if there is no room, or if it is queued already."""
        queue = self._queue
        if request in queue or len(queue) >= REQUESTS_ACCEPTED:
            return False
        queue[request] = None
        return True

    def cancel(self, request: Requested) -> bool:
        """Drop ``request``. False if it is not queued: it has been sent, or never was."""
        if request not in self._queue:
            return False
        del self._queue[request]
        return True

    def take(self, size: int) -> list[Requested]:
        """The next blocks to send, at least one, until they have ``size`` bytes. [] if none waits."""
        taken: list[Requested] = []
        for request in self._queue:
            taken.append(request)
            size -= request[2]
            if size <= 0:
                break
        for request in taken:
            del self._queue[request]
        return taken

    def drop(self, kept: frozenset[int] = frozenset()) -> list[Requested]:
        """Drop and return all requests, except for the pieces ``kept``."""
        dropped = [request for request in self._queue if request[0] not in kept]
        for request in dropped:
            del self._queue[request]
        return dropped
