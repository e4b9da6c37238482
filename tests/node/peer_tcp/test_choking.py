"""Choking in virtual time: tit-for-tat, optimistic unchokes, snubbing, and the turns of a seed."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.peer_tcp.choking import (
    MAX_SLOTS,
    MIN_SLOTS,
    NEW_PEER_SECONDS,
    OPTIMISTIC_SECONDS,
    ROUND_SECONDS,
    SNUB_SECONDS,
    TURN_SECONDS,
    Choker,
    PeerTraffic,
    SnubTimer,
)


class Swarm:
    """Peers that send and take bytes at given rates while they are unchoked."""

    def __init__(self, count: int, seed: int = 1, limit: int | None = None) -> None:
        self.choker: Choker[int] = Choker(random.Random(seed), limit)
        self.now = 100.0
        self.interested = set(range(count))
        self.snubs: set[int] = set()
        self.gives = Counter[int]()  # bytes a second that a peer sends us, always
        self.takes = Counter[int]()  # bytes a second that a peer takes while it is unchoked
        self.down, self.up = Counter[int](), Counter[int]()
        self.peers = set(range(count))
        self.unchoked: set[int] = set()

    def traffic(self) -> dict[int, PeerTraffic]:
        return {
            peer: PeerTraffic(self.down[peer], self.up[peer], peer in self.interested, peer in self.snubs)
            for peer in sorted(self.peers)
        }

    def look(self, seeding: bool = False) -> set[int]:
        self.unchoked = self.choker.round(self.now, self.traffic(), seeding)
        return self.unchoked

    def run(self, rounds: int, seeding: bool = False) -> list[set[int]]:
        """The sets of unchoked peers after each of ``rounds`` rounds."""
        sets = []
        for _ in range(rounds):
            sets.append(self.look(seeding))
            self.now += ROUND_SECONDS
            for peer in self.peers:
                self.down[peer] += int(self.gives[peer] * ROUND_SECONDS)
                if peer in self.unchoked:
                    self.up[peer] += int(self.takes[peer] * ROUND_SECONDS)
        return sets


def test_only_interested_peers_are_unchoked() -> None:
    swarm = Swarm(20)
    swarm.interested = {3, 4}
    assert swarm.look() == {3, 4}
    swarm.interested = set()
    swarm.now += 1
    assert swarm.look() == set()
    swarm.interested = {7}
    assert swarm.look() == {7}, "a peer that becomes interested gets a free slot at once"


def test_the_best_four_are_unchoked_and_one_at_random() -> None:
    swarm = Swarm(20)
    swarm.gives.update({peer: 1000 * peer for peer in range(20)})
    sets = swarm.run(30)
    for unchoked in sets[2:]:
        assert {19, 18, 17, 16} <= unchoked and len(unchoked) == MIN_SLOTS + 1
    assert len(set().union(*sets[2:])) > 10, "the optimistic slot goes round"


def test_an_optimistic_unchoke_lasts_thirty_seconds() -> None:
    swarm = Swarm(20)
    swarm.gives.update({peer: 1000 for peer in range(4)})
    swarm.run(8)
    chosen = []
    for unchoked in swarm.run(30):
        (one,) = unchoked - {0, 1, 2, 3}
        chosen.append(one)
    changes = [index for index in range(1, len(chosen)) if chosen[index] != chosen[index - 1]]
    assert all(
        b - a == OPTIMISTIC_SECONDS / ROUND_SECONDS for a, b in zip(changes, changes[1:], strict=False)
    )
    assert len(changes) >= 9


def test_new_peers_are_three_times_as_likely() -> None:
    old = new = 0
    for seed in range(2000):
        swarm = Swarm(8, seed)
        swarm.interested = {0, 1, 2, 3}
        swarm.gives.update({peer: 1000 for peer in range(4)})
        swarm.run(int(NEW_PEER_SECONDS / ROUND_SECONDS) + 1)
        swarm.peers |= {8, 9, 10, 11}
        swarm.interested = set(range(12))
        (one,) = swarm.look() - {0, 1, 2, 3}
        old, new = old + (one in range(4, 8)), new + (one in range(8, 12))
    assert 2.5 < new / old < 3.5


def test_a_peer_that_pays_back_an_optimistic_unchoke_earns_a_slot() -> None:
    swarm = Swarm(12)
    swarm.gives.update({peer: 1000 for peer in range(4)})
    swarm.run(6)
    (lucky,) = swarm.unchoked - {0, 1, 2, 3}
    swarm.gives[lucky] = 5000
    swarm.run(2)
    assert lucky in swarm.unchoked - swarm.choker.optimistic
    assert len(swarm.choker.optimistic) == 1


def test_slots_that_no_peer_earns_are_optimistic() -> None:
    """Snubbed by three of its four peers, a leecher tries others with their slots."""
    swarm = Swarm(20)
    swarm.gives.update({peer: 1000 for peer in range(4)})
    swarm.run(5)
    assert len(swarm.choker.optimistic) == 1
    for peer in (0, 1, 2):
        swarm.gives[peer] = 0
    swarm.run(2)
    assert len(swarm.choker.optimistic) == 4 and 3 in swarm.unchoked


def test_a_peer_that_snubs_us_comes_last() -> None:
    swarm = Swarm(8)
    swarm.snubs = {0, 1}
    swarm.gives.update({0: 9000, 2: 1000})
    for unchoked in swarm.run(50):
        assert not unchoked & swarm.snubs
    swarm.interested = {0}
    assert swarm.look() == {0}, "but it is served if no other peer wants anything"


def test_a_free_rider_gets_less_than_a_peer_that_sends() -> None:
    swarm = Swarm(24)
    swarm.gives.update({peer: 1000 for peer in range(8)})  # two sets of senders for the four slots
    times = Counter(peer for unchoked in swarm.run(300) for peer in unchoked)
    senders = sum(times[peer] for peer in range(8)) / 8
    riders = sum(times[peer] for peer in range(8, 24)) / 16
    assert senders > 5 * riders > 0


def test_a_seed_serves_all_peers_in_turn() -> None:
    swarm = Swarm(20)
    swarm.takes.update({peer: 1000 + peer for peer in range(20)})
    cycle = 20 * int(TURN_SECONDS / ROUND_SECONDS) // MIN_SLOTS  # rounds
    sets = swarm.run(12 * cycle, seeding=True)
    assert all(len(unchoked) == MIN_SLOTS + 1 for unchoked in sets)
    for first in range(0, 10 * cycle, 10):
        assert set().union(*sets[first : first + 2 * cycle]) == set(range(20))


def test_a_seed_prefers_the_peers_that_take_most_while_their_turn_lasts() -> None:
    swarm = Swarm(6)
    swarm.takes.update({peer: 1000 for peer in range(6)})
    swarm.takes[5] = 9000
    swarm.run(1, seeding=True)
    while 5 not in swarm.unchoked or 5 not in swarm.choker.optimistic:
        swarm.run(1, seeding=True)
    swarm.run(2, seeding=True)
    assert 5 in swarm.unchoked - swarm.choker.optimistic


def test_a_peer_that_takes_nothing_leaves_its_slot_to_those_that_wait() -> None:
    swarm = Swarm(12)
    swarm.takes.update({peer: 1000 for peer in range(6, 12)})
    sets = swarm.run(40, seeding=True)
    idle = sum(len(unchoked & set(range(6))) for unchoked in sets[3:])
    assert idle < sum(map(len, sets[3:])) / 2


def test_between_rounds_no_peer_loses_its_slot() -> None:
    swarm = Swarm(20)
    swarm.gives.update({peer: 1000 * peer for peer in range(20)})
    swarm.run(3)
    swarm.now += -ROUND_SECONDS + 1
    before = set(swarm.unchoked)
    swarm.peers.add(20)
    swarm.interested.add(20)
    assert swarm.look() == before
    gone = min(before)
    swarm.peers.discard(gone)
    assert before - {gone} < swarm.look() and len(swarm.unchoked) == len(before)


@pytest.mark.parametrize(
    ("limit", "slots"),
    [(None, 4), (16_000, 4), (1_000_000, 4), (4_000_000, 7), (25_000_000, 19), (10**9, 50)],
)
def test_the_slots_grow_with_the_upload_limit(limit: int | None, slots: int) -> None:
    swarm = Swarm(100, limit=limit)
    assert len(swarm.look()) == slots + 1


def test_without_a_limit_the_slots_grow_with_the_rate() -> None:
    swarm = Swarm(100)
    swarm.takes.update({peer: 2_000_000 for peer in range(100)})
    counts = [len(unchoked) - 1 for unchoked in swarm.run(20, seeding=True)]
    assert counts[0] == MIN_SLOTS and counts == sorted(counts) and 25 < counts[-1] <= 33
    swarm.takes.clear()
    assert len(swarm.run(3, seeding=True)[-1]) == MIN_SLOTS + 1


def test_more_slots_open_while_slow_peers_leave_the_limit_unused() -> None:
    swarm = Swarm(100, limit=1_000_000)
    swarm.takes.update({peer: 20_000 for peer in range(100)})
    counts = [len(unchoked) for unchoked in swarm.run(80, seeding=True)]
    assert 43 <= counts[-1] <= 48, "as many as use nine tenths of it"
    assert max(counts) <= MAX_SLOTS + 1


def test_a_peer_snubs_after_a_minute_without_a_block() -> None:
    timer = SnubTimer()
    assert not timer.snubs(1e9), "nothing is due"
    timer.on_requested(0.0)
    timer.on_requested(50.0)
    assert not timer.snubs(SNUB_SECONDS - 1) and timer.snubs(SNUB_SECONDS)
    timer.on_block(70.0, outstanding=2)
    assert not timer.snubs(70.0 + SNUB_SECONDS - 1) and timer.snubs(70.0 + SNUB_SECONDS)
    timer.on_block(140.0, outstanding=0)
    assert not timer.snubs(1e9)
    timer.on_requested(150.0)
    timer.on_choked()
    assert not timer.snubs(1e9)


@settings(max_examples=80)
@given(st.integers(0, 2**32), st.integers(0, 60), st.integers(1, 60), st.booleans())
def test_every_set_keeps_the_rules(seed: int, count: int, steps: int, seeding: bool) -> None:
    chance = random.Random(seed)
    swarm = Swarm(count, seed, chance.choice([None, 50_000, 5_000_000]))
    for _ in range(steps):
        number = chance.randrange(count + 5)
        for members in (swarm.peers, swarm.interested, swarm.snubs):
            if chance.random() < 0.5:
                members.symmetric_difference_update({number})
        swarm.gives[number] = chance.choice([0, 0, 1000, 50_000])
        swarm.takes[number] = chance.choice([0, 1000, 50_000])
        if chance.random() < 0.5:
            swarm.now += chance.random()
            swarm.look(seeding)
        else:
            swarm.run(1, seeding)
            swarm.look(seeding)
        may = swarm.peers & swarm.interested
        assert swarm.unchoked <= may
        assert len(swarm.unchoked) == min(len(may), swarm.choker.slots + 1), "no slot is left empty"
        assert swarm.choker.optimistic <= swarm.unchoked
