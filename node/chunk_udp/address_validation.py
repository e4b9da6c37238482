"""Proof that an address is real, without remembering anybody.

As QUIC's Retry (RFC 9000, 8.1.2) and BEP 5's tokens do: the token is a keyed hash of the address and
of the current 30-second epoch. Whoever shows it got mail at that address within the last two epochs.
It begins with a mark (``node.chunk_udp.flood.token_tag``), by which most of a flood is told.
"""

from __future__ import annotations

import hashlib
import hmac

from node.chunk_udp.flood.token_tag import TAG_SIZE, Address, TagKeys, TokenTags
from node.chunk_udp.wire import TOKEN_SIZE

__all__ = ["Address", "AddressValidator"]

EPOCH = 30.0  # seconds; a token is good in its own epoch and the next: 30 to 60 seconds
KNOWN_EPOCHS = 4  # whose marks tell those who paused for a while from those who made a token up
MAX_VALIDATED = 1024  # addresses whose token was right, remembered to spare hashing it again


class AddressValidator:
    """Makes and checks tokens. ``secret`` is random and dies with the process."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._marks = TokenTags(secret)
        self._proved: dict[Address, tuple[bytes, int]] = {}  # the token last accepted, and its epoch

    def _token(self, addr: Address, epoch: int) -> bytes:
        text = f"{addr[0]} {addr[1]} {epoch}".encode()
        proof = hashlib.blake2s(text, key=self._secret, digest_size=TOKEN_SIZE - TAG_SIZE).digest()
        return self._marks.mark(addr, epoch) + proof

    def make(self, addr: Address, now: float) -> bytes:
        """A token for ``addr``, good from ``now`` (monotonic seconds) for at least one epoch."""
        return self._token(addr, int(now / EPOCH))

    def tag_keys(self, now: float) -> TagKeys:
        """What tells the tokens of the last KNOWN_EPOCHS from made-up ones."""
        return self._marks.keys(_known_epochs(now))

    def is_known(self, mark: bytes, addr: Address, now: float) -> bool:
        """Whether a token for ``addr`` that begins with ``mark`` may be, or have been, a good one."""
        proved = self._proved.get(addr)
        if proved is not None and proved[0].startswith(mark):
            return True
        return self._marks.is_of(mark, addr, _known_epochs(now))

    def accepts(self, token: bytes, addr: Address, now: float) -> bool:
        """Whether ``token`` was made for ``addr`` in this epoch or the last."""
        epoch = int(now / EPOCH)
        proved = self._proved.get(addr)
        if proved is not None and 0 <= epoch - proved[1] <= 1 and hmac.compare_digest(token, proved[0]):
            return True
        for made in (epoch, epoch - 1):
            if hmac.compare_digest(token, self._token(addr, made)):
                self._remember(addr, token, made)
                return True
        return False

    def _remember(self, addr: Address, token: bytes, epoch: int) -> None:
        if len(self._proved) >= MAX_VALIDATED:
            self._proved.clear()
        self._proved[addr] = token, epoch


def _known_epochs(now: float) -> range:
    epoch = int(now / EPOCH)
    return range(epoch, epoch - KNOWN_EPOCHS, -1)
