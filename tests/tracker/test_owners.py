"""The owners of a file: against a sorted list that is made anew each time, with small blocks."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from common.messages import OwnedFile
from tracker import owners as owners_module
from tracker.nodes import Node, Owned
from tracker.owners import FileOwners, RankedOwners

FILE = OwnedFile("f")
PART = OwnedFile("f", complete=False)


def owned(node_id: int, merit: float = 0.0, file: OwnedFile = FILE) -> Owned:
    node = Node(node_id, ("127.0.0.1", 4001), 0.0)
    node.rank = (-merit, node_id)
    return Owned(node, file)


class AgainstASortedList(RuleBasedStateMachine):
    """Whatever comes, goes, rises and falls silent: the best are those of a list that is sorted."""

    @initialize(block=st.integers(2, 6))
    def begin(self, block: int) -> None:
        owners_module.BLOCK = block
        self.owners = RankedOwners()
        self.alive: list[Owned] = []
        self.count = 0

    def teardown(self) -> None:
        owners_module.BLOCK = 512

    @rule(merits=st.lists(st.integers(0, 5), min_size=1, max_size=12))
    def come(self, merits: list[int]) -> None:
        for merit in merits:
            self.count += 1
            entry = owned(self.count % 50, merit)  # now and then of equal rank
            self.owners.add(entry)
            self.alive.append(entry)

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        self.owners.remove(self.alive.pop(data.draw(st.integers(0, len(self.alive) - 1))))

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), many=st.integers(1, 10))
    def fall_silent(self, data: st.DataObject, many: int) -> None:
        for _ in range(min(many, len(self.alive))):
            self.alive.pop(data.draw(st.integers(0, len(self.alive) - 1))).node.gone = True
            self.owners.mourn()

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), merit=st.integers(0, 9))
    def rise(self, data: st.DataObject, merit: int) -> None:
        entry = data.draw(st.sampled_from(self.alive))
        lifted = self.owners.lift(entry)
        entry.node.rank = (-merit, entry.node.node_id)
        if lifted:
            self.owners.add(entry)

    @rule(limit=st.integers(0, 20))
    def ask(self, limit: int) -> None:
        best = self.owners.best(limit)
        expected = sorted(entry.node.rank for entry in self.alive)[:limit]
        assert [entry.node.rank for entry in best] == expected
        assert len(set(map(id, best))) == len(best) and not any(entry.node.gone for entry in best)

    @rule(limit=st.integers(0, 20), seed=st.integers(0, 99))
    def draw(self, limit: int, seed: int) -> None:
        drawn = self.owners.draw(limit, random.Random(seed))
        assert len(drawn) == min(limit, len(self.alive)) == len(set(map(id, drawn)))
        assert {id(entry) for entry in drawn} <= {id(entry) for entry in self.alive}

    @invariant()
    def the_same_owners(self) -> None:
        assert len(self.owners) == len(self.alive)
        there = {id(entry) for entry in self.owners if not entry.node.gone}
        assert there == {id(entry) for entry in self.alive}


AgainstASortedList.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAgainstASortedList = AgainstASortedList.TestCase


def test_to_draw_gives_each_the_same_chance() -> None:
    owners = RankedOwners()
    entries = [owned(n) for n in range(3 * owners_module.BLOCK)]
    for entry in entries:
        owners.add(entry)
    for entry in entries[::7]:
        entry.node.gone = True
        owners.mourn()
    rng, counts = random.Random(5), Counter[int]()
    for _ in range(300):
        counts.update(entry.node.node_id for entry in owners.draw(50, rng))
    assert sum(counts.values()) == 300 * 50 and not any(counts[n] for n in range(0, len(entries), 7))
    alive = [counts[n] for n in range(len(entries)) if n % 7]
    assert max(alive) < 40 and sum(1 for n in alive if n) > len(alive) * 0.99  # 11 each on average


@pytest.mark.parametrize("drawn", [False, True])
def test_who_has_a_part_stands_behind_all_who_have_the_whole_and_chance_decides_among_them(
    drawn: bool,
) -> None:
    owners = FileOwners()
    for n in range(10):
        owners.add(owned(n, 9.0, PART))
    for n in (20, 21):
        owners.add(owned(n))
    rng = random.Random(1)
    orders = [[entry.node.node_id for entry in owners.choose(6, drawn, rng)] for _ in range(20)]
    assert all(set(order[:2]) == {20, 21} and len(order) == 6 for order in orders)
    assert len({tuple(order[2:]) for order in orders}) > 10
    assert set().union(*orders) == {*range(10), 20, 21}
    assert {entry.node.node_id for entry in owners.choose(2, drawn, rng)} == {20, 21}
