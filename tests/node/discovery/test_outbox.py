"""Messages that wait for a tracker."""

from __future__ import annotations

from dataclasses import replace

from common.messages import OwnedFile
from node.discovery.base import Credit
from node.discovery.outbox import MAX_CREDITS, Outbox

PART, WHOLE = OwnedFile("a.bin", "ab" * 20, 10, False), OwnedFile("a.bin", "ab" * 20, 10)
OTHER = OwnedFile("b.bin", "cd" * 20, 10)
CREDIT = Credit("a.bin", "ab" * 20, 7, 100)


def test_the_latest_state_of_a_file_is_sent() -> None:
    outbox = Outbox()
    assert not outbox
    outbox.add_files([PART, OTHER, WHOLE])
    outbox.add_credit(CREDIT)
    assert len(outbox) == 3
    assert outbox.take() == ([WHOLE, OTHER], [CREDIT])
    assert not outbox and outbox.take() == ([], [])


def test_messages_that_come_back_do_not_replace_newer_ones() -> None:
    outbox = Outbox()
    outbox.add_files([PART, OTHER])
    outbox.add_credit(CREDIT)
    batch = outbox.take()
    outbox.add_files([WHOLE])
    later = replace(CREDIT, amount=1)
    outbox.add_credit(later)
    outbox.put_back(batch)
    assert outbox.take() == ([WHOLE, OTHER], [CREDIT, later])


def test_only_a_state_that_was_not_taken_is_removed() -> None:
    outbox = Outbox()
    outbox.add_files([PART])
    assert not outbox.remove_file(WHOLE)
    assert outbox.remove_file(PART) and not outbox.remove_file(PART)


def test_credits_are_bounded_and_the_oldest_go() -> None:
    outbox = Outbox()
    for amount in range(MAX_CREDITS + 50):
        outbox.add_credit(replace(CREDIT, amount=amount))
    _, credits = outbox.take()
    assert len(credits) == MAX_CREDITS and credits[0].amount == 50
