"""RC4 as message stream encryption uses it: the first 1024 bytes of the key stream are dropped.

RC4 is broken and protects nothing. It only hides the protocol from equipment that slows BitTorrent down. The
optional package ``cryptography`` does it fast. Without it plain Python does: fast enough for handshakes, and
for the payload of the few peers that insist on encryption.
"""

from __future__ import annotations

from typing import Protocol

DROPPED = 1024  # bytes of the key stream


class Rc4(Protocol):
    """One direction of a connection."""

    def update(self, data: bytes | memoryview) -> bytes:
        """Encrypt or decrypt the next bytes; RC4 is its own inverse."""


class PurePythonRc4:
    """RC4 by a 20-byte key, in plain Python."""

    def __init__(self, key: bytes) -> None:
        state, j = list(range(256)), 0
        for i in range(256):
            j = (j + state[i] + key[i % len(key)]) & 255
            state[i], state[j] = state[j], state[i]
        self._state, self._i, self._j = state, 0, 0
        self._key_stream(DROPPED)

    def update(self, data: bytes | memoryview) -> bytes:
        """Encrypt or decrypt the next bytes."""
        size = len(data)
        mixed = int.from_bytes(data, "big") ^ int.from_bytes(self._key_stream(size), "big")
        return mixed.to_bytes(size, "big")

    def _key_stream(self, size: int) -> bytes:
        state, i, j = self._state, self._i, self._j
        stream = bytearray(size)
        for at in range(size):
            i = (i + 1) & 255
            low = state[i]
            j = (j + low) & 255
            high = state[i] = state[j]
            state[j] = low
            stream[at] = state[(low + high) & 255]
        self._i, self._j = i, j
        return bytes(stream)


class _FastRc4:
    """RC4 by the package ``cryptography``."""

    def __init__(self, key: bytes) -> None:
        """ImportError without the package. It costs a process 6 MiB, and most connections are plain."""
        from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
        from cryptography.hazmat.primitives.ciphers import Cipher

        self._context = Cipher(ARC4(key), mode=None).encryptor()
        self._context.update(bytes(DROPPED))

    def update(self, data: bytes | memoryview) -> bytes:
        return self._context.update(data)


def make_rc4(key: bytes) -> Rc4:
    """RC4 by ``key``, as fast as this machine can. DROPPED bytes of the key stream are used up."""
    try:
        return _FastRc4(key)
    except ImportError:  # the package is optional
        return PurePythonRc4(key)
