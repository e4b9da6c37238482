"""Proof that an address is real, without remembering anybody.

As QUIC's Retry (RFC 9000, 8.1.2) and BEP 5's tokens do: the token is a keyed hash of the address and
of the current 30-second epoch. Whoever shows it got mail at that address within the last two epochs.
"""

from __future__ import annotations

import hashlib
import hmac

from node.chunk_udp.wire import TOKEN_SIZE

EPOCH = 30.0  # seconds; a token is good in its own epoch and the next: 30 to 60 seconds

Address = tuple[str, int]


class TokenMint:
    """Makes and checks tokens. ``secret`` is random and dies with the process."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def _token(self, addr: Address, epoch: int) -> bytes:
        text = f"{addr[0]} {addr[1]} {epoch}".encode()
        return hashlib.blake2s(text, key=self._secret, digest_size=TOKEN_SIZE).digest()

    def make(self, addr: Address, now: float) -> bytes:
        """A token for ``addr``, good from ``now`` (monotonic seconds) for at least one epoch."""
        return self._token(addr, int(now / EPOCH))

    def accepts(self, token: bytes, addr: Address, now: float) -> bool:
        """Whether ``token`` was made for ``addr`` in this epoch or the last."""
        epoch = int(now / EPOCH)
        return any(hmac.compare_digest(token, self._token(addr, e)) for e in (epoch, epoch - 1))
