"""What is told of an owner is kept, and is right all the same."""

from __future__ import annotations

from common.messages import OwnedFile
from tracker.nodes import Node, Owned


def test_what_was_told_is_told_again_until_it_changes() -> None:
    node = Node(7, ("10.0.0.7", 30_007), deadline=10.0)
    owned = Owned(node, OwnedFile("a.bin", "a" * 40, 1000))
    first = owned.entry()
    assert owned.entry() is first
    node.uploads += 1  # by the plain column
    node.receipts += 2
    second = owned.entry()
    assert (first.uploads, second.uploads) == (0, 3) and owned.entry() is second
    node.addr = ("10.0.0.8", 30_007)
    assert owned.entry().addr == ("10.0.0.8", 30_007)
    node.uploads, node.receipts = 0, 3  # a claim, and receipts, come to the same number
    assert owned.entry().uploads == 3
