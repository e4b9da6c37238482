"""Which torrents a seed asks about, in virtual time."""

from __future__ import annotations

from common.messages import OwnedFile
from node.discovery.meeting import MEET_AT_ONCE, MEET_SECONDS, MeetingPlan


def files(count: int) -> list[OwnedFile]:
    return [OwnedFile(f"{number}.bin", f"{number:040x}", 1) for number in range(count)]


def test_a_file_is_asked_about_after_its_own_and_then_in_turn() -> None:
    plan, served = MeetingPlan(), files(2)
    assert plan.next_due(0.0) == float("inf")
    plan.announced(served, 0.0)
    assert plan.next_due(0.0) == 0.0
    assert [plan.take(served, 0.0), plan.take(served, 0.0)] == served
    assert plan.take(served, 0.0) is None
    assert plan.next_due(0.0) == MEET_SECONDS
    turns = [plan.take(served, turn * MEET_SECONDS) for turn in range(1, 5)]
    assert set(turns[:2]) == set(turns[2:]) == set(served)


def test_very_many_files_are_not_asked_about_at_once() -> None:
    plan, served = MeetingPlan(), files(1000)
    plan.announced(served, 0.0)
    count = 0
    while plan.next_due(0.0) <= 0.0:
        assert plan.take(served, 0.0) is not None
        count += 1
    assert count == MEET_AT_ONCE


def test_partial_files_and_files_without_a_hash_have_no_leechers_to_meet() -> None:
    plan = MeetingPlan()
    served = [OwnedFile("a", "ab" * 20, 1, False), OwnedFile("b")]
    plan.announced(served, 0.0)
    assert plan.next_due(0.0) == float("inf")
    assert plan.take(served, 9999.0) is None


def test_a_file_that_is_not_served_any_more_is_not_asked_about() -> None:
    plan, served = MeetingPlan(), files(1)
    plan.announced(served, 0.0)
    assert plan.take([], 0.0) is None
    assert plan.take([], MEET_SECONDS) is None
    assert plan.next_due(MEET_SECONDS) == float("inf")
