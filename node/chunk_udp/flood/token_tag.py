"""The tag: the first four bytes of a token, a cheap keyed hash of address, port and epoch. Pure.

A tag proves nothing: the hash has three multiplications, and enough samples give its keys away. But it tells
made-up and stolen tokens from genuine tokens so cheaply that the kernel's own filter can compute it. A token
that gets past it meets the proof in its other twelve bytes.
"""

from __future__ import annotations

import hashlib
import ipaddress
import struct
from dataclasses import dataclass

TAG_SIZE = 4  # bytes of a token; the other twelve prove the address
MAX_CACHED_EPOCHS = 16  # epochs whose keys are kept
SHIFT = 15  # bits
_WORD = 0xFFFFFFFF
_KEYS = struct.Struct("!III")

Address = tuple[str, int]


@dataclass(frozen=True)
class TagKeys:
    """The keys of the hash, all 32-bit numbers. ``epochs``: a factor and a mask for each."""

    host: int
    port: int
    mix: int
    epochs: tuple[tuple[int, int], ...]


class TokenTags:
    """Computes tags with keys that are derived from ``secret``."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        host, port, mix = self._numbers("marks")
        self._host, self._port, self._mix = (
            host | 1,
            port | 1,
            mix | 1,
        )  # odd factors lose nothing
        self._epochs: dict[int, tuple[int, int]] = {}

    def keys(self, epochs: range) -> TagKeys:
        """All that another program needs to compute the tags of ``epochs``."""
        return TagKeys(self._host, self._port, self._mix, tuple(map(self._epoch, epochs)))

    def tag(self, addr: Address, epoch: int) -> bytes:
        """The tag of a token that is made for ``addr`` in ``epoch``."""
        factor, mask = self._epoch(epoch)
        return (self._mixed(addr) * factor & _WORD ^ mask).to_bytes(TAG_SIZE, "big")

    def matches(self, tag: bytes, addr: Address, epochs: range) -> bool:
        """True if ``tag`` is that of a token for ``addr`` made in any of ``epochs``."""
        mixed, number = self._mixed(addr), int.from_bytes(tag, "big")
        return any(mixed * factor & _WORD ^ mask == number for factor, mask in map(self._epoch, epochs))

    def _mixed(self, addr: Address) -> int:
        value = host_word(addr[0]) * self._host & _WORD ^ addr[1] * self._port & _WORD
        return (value ^ value >> SHIFT) * self._mix & _WORD

    def _epoch(self, epoch: int) -> tuple[int, int]:
        known = self._epochs.get(epoch)
        if known is None:
            if len(self._epochs) >= MAX_CACHED_EPOCHS:
                self._epochs.clear()
            factor, mask, _ = self._numbers(f"epoch {epoch}")
            known = self._epochs[epoch] = factor | 1, mask
        return known

    def _numbers(self, label: str) -> tuple[int, int, int]:
        digest = hashlib.blake2s(label.encode(), key=self._secret, digest_size=_KEYS.size).digest()
        first, second, third = _KEYS.unpack(digest)
        return first, second, third


def host_word(host: str) -> int:
    """The last 32 bits of a numeric address: all of an IPv4 address."""
    parts = host.split(".")
    if len(parts) == 4 and ":" not in host:
        return int(parts[0]) << 24 | int(parts[1]) << 16 | int(parts[2]) << 8 | int(parts[3])
    return int(ipaddress.ip_address(host.partition("%")[0])) & _WORD
