"""Values and calls that the storages' contract tests share: nodes, files, secrets, receipts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from common.errors import Forbidden, MessageError
from common.messages import OwnedFile
from tests.tracker.storage.requests import StorageTracker
from tracker.model import Caller, Receipt

A, B, C = (("127.0.0.1", port) for port in (4001, 4002, 4003))
HASH, OTHER_HASH = "ab" * 20, "cd" * 20
S, T = "5e" * 32, "7e" * 32  # hashes of secrets
F, G = OwnedFile("f", HASH, 9), OwnedFile("g")


def owners(
    storage: StorageTracker, filename: str | None = "f", info_hash: str | None = None
) -> dict[int, int]:
    """Node ids with the uploads that are shown."""
    found = storage.need(Caller(99), filename, info_hash, 50)
    assert found.total == len(found.owners)
    return {owner.node_id: owner.uploads for owner in found.owners}


def field_of(attempt: Callable[[], object], kind: type[MessageError | Forbidden]) -> str:
    with pytest.raises(kind) as caught:
        attempt()
    return str(caught.value.field)  # type: ignore[attr-defined]


def receipt(number: int | None = None, owner: int | None = 1, **more: object) -> Receipt:
    said = {"filename": "f", "owner": owner, "info_hash": HASH, "bytes": 9, "number": number, **more}
    return Receipt(**said)  # type: ignore[arg-type]
