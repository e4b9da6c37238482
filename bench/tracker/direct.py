"""Requests to a storage without HTTP, by the rules of the tracker."""

from __future__ import annotations

from collections.abc import Sequence

from common.messages import OwnedFile
from tracker import rules
from tracker.model import Caller, Keys, Receipt, file_key
from tracker.storage.base import Storage


def register(storage: Storage, caller: Caller, claim: str | None = None) -> None:
    """REGISTER."""
    storage.transact(Keys(caller, heartbeat=True), lambda view: rules.register(view, caller, claim))


def own(storage: Storage, caller: Caller, files: Sequence[OwnedFile]) -> None:
    """OWN."""
    keys = Keys(caller, files=[file_key(file.filename, file.info_hash) for file in files])
    storage.transact(keys, lambda view: rules.own(view, caller, files))


def update(storage: Storage, caller: Caller, receipt: Receipt) -> None:
    """UPDATE."""
    keys = Keys(caller, receipt.owner, [file_key(receipt.filename, receipt.info_hash)])
    storage.transact(keys, lambda view: rules.update(view, caller, receipt))
