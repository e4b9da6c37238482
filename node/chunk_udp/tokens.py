"""Proof that an address is real, without remembering anybody.

As QUIC's Retry (RFC 9000, 8.1.2) and BEP 5's tokens do: the token is a keyed hash of the address and
of the current 30-second epoch. Whoever shows it got mail at that address within the last two epochs.

The first four bytes, the mark, are the same in all tokens of an epoch. They prove nothing, but whoever made
a token up does not know them: most of a flood can be told from them alone, even by the system's own filter.
"""

from __future__ import annotations

import hashlib
import hmac

from node.chunk_udp.wire import TOKEN_SIZE

EPOCH = 30.0  # seconds; a token is good in its own epoch and the next: 30 to 60 seconds
MARK_SIZE = 4  # bytes of a token that say its epoch; the other twelve prove the address
KNOWN_EPOCHS = 4  # whose marks tell those who paused for a while from those who made a token up
MAX_PROVED = 1024  # addresses whose token was right, remembered to spare hashing it again

Address = tuple[str, int]


class TokenMint:
    """Makes and checks tokens. ``secret`` is random and dies with the process."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._marks: dict[int, bytes] = {}  # by epoch
        self._recent: tuple[tuple[int, int], tuple[bytes, ...]] = (-1, -1), ()  # what ``marks`` said last
        self._proved: dict[Address, tuple[bytes, int]] = {}  # the token last accepted, and its epoch

    def _mark(self, epoch: int) -> bytes:
        mark = self._marks.get(epoch)
        if mark is None:
            if len(self._marks) >= 8:
                self._marks.clear()
            text = f"epoch {epoch}".encode()
            mark = hashlib.blake2s(text, key=self._secret, digest_size=MARK_SIZE).digest()
            self._marks[epoch] = mark
        return mark

    def _token(self, addr: Address, epoch: int) -> bytes:
        text = f"{addr[0]} {addr[1]} {epoch}".encode()
        proof = hashlib.blake2s(text, key=self._secret, digest_size=TOKEN_SIZE - MARK_SIZE).digest()
        return self._mark(epoch) + proof

    def make(self, addr: Address, now: float) -> bytes:
        """A token for ``addr``, good from ``now`` (monotonic seconds) for at least one epoch."""
        return self._token(addr, int(now / EPOCH))

    def marks(self, now: float, epochs: int = 2) -> tuple[bytes, ...]:
        """The marks of this epoch and those before it, ``epochs`` in all: 2 are those of good tokens."""
        epoch = int(now / EPOCH)
        if self._recent[0] != (epoch, epochs):
            self._recent = (epoch, epochs), tuple(self._mark(epoch - back) for back in range(epochs))
        return self._recent[1]

    def accepts(self, token: bytes, addr: Address, now: float) -> bool:
        """Whether ``token`` was made for ``addr`` in this epoch or the last."""
        epoch = int(now / EPOCH)
        proved = self._proved.get(addr)
        if proved is not None and 0 <= epoch - proved[1] <= 1 and hmac.compare_digest(token, proved[0]):
            return True
        for made in (epoch, epoch - 1):
            if token[:MARK_SIZE] == self._mark(made) and hmac.compare_digest(token, self._token(addr, made)):
                self._remember(addr, token, made)
                return True
        return False

    def _remember(self, addr: Address, token: bytes, epoch: int) -> None:
        if len(self._proved) >= MAX_PROVED:
            self._proved.clear()
        self._proved[addr] = token, epoch
