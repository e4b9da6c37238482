"""What the HTTP side is told."""

from __future__ import annotations

from dataclasses import dataclass

from tracker.rate_limits import Limits


@dataclass(frozen=True)
class WebSettings:
    """Limits and names; ``silence`` is the registry's."""

    max_request_bytes: int = 1 << 20  # of a body; more is answered 413
    allowed_hosts: frozenset[str] = frozenset()  # names that a Host header may have, in lower case
    trusted_proxies: frozenset[str] = frozenset()  # addresses whose X-Forwarded-For is believed
    limits: Limits = Limits()
    silence: float = 22.0  # seconds for which a node stays in without being heard


def names(text: str) -> frozenset[str]:
    """The names in a setting like ``a,b``, in lower case; ``none`` has none."""
    parts = (part.strip().lower() for part in text.split(","))
    return frozenset(part for part in parts if part and part != "none")
