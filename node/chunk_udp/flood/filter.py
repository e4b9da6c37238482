"""The interface between an owner and its protection against floods, and the implementation. Pure.

A flood costs most where it is received. So each check here is cheaper than the step that it may spare. The
first is a look at the token's tag, before the datagram is decoded. Once there was a flood, the kernel takes
the same look, before the datagram is received at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from node.chunk_udp.address_validation import Address, AddressValidator
from node.chunk_udp.flood.token_tag import TagKeys
from node.chunk_udp.flood.unvalidated import LIMITER_INTERVAL, UnvalidatedLimiter

Attach = Callable[[TagKeys, float], object]  # have the kernel filter by these keys and this admitted fraction


class Filter(Protocol):
    """Decides which datagrams are worth work. Times are monotonic seconds."""

    def admit(self, token: bytes, addr: Address, now: float) -> bool:
        """False if a question with this token, not checked yet, is not worth decoding."""

    def may_send_token(self, token: bytes, addr: Address, now: float) -> bool:
        """True if ``addr``, which has no valid token, gets a TOKEN. It counts as sent."""

    def count_wasted(self, now: float) -> None:
        """A datagram was received that is no question."""

    def adapt(self, attach: Attach, now: float) -> None:
        """Called again and again: adjust the kernel's filter if that is due."""


class FloodFilter:
    """A ``Filter`` by token tags and a limit of TOKENs a second."""

    def __init__(self, validator: AddressValidator) -> None:
        self._validator = validator
        self.unvalidated = UnvalidatedLimiter(0.0)
        self._expired = UnvalidatedLimiter(0.0)  # addresses with an expired token: apart from any flood
        self._adapt_at = 0.0

    def admit(self, token: bytes, addr: Address, now: float) -> bool:
        """False if nothing vouches for ``addr`` and the TOKENs of this interval are spent."""
        limiter = self._limiter_for(token, addr, now)
        if limiter is self._expired or limiter.may_answer(now):
            return True
        limiter.turned_away(now)
        return False

    def may_send_token(self, token: bytes, addr: Address, now: float) -> bool:
        """True if the limit of TOKENs a second leaves one for ``addr``."""
        limiter = self._limiter_for(token, addr, now)
        if not limiter.may_answer(now):
            limiter.turned_away(now)
            return False
        limiter.answered(now)
        return True

    def count_wasted(self, now: float) -> None:
        """A datagram was received that is no question."""
        self.unvalidated.count_wasted(now)

    def adapt(self, attach: Attach, now: float) -> None:
        """Once there was a flood, have the kernel drop most of it. Adjusted every LIMITER_INTERVAL."""
        if self.unvalidated.flooded and now >= self._adapt_at:
            self._adapt_at = now + LIMITER_INTERVAL
            attach(self._validator.tag_keys(now), self.unvalidated.adjust(now))

    def _limiter_for(self, token: bytes, addr: Address, now: float) -> UnvalidatedLimiter:
        known = self._validator.recognizes(token, addr, now)
        return self._expired if known else self.unvalidated
