"""The five requests to a storage by the tracker's rules: the service's calls, without messages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from common.messages import OwnedFile, PeerEntry
from tracker import rules
from tracker.model import (
    Announced,
    Announcement,
    Caller,
    Counts,
    Credited,
    ExpiryResult,
    Found,
    Keys,
    NodeView,
    PeerAnswer,
    Receipt,
    Registered,
    SwarmCounts,
    SwarmView,
    file_key,
)
from tracker.storage.base import Storage


class StorageTracker:
    """A storage, and the rules that it carries out."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def register(self, caller: Caller, claim: str | None = None) -> Registered:
        keys = Keys(caller, heartbeat=True)
        return self.storage.transact(keys, lambda view: rules.register(view, caller, claim))

    def own(self, caller: Caller, files: Sequence[OwnedFile]) -> Announced:
        keys = Keys(caller, files=[file_key(file.filename, file.info_hash) for file in files])
        return self.storage.transact(keys, lambda view: rules.own(view, caller, files))

    def withdraw(self, caller: Caller, files: Sequence[OwnedFile]) -> int:
        keys = [file_key(file.filename, file.info_hash) for file in files]
        decide = partial(rules.withdraw, caller=caller, keys=keys)
        return self.storage.transact(Keys(caller, files=keys), decide)

    def need(self, caller: Caller, filename: str | None, info_hash: str | None, limit: int) -> Found:
        return self.storage.search(caller, filename, info_hash, limit)

    def update(self, caller: Caller, receipt: Receipt) -> Credited:
        keys = Keys(caller, receipt.owner, [file_key(receipt.filename, receipt.info_hash)])
        return self.storage.transact(keys, lambda view: rules.update(view, caller, receipt))

    def exit(self, caller: Caller) -> bool:
        return self.storage.transact(Keys(caller), lambda view: rules.leave(view, caller))

    def announce(self, call: Announcement) -> PeerAnswer:
        return self.storage.announce(call)

    def scrape(self, *info_hashes: bytes) -> list[SwarmCounts]:
        return list(self.storage.scrape(info_hashes))

    def standard_peers(self, info_hash: bytes, limit: int = 50) -> list[PeerEntry]:
        return list(self.storage.standard_peers(info_hash, limit))

    def expire(self) -> ExpiryResult:
        return self.storage.expire()

    def counts(self) -> Counts:
        return self.storage.counts()

    def nodes(self, limit: int) -> Sequence[NodeView]:
        return self.storage.nodes(limit)

    def swarms(self, limit: int) -> Sequence[SwarmView]:
        return self.storage.swarms(limit)

    def health(self) -> str:
        return self.storage.health()

    def open(self) -> Sequence[str]:
        return self.storage.open()

    def close(self) -> None:
        self.storage.close()

    @property
    def silence(self) -> float:
        return self.storage.silence

    @silence.setter
    def silence(self, seconds: float) -> None:
        self.storage.silence = seconds
