"""How much an UPDATE counts. Nodes cannot make up credit. Pure.

A receipt is an UPDATE of a claimed node about another node that has the file. For each pair of owner and
reporter only MAX_RECEIPTS_PER_PAIR receipts and MAX_CREDIT_PER_PAIR bytes count, while the owner is in. Two
colluding nodes gain this amount once. A Sybil attacker gains it once per node, bounded by
``Rules.nodes_per_address``. All other UPDATEs count in a column of their own, of unclaimed nodes only, which
ranks behind any receipt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from common.messages import OwnedFile
from tracker import errors
from tracker.model import (
    MAX_CREDIT_PER_PAIR,
    MAX_RECEIPTS_PER_PAIR,
    MAX_REPORTERS,
    OTHER_REPORTERS,
    NodeRecord,
    Receipt,
    ReporterTotal,
)
from tracker.ranking import decayed

FindTotal = Callable[[int, int], ReporterTotal | None]
"""The total of an owner and a reporter (node ids)."""


@dataclass(frozen=True)
class CountedUpload:
    """The part of an UPDATE that counts."""

    total: ReporterTotal | None = None  # the reporter's new total; None: the upload is unverified
    credit: int = 0  # bytes
    is_new: bool = False  # this reporter had no total before


UNVERIFIED = CountedUpload()


def is_repetition(reporter: NodeRecord, receipt: Receipt) -> bool:
    """True if the reporter sent this receipt before."""
    return receipt.number is not None and receipt.number <= reporter.last_receipt


def check_amount(receipt: Receipt, owned: OwnedFile | None) -> None:
    """MessageError unless ``receipt.bytes`` fit into the file that the owner has (None: it has not)."""
    if owned is None:
        raise errors.no_such_file()
    if receipt.bytes is None:
        raise errors.no_bytes()
    if receipt.bytes < 1 or (owned.size is not None and receipt.bytes > owned.size):
        raise errors.wrong_bytes()


def count(
    reporter: NodeRecord | None, owner: NodeRecord, receipt: Receipt, find: FindTotal
) -> CountedUpload | None:
    """The part of a checked UPDATE that counts; None if nothing does."""
    if reporter is None or reporter.secret is None:
        return UNVERIFIED if owner.secret is None else None
    key = reporter.node_id
    total = find(owner.node_id, key)
    if total is None and owner.reporters >= MAX_REPORTERS:
        key = OTHER_REPORTERS
        total = find(owner.node_id, key)
    receipts, credit = (total.receipts, total.credit) if total else (0, 0)
    if receipts >= MAX_RECEIPTS_PER_PAIR:
        return None
    more = min(receipt.bytes or 0, MAX_CREDIT_PER_PAIR - credit)
    return CountedUpload(
        ReporterTotal(owner.node_id, key, receipts + 1, credit + more), more, is_new=total is None
    )


def credited(owner: NodeRecord, counted: CountedUpload, now: float, half_life: float) -> NodeRecord:
    """The owner's record with one more upload."""
    score = decayed(owner.score, now - owner.scored_at, half_life)
    if counted.total is None:
        if owner.receipts:
            return owner._replace(uploads=owner.uploads + 1)
        return owner._replace(uploads=owner.uploads + 1, score=score + 1, scored_at=now)
    return owner._replace(
        receipts=owner.receipts + 1,
        credit=owner.credit + counted.credit,
        score=(score if owner.receipts else 0.0) + 1,  # unverified uploads count nothing from now on
        scored_at=now,
        reporters=owner.reporters + counted.is_new,
    )


def reset_claims(node: NodeRecord) -> NodeRecord:
    """The record of a node that gets a secret: unverified uploads may be another node's."""
    return node._replace(uploads=0, score=node.score if node.receipts else 0.0)
