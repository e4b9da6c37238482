"""Secrets of nodes and the swarm key: made, read from a request, hashed and compared.

A node's secret is 32 random bytes in base64url (RFC 4648, section 5). The tracker keeps only its SHA-256. A
slow password hash protects words that people choose; 256 random bits cannot be guessed in any case. Secrets
are compared in constant time and never logged: no ``repr`` in this module shows one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

from common.errors import Forbidden

SECRET_BYTES = 32  # of randomness in a secret that we make: 43 characters
_SECRET = re.compile(r"[A-Za-z0-9_-]{32,128}\Z")
_BEARER = "bearer "


@dataclass(frozen=True)
class Credentials:
    """The credentials of a request: its secret, its swarm key, and its client address."""

    secret: str | None = field(default=None, repr=False)  # from ``Authorization: Bearer``; see ``bearer``
    swarm_key: str | None = field(default=None, repr=False)  # from ``X-Swarm-Key``, or the field swarm_key
    remote: str | None = None  # the client address that it counts as

    @property
    def proof(self) -> str | None:
        """The digest of the secret; None without a secret."""
        return None if self.secret is None else digest(self.secret)


ANONYMOUS = Credentials()


def new_secret() -> str:
    """A new random secret."""
    return secrets.token_urlsafe(SECRET_BYTES)


def digest(secret: str) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(secret.encode()).hexdigest()


def bearer(authorization: str | None) -> str | None:
    """The secret in an Authorization header (RFC 6750, section 2.1); None for no header or another scheme.

    Forbidden unless it has 32 to 128 letters, digits, ``-`` and ``_``.
    """
    if authorization is None or authorization[: len(_BEARER)].lower() != _BEARER:
        return None
    secret = authorization[len(_BEARER) :].strip(" ")
    if not _SECRET.match(secret):
        raise Forbidden("the secret must be 32 to 128 letters, digits, - and _", "secret")
    return secret


def verify(proof: str | None, secret: str) -> bool:
    """True if ``proof`` is the digest that is kept as ``secret``. Takes constant time."""
    return proof is not None and hmac.compare_digest(proof, secret)


class SwarmKey:
    """The join code that every request must carry. Without a swarm key any client is accepted."""

    def __init__(self, key: str | None) -> None:
        self._hash = None if key is None else digest(key)

    @property
    def wanted(self) -> bool:
        """True if there is a swarm key."""
        return self._hash is not None

    def check(self, by: Credentials) -> None:
        """Forbidden, field swarm_key, if the key is missing or wrong."""
        if self._hash is None:
            return
        shown = by.swarm_key
        if shown is None or not hmac.compare_digest(digest(shown), self._hash):
            missing = "missing" if shown is None else "wrong"
            raise Forbidden(f"the swarm key is {missing}: ask whoever runs this tracker", "swarm_key")
