"""The node's secret for each tracker, and the numbers of its receipts, in a file for its user only.

With its secret a node proves to a tracker that the node_id is its own, even after ``kill -9`` and from
another address. So a secret is on the disk before the tracker receives it, and is deleted after the tracker
has received EXIT. It is never logged, shown, or put on a command line. A second process that runs as the same
node in the same folder gets no secret: a node_id cannot be at two addresses.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from common.files import FileLock, atomic_write, lock_file
from common.logs import log
from common.text import sanitize

MAX_SECRETS = 64  # of the trackers used last; older secrets are deleted
RECEIPT_BATCH = 100  # receipt numbers reserved by each write to the disk
MAX_RECEIPT = 1 << 52  # receipt numbers stay below the integers that are exact in JSON
MAX_SECRETS_BYTES = 64 << 10  # of the file; a larger one was not written by this program
_SECRET = re.compile(r"[A-Za-z0-9_-]{32,128}")
_NAME = re.compile(r"\.claims-[0-9]+\.(json|lock)(\..*)?", re.IGNORECASE)
_OPEN = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def is_secrets_name(name: str) -> bool:
    """True if a file of this name holds a node's secrets, or would be taken for one that does."""
    return _NAME.fullmatch(name) is not None


class SecretStore:
    """The secrets of node ``node_id`` in ``folder``. Thread-safe. Failures are logged, never raised."""

    def __init__(
        self, folder: Path, node_id: int, on_unsaved: Callable[[str], None] = lambda reason: None
    ) -> None:
        """``on_unsaved(reason)`` is called the first time that a secret cannot be saved."""
        self.path = folder / f".claims-{node_id}.json"
        self._lock_path = folder / f".claims-{node_id}.lock"
        self._on_unsaved = on_unsaved
        self._is_reported = False
        self._lock = threading.Lock()  # guards what follows
        self._secrets: dict[str, str] = {}  # by tracker URL, the newest last
        self._receipt = 0  # the last number that was used
        self._reserved = 0  # the last number that is reserved on the disk
        self._file_lock: FileLock | None = None
        self._in_use = False  # another process has the file

    def open(self) -> None:
        """Lock the file, and read the secrets of an earlier run."""
        try:
            self._file_lock = lock_file(self._lock_path)
        except OSError as error:
            self._log_failure(error)
            return
        self._in_use = self._file_lock is None
        if self._in_use:
            log(f"{sanitize(self.path)} is in use: another process runs as this node; we claim nothing of it")
            return
        try:
            self._secrets, self._reserved = _read(self.path)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log(f"{sanitize(self.path)} cannot be read ({error}); this node makes new secrets")
            return
        self._receipt = self._reserved

    def claim(self, urls: Sequence[str]) -> Claim:
        """The claim at the tracker that has these addresses. Its secret is on the disk on return."""
        with self._lock:
            secret = next((self._secrets[url] for url in urls if url in self._secrets), None)
            if secret is None and not self._in_use:
                secret = secrets.token_urlsafe(32)
            if secret is not None:
                self._put(urls, secret)
        return Claim(self, tuple(urls))

    def secret(self, url: str) -> str | None:
        """The secret for this tracker; None: the tracker may make one."""
        with self._lock:
            return self._secrets.get(url)

    def keep(self, urls: Sequence[str], secret: str) -> None:
        """Store a secret that the tracker made. An ill-formed one is ignored."""
        if _SECRET.fullmatch(secret):
            with self._lock:
                self._put(urls, secret)

    def forget(self, urls: Sequence[str]) -> None:
        """Delete the secret for this tracker."""
        with self._lock:
            for url in urls:
                self._secrets.pop(url, None)
            self._write()

    def holds(self, path: Path) -> bool:
        """True if ``path`` is, under any name, a file of secrets: this node's, or by its name another's."""
        if is_secrets_name(path.name) or is_secrets_name(path.resolve().name):
            return True
        try:
            return os.path.samefile(path, self.path)
        except OSError:
            return False

    def next_receipt(self) -> int:
        """A number larger than all before, also after a restart."""
        with self._lock:
            self._receipt += 1
            if self._receipt > self._reserved:
                self._reserved = self._receipt + RECEIPT_BATCH - 1
                self._write()
            return self._receipt

    def close(self) -> None:
        """Write the secrets, or delete the file if there are none, and end the lock."""
        with self._lock:
            if self._file_lock is not None:
                self._write()
                self._file_lock.release()
                self._file_lock = None

    def _put(self, urls: Sequence[str], secret: str) -> None:
        if all(self._secrets.get(url) == secret for url in urls):
            return
        for url in urls:
            self._secrets.pop(url, None)
            self._secrets[url] = secret
        for url in list(self._secrets)[:-MAX_SECRETS]:
            del self._secrets[url]
        self._write()

    def _write(self) -> None:
        if self._file_lock is None:  # another process has the file, or the folder is read-only
            return
        try:
            if self._secrets:
                kept = {"trackers": self._secrets, "receipt": self._reserved}
                atomic_write(self.path, json.dumps(kept).encode(), mode=0o600)
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            self._log_failure(error)

    def _log_failure(self, error: OSError) -> None:
        reason = error.strerror or type(error).__name__
        message = (
            f"{sanitize(self.path)} cannot be written ({reason}); "
            "after a crash trackers will not know this node"
        )
        log(message)
        if not self._is_reported:
            self._is_reported = True
            self._on_unsaved(message)


class Claim:
    """A node's claim to its node_id at one tracker, which may have several addresses."""

    def __init__(self, store: SecretStore, urls: tuple[str, ...]) -> None:
        self._store = store
        self._urls = urls

    @property
    def secret(self) -> str | None:
        """The proof of the claim; None: the tracker may make one."""
        return self._store.secret(self._urls[0])

    def keep(self, secret: str) -> None:
        """Store a secret that the tracker made."""
        self._store.keep(self._urls, secret)

    def forget(self) -> None:
        """Delete the secret, after EXIT."""
        self._store.forget(self._urls)

    def next_receipt(self) -> int:
        """The number of the next receipt."""
        return self._store.next_receipt()


def _read(path: Path) -> tuple[dict[str, str], int]:
    """Secrets by URL, and the last reserved receipt number. ValueError if the content is not valid."""
    descriptor = os.open(path, os.O_RDONLY | _OPEN)
    with open(descriptor, "rb") as file:
        if os.name == "posix" and os.fstat(descriptor).st_mode & 0o077:
            with contextlib.suppress(OSError):  # a mounted Windows disk has no modes: read the file anyway
                os.fchmod(descriptor, 0o600)
        content = file.read(MAX_SECRETS_BYTES + 1)
    if len(content) > MAX_SECRETS_BYTES:
        raise ValueError(f"larger than {MAX_SECRETS_BYTES} bytes")
    try:
        kept = json.loads(content)
        trackers, receipt = kept["trackers"], kept["receipt"]
        if not all(isinstance(url, str) and _SECRET.fullmatch(secret) for url, secret in trackers.items()):
            raise ValueError
        if type(receipt) is not int or not 0 <= receipt < MAX_RECEIPT:
            raise ValueError
        return dict(trackers), receipt
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("it is damaged") from None  # the message must not repeat the content
