"""All that the tracker is told, from wherever; ``cli`` reads it from ``configs``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from common.addresses import Addr
from tracker.model import Rules
from tracker.web.settings import WebSettings

STORAGES = ("json", "memory", "redis")


@dataclass(frozen=True)
class TrackerSettings:
    """Each with its unit; the defaults are those of ``configs``."""

    listen: Addr = ("127.0.0.1", 12345)  # numeric host, TCP port; 0: any free one
    rules: Rules = Rules()
    storage: str = "json"  # one of STORAGES
    folder: Path = Path("tracker_db")  # storage "json": where the records are
    save_interval: float = 1.0  # seconds; storage "json": see ``FolderKeeper``
    durable: bool = True  # storage "json": whether an answer waits until a power cut cannot undo it
    redis_url: str = field(
        default="redis://127.0.0.1:6379/0", repr=False
    )  # storage "redis"; with its password
    max_results: int = 50  # owners in an answer to NEED
    swarm_key: str | None = field(default=None, repr=False)  # None: everybody may call
    threads: int = 8  # that answer requests
    web: WebSettings = WebSettings()
    log: Path = Path("logs/_tracker.log")
    access_log: Path | None = None  # file for one JSON line an answer
    log_bytes: int = 5 << 20  # after which a log file is rotated
