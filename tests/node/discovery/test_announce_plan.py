"""Tiers, events and retries in virtual time."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.udp_tracker import AnnounceEvent
from node.discovery.announce import AnnounceResult
from node.discovery.announce_plan import HTTP_RETRY, INTERVAL_JITTER, AnnounceJob, AnnouncePlan
from node.discovery.announce_url import parse_announce_url

STARTED, NONE = AnnounceEvent.STARTED, AnnounceEvent.NONE
COMPLETED, STOPPED = AnnounceEvent.COMPLETED, AnnounceEvent.STOPPED
INTERVAL, MIN_INTERVAL = 900.0, 60.0
RESULT = AnnounceResult((("10.0.0.1", 6881),), INTERVAL, MIN_INTERVAL)


def plan_of(*tiers: Sequence[str], seed: int = 1) -> AnnouncePlan:
    """A plan whose trackers are named "a", "b" ... (HTTP) or "ua", "ub" ... (UDP)."""
    urls = [
        [f"udp://{name}:1" if name[0] == "u" else f"http://{name}/announce" for name in tier]
        for tier in tiers
    ]
    plan = AnnouncePlan([list(map(parse_announce_url, tier)) for tier in urls], random.Random(seed))
    plan.enter()
    return plan


def only(jobs: list[AnnounceJob]) -> AnnounceJob:
    (job,) = jobs
    return job


def names(jobs: list[AnnounceJob]) -> list[str]:
    return [job.url.host for job in jobs]


def test_every_tier_is_announced_to_at_once() -> None:
    plan = plan_of(["a", "b"], ["ua"], ["c"])
    jobs = plan.jobs(0.0)
    assert [job.event for job in jobs] == [STARTED] * 3
    assert names(jobs)[1:] == ["ua", "c"]
    assert plan.jobs(0.0) == []
    assert plan.next_due() == math.inf


def test_the_order_within_a_tier_is_chance_and_stays() -> None:
    assert {names(plan_of(["a", "b"], seed=seed).jobs(0.0))[0] for seed in range(20)} == {"a", "b"}
    plan = plan_of(["a", "b", "c"])
    first = only(plan.jobs(0.0))
    plan.answered(first, RESULT, 0.0)
    assert names(plan.jobs(2000.0)) == [first.url.host]


def test_regular_announces_follow_the_trackers_interval() -> None:
    plan = plan_of(["a"])
    plan.answered(only(plan.jobs(0.0)), RESULT, 1.0)
    assert 1.0 + INTERVAL <= plan.next_due() <= 1.0 + INTERVAL * (1 + INTERVAL_JITTER)
    assert plan.jobs(INTERVAL) == []
    assert only(plan.jobs(plan.next_due())).event is NONE


def test_a_failed_tracker_is_passed_over_and_the_one_that_answers_moves_to_the_front() -> None:
    plan = plan_of(["a", "b", "c"])
    first = only(plan.jobs(0.0))
    plan.failed(first, "connection refused", 0.0)
    second = only(plan.jobs(0.0))
    assert second.url != first.url
    assert second.event is STARTED
    plan.answered(second, RESULT, 0.0)
    again = only(plan.jobs(2000.0))
    assert again.url == second.url
    plan.failed(again, "timeout", 2000.0)
    other = only(plan.jobs(2000.0))
    assert other.url == first.url
    assert other.event is STARTED


def test_a_lone_http_tracker_is_retried_later_and_later_within_half_an_hour() -> None:
    plan = plan_of(["a"])
    now, waits = 0.0, []
    for _ in range(12):
        plan.failed(only(plan.jobs(now)), "timeout", now)
        assert plan.jobs(now) == []
        waits.append(plan.next_due() - now)
        now = plan.next_due()
    assert HTTP_RETRY.first * 0.8 <= waits[0] <= HTTP_RETRY.first * 1.2
    assert all(wait <= HTTP_RETRY.limit * 1.2 for wait in waits)
    assert waits[-1] >= HTTP_RETRY.limit * 0.8


def test_udp_retries_follow_bep_15() -> None:
    plan = plan_of(["ua"])
    now, waits = 0.0, []
    for _ in range(11):
        job = only(plan.jobs(now))
        assert job.timeout is not None
        ended = now + min(job.timeout, 0.1)  # the system reports at once that no process listens there
        plan.failed(job, "timeout", ended)
        assert plan.jobs(ended) == []
        waits.append(plan.next_due() - now)
        now = plan.next_due()
    assert waits == [15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3840.0, 3840.0, 3840.0]


def test_a_silent_udp_tracker_is_asked_again_at_once_when_its_time_is_over() -> None:
    plan = plan_of(["ua"])
    job = only(plan.jobs(0.0))
    assert job.timeout == 15.0
    plan.failed(job, "timeout", 15.0)
    assert only(plan.jobs(15.0)).timeout == 30.0


def test_a_refusal_waits_as_the_tracker_says() -> None:
    plan = plan_of(["a"])
    plan.failed(only(plan.jobs(0.0)), "unregistered", 0.0, refuses=True, retry_in=600.0)
    assert plan.jobs(599.0) == []
    assert plan.next_due() == 600.0
    plan.failed(only(plan.jobs(600.0)), "banned", 600.0, refuses=True, retry_in=math.inf)
    assert plan.jobs(10**9) == []
    assert plan.next_due() == math.inf


def test_completed_is_sent_once_at_each_tier() -> None:
    plan = plan_of(["a"], ["ub"])
    for job in plan.jobs(0.0):
        plan.answered(job, RESULT, 0.0)
    plan.complete(10.0)
    jobs = plan.jobs(10.0)
    assert [job.event for job in jobs] == [COMPLETED] * 2
    plan.answered(jobs[0], RESULT, 10.0)
    plan.failed(jobs[1], "timeout", 25.0)
    assert only(plan.jobs(25.0)).event is COMPLETED
    assert plan.jobs(25.0) == []
    assert only(plan.jobs(2000.0)).event is NONE


def test_completed_follows_a_started_that_is_under_way() -> None:
    plan = plan_of(["a"])
    started = only(plan.jobs(0.0))
    plan.complete(1.0)
    assert plan.jobs(1.0) == []
    plan.answered(started, RESULT, 2.0)
    assert only(plan.jobs(2.0)).event is COMPLETED


def test_a_torrent_that_was_complete_from_the_start_never_says_completed() -> None:
    plan = plan_of(["a"])
    for now in (0.0, 2000.0, 4000.0):
        job = only(plan.jobs(now))
        assert job.event is (STARTED if now == 0.0 else NONE)
        plan.answered(job, RESULT, now)


def test_stopped_goes_to_every_tracker_that_may_list_us() -> None:
    plan = plan_of(["a", "b"], ["ua"], ["c"], ["d"])
    first, udp, pending, dead = plan.jobs(0.0)
    plan.answered(first, RESULT, 0.0)
    plan.answered(udp, RESULT, 0.0)
    plan.failed(dead, "timeout", 0.0)
    plan.want_peers(MIN_INTERVAL)
    again = next(job for job in plan.jobs(MIN_INTERVAL) if job.url == first.url)
    plan.failed(again, "timeout", MIN_INTERVAL)
    second = next(job for job in plan.jobs(MIN_INTERVAL) if job.tier is first.tier)
    plan.answered(second, RESULT, MIN_INTERVAL)  # now a and b list us, and perhaps c
    jobs = plan.leave(100.0)
    assert {"a", "b", pending.url.host} <= set(names(jobs))
    assert {job.event for job in jobs} == {STOPPED}
    assert len(names(jobs)) == len(set(names(jobs)))
    assert plan.jobs(9999.0) == []


def test_after_stopped_comes_started() -> None:
    plan = plan_of(["a"])
    plan.answered(only(plan.jobs(0.0)), RESULT, 0.0)
    plan.leave(1.0)
    plan.enter()
    assert only(plan.jobs(2.0)).event is STARTED


def test_more_peers_are_asked_for_within_the_minimum_interval_of_the_tracker() -> None:
    plan = plan_of(["a"])
    plan.answered(only(plan.jobs(0.0)), RESULT, 0.0)
    plan.want_peers(10.0)
    assert plan.jobs(MIN_INTERVAL - 1) == []
    assert plan.next_due() == MIN_INTERVAL
    assert only(plan.jobs(MIN_INTERVAL)).event is NONE


def test_more_peers_are_no_reason_to_ask_a_failed_tracker_earlier() -> None:
    plan = plan_of(["ua"])
    plan.answered(only(plan.jobs(0.0)), RESULT, 0.0)
    plan.failed(only(plan.jobs(2000.0)), "timeout", 2000.1)
    assert plan.jobs(2000.1) == []
    plan.want_peers(2001.0)
    assert plan.jobs(2014.9) == []
    assert only(plan.jobs(2015.0)).timeout == 30.0


def test_trackers_that_were_out_of_reach_are_asked_at_once_when_this_machine_is_back() -> None:
    plan = plan_of(["ua"], ["b"])
    udp, http = plan.jobs(0.0)
    plan.failed(udp, "network unreachable", 0.0)
    plan.failed(http, "unregistered", 0.0, refuses=True)
    plan.retry(1.0)
    assert names(plan.jobs(1.0)) == ["ua"]


def test_a_tracker_that_is_held_is_asked_when_it_is_let_in() -> None:
    plan = plan_of(["a"], ["b"])
    plan.hold(lambda url: url.host == "a", 0.0)
    assert names(plan.jobs(0.0)) == ["b"]
    assert plan.next_due() == math.inf
    plan.hold(lambda url: False, 5.0)
    assert names(plan.jobs(5.0)) == ["a"]


def test_peers_of_all_tiers_are_one_list() -> None:
    plan = plan_of(["a"], ["b"])
    one, two = plan.jobs(0.0)
    plan.answered(one, RESULT, 0.0)
    plan.answered(two, AnnounceResult((("10.0.0.2", 1), *RESULT.peers), INTERVAL, MIN_INTERVAL), 0.0)
    assert plan.peers() == [("10.0.0.1", 6881), ("10.0.0.2", 1)]


@pytest.mark.parametrize("tiers", [[], [[]]])
def test_a_torrent_without_trackers_has_nothing_to_do(tiers: list[list[str]]) -> None:
    plan = plan_of(*tiers)
    assert plan.jobs(0.0) == []
    assert plan.next_due() == math.inf
    assert not plan.is_sending(0.0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["answer", "fail", "refuse", "want", "complete", "leave", "enter"]), st.integers(0, 3)
    )
)


@given(STEPS, st.integers(0, 5))
def test_whatever_happens_each_tracker_is_entered_before_it_is_left(
    steps: list[tuple[str, int]], seed: int
) -> None:
    """Two announces of a tier are never under way, and no tracker gets ``stopped`` that was not asked."""
    plan = plan_of(["a", "ub"], ["uc"], seed=seed)
    now, under_way, asked = 0.0, list[AnnounceJob](), set[str]()
    for step, index in steps:
        now += 20.0 * index
        new = plan.jobs(now)
        under_way += new
        asked.update(names(new))
        assert len({id(job.tier) for job in under_way}) == len(under_way)
        if step in ("answer", "fail", "refuse") and under_way:
            job = under_way.pop(index % len(under_way))
            if step == "answer":
                plan.answered(job, RESULT, now)
            else:
                plan.failed(job, step, now, refuses=step == "refuse")
        elif step == "want":
            plan.want_peers(now)
        elif step == "complete":
            plan.complete(now)
        elif step == "enter":
            plan.enter()
        elif step == "leave":
            assert set(names(plan.leave(now))) <= asked
