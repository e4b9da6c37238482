"""A node's secrets, one for each tracker, and the numbers of its receipts: in a file for its own eyes.

With its secret a node proves to a tracker that its number is its own, after ``kill -9``, too, and from
another address. So a secret is on the disk before the tracker hears of it, and is forgotten when the tracker
has heard EXIT. It is never logged, shown or put on a command line. Another process that runs as the same node
in the same folder gets no secret: a number cannot be at two places at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import threading
from collections.abc import Sequence
from pathlib import Path

from common.files import FileLock, atomic_write, lock_file
from common.logs import log
from common.text import sanitize

MAX_SECRETS = 64  # trackers whose secrets are kept; the oldest are forgotten
RESERVED = 100  # receipts' numbers that one write to the disk is good for
MAX_RECEIPT = 1 << 52  # receipts' numbers stay below what is exact in JSON
MAX_BYTES = 64 << 10  # of the file; more is none of ours
_SECRET = re.compile(r"[A-Za-z0-9_-]{32,128}")
_NAME = re.compile(r"\.claims-[0-9]+\.(json|lock)(\..*)?", re.IGNORECASE)
_OPEN = os.O_CLOEXEC if hasattr(os, "O_CLOEXEC") else 0
_OPEN |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def is_claims_name(name: str) -> bool:
    """Whether a file of this name holds, or would be taken for, a node's secrets."""
    return _NAME.fullmatch(name) is not None


class Claims:
    """The secrets of node ``node_id``, whose folder is ``folder``. Thread-safe; nothing here raises."""

    def __init__(self, folder: Path, node_id: int) -> None:
        self.path = folder / f".claims-{node_id}.json"
        self._lock_path = folder / f".claims-{node_id}.lock"
        self._lock = threading.Lock()  # guards what follows
        self._secrets: dict[str, str] = {}  # by tracker URL
        self._receipt = 0  # the last one given out
        self._reserved = 0  # no receipt beyond this before it is written down
        self._file_lock: FileLock | None = None
        self._taken = False  # whether another process has them

    def open(self) -> None:
        """Read what an earlier run left."""
        try:
            self._file_lock = lock_file(self._lock_path)
        except OSError as error:
            self._complain(error)
            return
        self._taken = self._file_lock is None
        if self._taken:
            log(f"{sanitize(self.path)} is in use: another process runs as this node; we claim nothing of it")
            return
        try:
            kept = _read(self.path)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log(f"{sanitize(self.path)} cannot be read ({error}); this node makes new secrets")
            return
        self._secrets, self._reserved = kept
        self._receipt = self._reserved

    def at(self, urls: Sequence[str]) -> Claim:
        """Our claim at the tracker that has these addresses; its secret is on the disk when this returns."""
        with self._lock:
            known = next((self._secrets[url] for url in urls if url in self._secrets), None)
            if known is None and not self._taken:
                known = secrets.token_urlsafe(32)
            if known is not None:
                self._put(urls, known)
        return Claim(self, tuple(urls))

    def secret(self, url: str) -> str | None:
        """The one for this tracker; None: the tracker may make one."""
        with self._lock:
            return self._secrets.get(url)

    def keep(self, urls: Sequence[str], secret: str) -> None:
        """The tracker says that this one is ours; what cannot be one is ignored."""
        if _SECRET.fullmatch(secret):
            with self._lock:
                self._put(urls, secret)

    def forget(self, urls: Sequence[str]) -> None:
        """The tracker has let us go."""
        with self._lock:
            for url in urls:
                self._secrets.pop(url, None)
            self._write()

    def holds(self, path: Path) -> bool:
        """Whether ``path`` is, under any name, a file of secrets: ours, or another node's by its name."""
        if is_claims_name(path.name) or is_claims_name(path.resolve().name):
            return True
        try:
            return os.path.samefile(path, self.path)
        except OSError:
            return False

    def receipt(self) -> int:
        """A number larger than all before, over restarts, too."""
        with self._lock:
            self._receipt += 1
            if self._receipt > self._reserved:
                self._reserved = self._receipt + RESERVED - 1
                self._write()
            return self._receipt

    def close(self) -> None:
        """Leave no file behind that says nothing."""
        with self._lock:
            if self._file_lock is not None:
                self._write()
                self._file_lock.release()
                self._file_lock = None

    def _put(self, urls: Sequence[str], secret: str) -> None:
        if all(self._secrets.get(url) == secret for url in urls):
            return
        for url in urls:
            self._secrets.pop(url, None)  # the newest come last
            self._secrets[url] = secret
        for url in list(self._secrets)[:-MAX_SECRETS]:
            del self._secrets[url]
        self._write()

    def _write(self) -> None:
        if self._file_lock is None:  # another's, or the folder lets us write nothing
            return
        try:
            if self._secrets:
                kept = {"trackers": self._secrets, "receipt": self._reserved}
                atomic_write(self.path, json.dumps(kept).encode(), mode=0o600)
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        reason = error.strerror or type(error).__name__
        log(
            f"{sanitize(self.path)} cannot be written ({reason}); "
            "after a crash trackers will not know this node"
        )


class Claim:
    """A node's claim to its number at one tracker, which may have several addresses."""

    def __init__(self, claims: Claims, urls: tuple[str, ...]) -> None:
        self._claims = claims
        self._urls = urls

    @property
    def secret(self) -> str | None:
        """What proves it; None: the tracker may make one."""
        return self._claims.secret(self._urls[0])

    def keep(self, secret: str) -> None:
        """The tracker's word for it."""
        self._claims.keep(self._urls, secret)

    def forget(self) -> None:
        """After EXIT."""
        self._claims.forget(self._urls)

    def receipt(self) -> int:
        """The number of one more receipt."""
        return self._claims.receipt()


def _read(path: Path) -> tuple[dict[str, str], int]:
    """Secrets by URL, and the last receipt that may have been given out; ValueError: it is none of ours."""
    descriptor = os.open(path, os.O_RDONLY | _OPEN)
    with open(descriptor, "rb") as file:
        if os.name == "posix" and os.fstat(descriptor).st_mode & 0o077:
            with contextlib.suppress(OSError):  # a mounted Windows disk knows no modes: read it all the same
                os.fchmod(descriptor, 0o600)
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES} bytes")
    try:
        kept = json.loads(content)
        trackers, receipt = kept["trackers"], kept["receipt"]
        if not all(isinstance(url, str) and _SECRET.fullmatch(secret) for url, secret in trackers.items()):
            raise ValueError
        if type(receipt) is not int or not 0 <= receipt < MAX_RECEIPT:
            raise ValueError
        return dict(trackers), receipt
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("it is damaged") from None  # and nothing of it in what is said
