"""The tracker's settings as values. ``bootstrap`` reads them from ``configs``; tests make their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from common.addresses import Addr
from tracker.model import Rules
from tracker.rate_limits import Limits

STORAGES = ("json", "memory", "redis")
SAVE_INTERVAL = 1.0  # seconds until nodes.json and files.json follow a change
MAX_NEED_RESULTS = 50  # owners in one NEED answer
MAX_REQUEST_BYTES = 1 << 20  # bytes of a request's body; more is answered 413


@dataclass(frozen=True)
class WebSettings:
    """Limits and names of the HTTP side."""

    max_request_bytes: int = MAX_REQUEST_BYTES
    allowed_hosts: frozenset[str] = frozenset()  # names that a Host header may have, in lower case
    trusted_proxies: frozenset[str] = frozenset()  # proxies from which X-Forwarded-For is believed
    limits: Limits = Limits()


@dataclass(frozen=True)
class TrackerSettings:
    """All settings of a tracker; the defaults are those of ``configs``."""

    listen: Addr = ("127.0.0.1", 12345)  # numeric host, TCP port; 0: any free one
    rules: Rules = Rules()
    storage: str = "json"  # one of STORAGES
    folder: Path = Path("tracker_db")  # storage "json": of the records
    save_interval: float = SAVE_INTERVAL  # seconds; storage "json"
    durable: bool = True  # storage "json": an answer waits until a power cut cannot undo it
    redis_url: str = field(default="redis://127.0.0.1:6379/0", repr=False)  # with its password
    max_results: int = MAX_NEED_RESULTS
    swarm_key: str | None = field(default=None, repr=False)  # None: any client is accepted
    threads: int = 12  # that answer requests
    udp: bool = True  # announces are answered over UDP as well, at the same port number
    web: WebSettings = WebSettings()
    log: Path = Path("logs/_tracker.log")
    access_log: Path | None = None  # file for one JSON line an answer
    log_bytes: int = 5 << 20  # size at which a log file is rotated
