"""Proof that a fetcher receives at its address, without state for any address.

As QUIC's Retry tokens (RFC 9000, section 8.1) and the tokens of BEP 5, a token is a keyed hash of the address
and of the current 30-second epoch. A fetcher that shows a token received it at its address within the last
two epochs. A token begins with a tag (``flood.token_tag``), by which most of a flood is recognised cheaply.
"""

from __future__ import annotations

import hashlib
import hmac

from node.chunk_udp.flood.token_tag import TAG_SIZE, Address, TagKeys, TokenTags
from node.chunk_udp.wire import TOKEN_SIZE

__all__ = ["Address", "AddressValidator"]

EPOCH = 30.0  # seconds; a token is valid in its own epoch and the next: for 30 to 60 seconds
KNOWN_EPOCHS = 4  # epochs with a recognised tag: a fetcher that paused is not taken for a flood
MAX_VALIDATED = 1024  # valid tokens that are cached, one for each address, to spare hashing them again


class AddressValidator:
    """Makes and checks tokens. ``secret`` is random and dies with the process."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._tags = TokenTags(secret)
        self._validated: dict[Address, tuple[bytes, int]] = {}  # the token last accepted, and its epoch

    def make(self, addr: Address, now: float) -> bytes:
        """A token for ``addr``, valid from ``now`` (monotonic seconds) for at least one epoch."""
        return self._token(addr, int(now / EPOCH))

    def accepts(self, token: bytes, addr: Address, now: float) -> bool:
        """True if ``token`` was made for ``addr`` in this epoch or the last."""
        epoch = int(now / EPOCH)
        cached = self._validated.get(addr)
        if cached is not None and 0 <= epoch - cached[1] <= 1 and hmac.compare_digest(token, cached[0]):
            return True
        for made in (epoch, epoch - 1):
            if hmac.compare_digest(token, self._token(addr, made)):
                self._remember(addr, token, made)
                return True
        return False

    def recognizes(self, token: bytes, addr: Address, now: float) -> bool:
        """True if ``token`` is or was valid for ``addr``, as far as its tag shows."""
        tag = token[:TAG_SIZE]
        cached = self._validated.get(addr)
        if cached is not None and cached[0].startswith(tag):
            return True
        return self._tags.matches(tag, addr, _known_epochs(now))

    def tag_keys(self, now: float) -> TagKeys:
        """The keys by which the kernel's filter computes the tags of KNOWN_EPOCHS."""
        return self._tags.keys(_known_epochs(now))

    def _token(self, addr: Address, epoch: int) -> bytes:
        text = f"{addr[0]} {addr[1]} {epoch}".encode()
        proof = hashlib.blake2s(text, key=self._secret, digest_size=TOKEN_SIZE - TAG_SIZE).digest()
        return self._tags.tag(addr, epoch) + proof

    def _remember(self, addr: Address, token: bytes, epoch: int) -> None:
        if len(self._validated) >= MAX_VALIDATED:
            self._validated.clear()
        self._validated[addr] = token, epoch


def _known_epochs(now: float) -> range:
    epoch = int(now / EPOCH)
    return range(epoch, epoch - KNOWN_EPOCHS, -1)
