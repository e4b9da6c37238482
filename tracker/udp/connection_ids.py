"""Connection ids that need no memory (BEP 15). Pure: time is an argument.

A UDP packet may carry a forged source address. So a client first asks for a connection id, which only the
owner of the address receives. The id is a keyed hash (BLAKE2b) of the host and of the time, in buckets of two
minutes. Whoever does not know the key cannot compute it, and the tracker does not have to store it.
"""

from __future__ import annotations

import hashlib
import hmac

BUCKET_SECONDS = 120.0  # an id is valid for one to two buckets; BEP 15: at least two minutes
MAX_REMEMBERED = 16_384  # hosts whose id is not computed again, in each bucket


class ConnectionIds:
    """Makes and checks connection ids of 8 bytes. Not thread-safe."""

    def __init__(self, secret: bytes) -> None:
        """``secret``: 16 to 64 random bytes."""
        self._secret = secret
        self._bucket = -1
        self._current: dict[str, bytes] = {}
        self._previous: dict[str, bytes] = {}

    def issue(self, host: str, now: float) -> bytes:
        """The id of a host at ``now`` (seconds)."""
        self._turn(int(now / BUCKET_SECONDS))
        return self._id(host, self._bucket, self._current)

    def is_valid(self, shown: bytes, host: str, now: float) -> bool:
        """True if the host was given this id in this bucket or in the one before."""
        self._turn(int(now / BUCKET_SECONDS))
        if hmac.compare_digest(shown, self._id(host, self._bucket, self._current)):
            return True
        return hmac.compare_digest(shown, self._id(host, self._bucket - 1, self._previous))

    def _turn(self, bucket: int) -> None:
        if bucket != self._bucket:
            self._previous = self._current if bucket == self._bucket + 1 else {}
            self._bucket, self._current = bucket, {}

    def _id(self, host: str, bucket: int, known: dict[str, bytes]) -> bytes:
        found = known.get(host)
        if found is None:
            if len(known) >= MAX_REMEMBERED:
                known.clear()
            text = f"{bucket} {host}".encode()
            found = known[host] = hashlib.blake2b(text, digest_size=8, key=self._secret).digest()
        return found
