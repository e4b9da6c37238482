"""Threads that take turns: one leads at a time, work runs beside it, and followers end."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from node.peer_tcp import turns
from node.peer_tcp.turns import Turns, Work

LIMIT = 10.0  # seconds until something that must happen has happened
NAME = "turns of a test"


class Ended(Exception):
    """The connection is over."""


@pytest.fixture(autouse=True)
def no_followers_remain():
    yield
    for thread in threading.enumerate():
        if thread.name == NAME:
            thread.join(LIMIT)
            assert not thread.is_alive()


def run(step: Callable[[float], Work | None]) -> None:
    with pytest.raises(Ended):
        Turns(step, LIMIT, NAME).run()


def test_another_thread_leads_while_work_is_done() -> None:
    again = threading.Event()
    steps: list[threading.Thread] = []
    done: list[bool] = []

    def step(longest_wait: float) -> Work | None:
        steps.append(threading.current_thread())
        if len(steps) == 1:
            return lambda: done.append(again.wait(LIMIT))
        again.set()
        raise Ended

    run(step)
    assert steps[0] is threading.current_thread() is not steps[1]
    assert done == [True]


def test_steps_never_overlap_and_each_work_is_done_once() -> None:
    leading, done = threading.Lock(), list[int]()
    count = 0

    def step(longest_wait: float) -> Work | None:
        nonlocal count
        assert leading.acquire(blocking=False), "two threads lead"
        try:
            count += 1
            number = count
            if number > 500:
                raise Ended
            return (lambda: done.append(number)) if number % 3 else None
        finally:
            leading.release()

    run(step)
    for thread in threading.enumerate():
        if thread.name == NAME:
            thread.join(LIMIT)
    assert sorted(done) == [number for number in range(1, 501) if number % 3]


def test_a_follower_without_work_gives_the_turn_back_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "FOLLOW_SECONDS", 0.01)
    own, followers = threading.current_thread(), set[threading.Thread]()
    led = threading.Event()
    count = 0

    def wait_for_a_follower() -> None:
        led.wait(LIMIT)

    def step(longest_wait: float) -> Work | None:
        nonlocal count
        count += 1
        if count == 1:
            return wait_for_a_follower
        thread = threading.current_thread()
        if thread is not own:
            assert longest_wait <= 0.01
            followers.add(thread)
            led.set()
        elif followers and not any(each.is_alive() for each in followers):
            raise Ended
        return None

    run(step)
    assert followers
