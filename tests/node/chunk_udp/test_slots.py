"""A fixed number of fetchers is served, the rest wait in order, and each gets its turn. Virtual time only."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from node.chunk_udp.slots import (
    MAX_QUEUE,
    QUEUE_TIMEOUT,
    RESERVATION_SECONDS,
    SERVED,
    SLOT_IDLE_SECONDS,
    SLOT_SECONDS,
    SlotDecision,
    Slots,
)

FILE = b"h" * 20


def address(number: int) -> tuple[str, int]:
    return ("192.0.2.7", number)


def ask(slots: Slots, number: int, now: float, bytes_too: bool = True) -> SlotDecision:
    return slots.admit(address(number), FILE, bytes_too, now)


def places(slots: Slots, numbers: range, now: float) -> list[int | None]:
    return [ask(slots, number, now).queue_position for number in numbers]


def test_so_many_are_served_and_the_others_wait_in_order() -> None:
    slots = Slots(3)
    assert places(slots, range(7), 0.0) == [0, 0, 0, 1, 2, 3, 4]
    assert places(slots, range(7), 1.0) == [0, 0, 0, 1, 2, 3, 4]
    assert slots.served() == [address(n) for n in range(3)]
    assert slots.queue() == [(address(n), FILE) for n in range(3, 7)]
    assert [slots.queue_position(address(n)) for n in (2, 3, 6)] == [0, 1, 4]


def test_a_slot_that_is_not_used_goes_to_the_first_in_line() -> None:
    slots = Slots(2)
    places(slots, range(4), 0.0)
    ask(slots, 1, SLOT_IDLE_SECONDS)
    assert ask(slots, 3, SLOT_IDLE_SECONDS + 0.1).queue_position == 2  # one is free, another is first
    assert ask(slots, 2, SLOT_IDLE_SECONDS + 0.2) == SERVED
    assert ask(slots, 3, SLOT_IDLE_SECONDS + 0.3).queue_position == 1
    assert ask(slots, 0, SLOT_IDLE_SECONDS + 0.4).queue_position == 2  # too late


def test_questions_take_no_slot_but_keep_a_place_and_are_let_in_in_turn() -> None:
    slots = Slots(1)
    for second in range(3):
        assert ask(slots, 0, second, bytes_too=False) == SERVED
    assert slots.served() == []
    ask(slots, 1, 3.0)
    assert ask(slots, 0, 3.1, bytes_too=False).queue_position == 1
    assert ask(slots, 2, 3.2).queue_position == 2
    ask(slots, 2, 4.5)
    assert ask(slots, 0, 3.0 + SLOT_IDLE_SECONDS + 0.1, bytes_too=False) == SERVED
    assert ask(slots, 2, 3.0 + SLOT_IDLE_SECONDS + 0.2).queue_position == 1  # the slot is reserved
    assert ask(slots, 2, 3.0 + SLOT_IDLE_SECONDS + 0.2 + RESERVATION_SECONDS) == SERVED  # but not for long


def test_a_slot_waits_for_a_request_from_far_away_though_others_ask_meanwhile() -> None:
    """1.7 s there and back. With a wait of a second, a fetcher that returned from another port could take its
    own slot away again and again.
    """
    slots = Slots(1)
    ask(slots, 1, 0.0)
    ask(slots, 2, 0.5)
    assert ask(slots, 2, SLOT_IDLE_SECONDS + 0.1, bytes_too=False) == SERVED
    assert ask(slots, 1, SLOT_IDLE_SECONDS + 1.5).queue_position == 1
    assert ask(slots, 2, SLOT_IDLE_SECONDS + 1.8) == SERVED


def test_a_place_that_is_not_asked_for_is_lost() -> None:
    slots = Slots(1)
    for second in range(5):
        ask(slots, 0, second)  # in use, and its slice is not over
        ask(slots, 2, second + 0.1)
        if second == 0:
            ask(slots, 1, 0.05)
    assert QUEUE_TIMEOUT < 4
    assert slots.queue() == [(address(2), FILE)]


def test_after_its_slice_the_one_served_longest_makes_room_for_who_waits() -> None:
    slots = Slots(2)
    ask(slots, 0, 0.0)
    ask(slots, 1, 1.0)
    for moment in range(2, 10):
        ask(slots, 0, moment / 2)
        ask(slots, 1, moment / 2)
    ask(slots, 2, SLOT_SECONDS - 0.2)
    assert ask(slots, 3, SLOT_SECONDS).queue_position == 2  # only one slice is over, and another is first
    assert ask(slots, 2, SLOT_SECONDS + 0.1) == SlotDecision(0, displaced=address(0))
    assert ask(slots, 0, SLOT_SECONDS + 0.2).queue_position == 2  # behind the fetcher that waited longer
    assert ask(slots, 3, SLOT_SECONDS + 0.3).queue_position == 1


def test_while_nobody_waits_slices_do_not_end() -> None:
    slots = Slots(1)
    for second in range(60):
        assert ask(slots, 0, second) == SERVED


def test_the_line_is_bounded() -> None:
    slots = Slots(1)
    answers = places(slots, range(MAX_QUEUE + 3), 0.0)
    assert answers[-3:] == [MAX_QUEUE, None, None]
    assert len(slots.queue()) == MAX_QUEUE


@given(st.integers(1, 8), st.integers(1, 40), st.integers())
def test_everybodys_turn_comes_in_time(count: int, nodes: int, seed: int) -> None:
    """All ask for bytes all the time if served, and every second if not."""
    chance = random.Random(seed)
    slots = Slots(count)
    next_at = {number: chance.uniform(0, 1) for number in range(nodes)}
    waits_since: dict[int, float] = {}
    longest = 0.0
    while (now := min(next_at.values())) < 60:
        number = min(next_at, key=next_at.__getitem__)
        admission = ask(slots, number, now)
        if admission.displaced is not None:
            waits_since[admission.displaced[1]] = now
        if admission.queue_position == 0:
            longest = max(longest, now - waits_since.pop(number, now))
        else:
            waits_since.setdefault(number, now)
        next_at[number] = now + (0.5 if admission.queue_position == 0 else 1.0)
        assert len(slots.served()) <= count
    turns = -(-nodes // count) - 1  # of other fetchers, before its own
    assert (
        max([longest, *(60 - since for since in waits_since.values())]) <= turns * (SLOT_SECONDS + 1.0) + 1.0
    )
