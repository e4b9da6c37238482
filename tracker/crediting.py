"""What an UPDATE is worth, so that credit cannot be made up. Pure.

A receipt is an UPDATE of a node that has a secret, about another node that has the file. Of each pair of an
owner and a reporter only MAX_RECEIPTS_PER_PAIR receipts and MAX_CREDIT_PER_PAIR bytes count, for as long as
the owner is in: two nodes that help each other up gain that once. Whoever brings more nodes gains it for
each of them; what bounds this is the number of nodes that an address may bring in. All other UPDATEs count
in a column of their own, for unclaimed nodes only, that says nothing beside a receipt.
"""

from __future__ import annotations

from dataclasses import dataclass

from common.messages import OwnedFile
from tracker import errors
from tracker.model import MAX_CREDIT_PER_PAIR, MAX_PAIRS, MAX_RECEIPTS_PER_PAIR, Pair, Receipt
from tracker.nodes import Node


@dataclass(frozen=True)
class Worth:
    """What counts of an UPDATE."""

    pair: Pair | None = None  # what the reporter has brought the owner with it; None: it is no receipt
    credit: int = 0  # bytes


PLAIN = Worth()


def is_repetition(reporter: Node, receipt: Receipt) -> bool:
    """Whether the reporter has said this before."""
    return receipt.number is not None and receipt.number <= reporter.last_receipt


def check_amount(receipt: Receipt, owned: OwnedFile | None) -> None:
    """MessageError if nobody can have received that from who owns the file as ``owned`` says (None: not)."""
    if owned is None:
        raise errors.no_such_file()
    if receipt.bytes is None:
        raise errors.no_bytes()
    if receipt.bytes < 1 or (owned.size is not None and receipt.bytes > owned.size):
        raise errors.wrong_bytes()


def worth(reporter: Node | None, owner: Node, receipt: Receipt) -> Worth | None:
    """What counts of an UPDATE that is in order; None: nothing."""
    if reporter is None or reporter.secret is None:
        return PLAIN if owner.secret is None else None
    pairs = owner.pairs or {}
    key = reporter.node_id
    if key not in pairs and len(pairs) >= MAX_PAIRS:
        key = next(reversed(pairs))
    receipts, credit = pairs.get(key, (0, 0))
    if receipts >= MAX_RECEIPTS_PER_PAIR:
        return None
    more = min(receipt.bytes or 0, MAX_CREDIT_PER_PAIR - credit)
    return Worth(Pair(key, receipts + 1, credit + more), more)


def credit(owner: Node, worth: Worth, now: float, half_life: float) -> None:
    """Give the owner what counts."""
    if worth.pair is None:
        owner.uploads += 1
        if not owner.receipts:
            owner.add_to_score(now, half_life)
        return
    if not owner.receipts:
        owner.score = 0.0  # of plain uploads, which say nothing from now on
    owner.receipts += 1
    owner.credit += worth.credit
    owner.add_to_score(now, half_life)
    if owner.pairs is None:
        owner.pairs = {}
    owner.pairs[worth.pair.reporter] = worth.pair.receipts, worth.pair.credit


def begin_anew(node: Node) -> None:
    """A node has got a secret: plain uploads of whoever had its number before are not its own."""
    node.uploads = 0
    if not node.receipts:
        node.score = 0.0
