"""Shared by the sides of one connection: its events, the bytes to send, and the budget of idle messages."""

from __future__ import annotations

from common.errors import PeerFault
from common.token_bucket import TokenBucket
from node.peer_tcp.events import WireEvent
from node.peer_tcp.limits import IDLE_MESSAGE_RATE, IDLE_MESSAGES


class WireContext:
    """``fast``, ``extended``: both ends speak BEP 6, BEP 10. Known once the handshakes are done."""

    def __init__(self) -> None:
        self.fast = False
        self.extended = False
        self.events: list[WireEvent] = []
        self.unsent: list[bytes] = []  # whole messages, not encrypted
        self._budget = TokenBucket(IDLE_MESSAGE_RATE, IDLE_MESSAGES)

    def send(self, messages: bytes) -> None:
        """Send whole messages after those that wait."""
        self.unsent.append(messages)

    def count_idle(self, now: float) -> None:
        """The peer sent a message that changes nothing. PeerFault if it floods us with them."""
        if self._budget.take(1, now):
            raise PeerFault("floods us with messages that change nothing")
