"""The first four bytes of a token: a quick keyed hash of address, port and epoch.

They prove nothing to somebody who means it: enough samples give away a hash of three multiplications.
But they tell made-up and stolen tokens from good ones so cheaply that the system's own filter can do it, and
what gets past them meets the proof in the rest of the token. Pure.
"""

from __future__ import annotations

import hashlib
import ipaddress
import struct
from dataclasses import dataclass

TAG_SIZE = 4  # bytes of a token; the other twelve prove the address
_WORD = 0xFFFFFFFF
SHIFT = 15  # bits
_KEYS = struct.Struct("!III")

Address = tuple[str, int]


@dataclass(frozen=True)
class TagKeys:
    """What the hash is made with; all are 32-bit numbers. ``epochs``: a factor and a mask for each."""

    host: int
    port: int
    mix: int
    epochs: tuple[tuple[int, int], ...]


class TokenTags:
    """Makes marks with keys that come from ``secret``."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        host, port, mix = self._numbers("marks")
        self._host, self._port, self._mix = host | 1, port | 1, mix | 1  # what is odd loses nothing
        self._epochs: dict[int, tuple[int, int]] = {}

    def keys(self, epochs: range) -> TagKeys:
        """What somebody else needs to know to compute the marks of ``epochs``."""
        return TagKeys(self._host, self._port, self._mix, tuple(map(self._epoch, epochs)))

    def mark(self, addr: Address, epoch: int) -> bytes:
        """The mark of a token for ``addr`` that is made in ``epoch``."""
        factor, mask = self._epoch(epoch)
        return (self._mixed(addr) * factor & _WORD ^ mask).to_bytes(TAG_SIZE, "big")

    def is_of(self, mark: bytes, addr: Address, epochs: range) -> bool:
        """Whether ``mark`` is that of a token for ``addr`` made in one of ``epochs``."""
        mixed, number = self._mixed(addr), int.from_bytes(mark, "big")
        return any(mixed * factor & _WORD ^ mask == number for factor, mask in map(self._epoch, epochs))

    def _mixed(self, addr: Address) -> int:
        value = host_word(addr[0]) * self._host & _WORD ^ addr[1] * self._port & _WORD
        return (value ^ value >> SHIFT) * self._mix & _WORD

    def _epoch(self, epoch: int) -> tuple[int, int]:
        known = self._epochs.get(epoch)
        if known is None:
            if len(self._epochs) >= 16:  # a new one comes every half minute; the old ones are of no use
                self._epochs.clear()
            factor, mask, _ = self._numbers(f"epoch {epoch}")
            known = self._epochs[epoch] = factor | 1, mask
        return known

    def _numbers(self, label: str) -> tuple[int, int, int]:
        digest = hashlib.blake2s(label.encode(), key=self._secret, digest_size=_KEYS.size).digest()
        first, second, third = _KEYS.unpack(digest)
        return first, second, third


def host_word(host: str) -> int:
    """The last 32 bits of a numeric address: all of IPv4's."""
    parts = host.split(".")
    if len(parts) == 4 and ":" not in host:
        return int(parts[0]) << 24 | int(parts[1]) << 16 | int(parts[2]) << 8 | int(parts[3])
    return int(ipaddress.ip_address(host.partition("%")[0])) & _WORD
