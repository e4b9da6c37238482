"""Swarms: the owners of a file against a list that is sorted each time; and the largest swarms."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from common.messages import OwnedFile
from tracker import owners as owners_module
from tracker import swarms as module
from tracker.model import FilesOwned, Found, NodeRecord
from tracker.owners import Ownership, RankedOwners, RegisteredNode
from tracker.ranking import order_number
from tracker.swarms import Swarm, Swarms

FILE = OwnedFile("f")
PART = OwnedFile("f", complete=False)


def a_node(node_id: int, merit: float = 0.0) -> RegisteredNode:
    return RegisteredNode(NodeRecord(node_id, ("127.0.0.1", 4001)), 0.0, order_number(-merit, node_id))


def owned(node_id: int, merit: float = 0.0, file: OwnedFile = FILE) -> Ownership:
    return Ownership(a_node(node_id, merit), file)


class AgainstASortedList(RuleBasedStateMachine):
    """Whatever comes, goes and rises: the best are those of a list that is sorted."""

    @initialize(long=st.integers(2, 12))
    def begin(self, long: int) -> None:
        owners_module.LONG = long
        self.owners = RankedOwners()
        self.present: list[Ownership] = []
        self.count = 0

    def teardown(self) -> None:
        owners_module.LONG = 256

    @rule(merits=st.lists(st.integers(0, 5), min_size=1, max_size=12))
    def come(self, merits: list[int]) -> None:
        for merit in merits:
            self.count += 1
            entry = owned(self.count, merit)
            self.owners.add(entry)
            self.present.append(entry)

    @precondition(lambda self: self.present)
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        self.owners.remove(self.present.pop(data.draw(st.integers(0, len(self.present) - 1))))

    @precondition(lambda self: self.present)
    @rule(data=st.data(), merit=st.integers(0, 9))
    def rise(self, data: st.DataObject, merit: int) -> None:
        entry = data.draw(st.sampled_from(self.present))
        detached = self.owners.detach(entry)
        entry.node.order = order_number(-merit, entry.node.record.node_id)
        if detached:
            self.owners.add(entry)

    @rule(limit=st.integers(0, 20))
    def ask(self, limit: int) -> None:
        best = self.owners.best(limit)
        assert [entry.node.order for entry in best] == sorted(entry.node.order for entry in self.present)[
            :limit
        ]

    @rule(limit=st.integers(0, 20), seed=st.integers(0, 99))
    def draw(self, limit: int, seed: int) -> None:
        drawn = self.owners.draw(limit, random.Random(seed))
        assert len(drawn) == min(limit, len(self.present)) == len(set(map(id, drawn)))
        assert {id(entry) for entry in drawn} <= {id(entry) for entry in self.present}

    @invariant()
    def the_same_owners(self) -> None:
        assert len(self.owners) == len(self.present)
        assert {id(entry) for entry in self.owners} == {id(entry) for entry in self.present}


AgainstASortedList.TestCase.settings = settings(stateful_step_count=40)
TestAgainstASortedList = AgainstASortedList.TestCase


def test_to_draw_gives_each_the_same_chance() -> None:
    owners = RankedOwners([owned(n) for n in range(1500)])
    rng, counts = random.Random(5), Counter[int]()
    for _ in range(300):
        counts.update(entry.node.record.node_id for entry in owners.draw(50, rng))
    assert sum(counts.values()) == 300 * 50
    assert max(counts.values()) < 40 and len(counts) > 1500 * 0.99  # 10 each on average


@pytest.mark.parametrize("drawn", [False, True])
def test_owners_of_a_part_stand_behind_owners_of_the_whole_in_random_order(drawn: bool) -> None:
    swarm = Swarm()
    swarm.extend([owned(n, 9.0, PART) for n in range(10)])
    swarm.extend([owned(n) for n in (20, 21)])
    rng = random.Random(1)
    orders = [[entry.node.record.node_id for entry in swarm.choose(6, drawn, rng)] for _ in range(20)]
    assert all(set(order[:2]) == {20, 21} and len(order) == 6 for order in orders)
    assert len({tuple(order[2:]) for order in orders}) > 10
    assert set().union(*orders) == {*range(10), 20, 21}
    assert {entry.node.record.node_id for entry in swarm.choose(2, drawn, rng)} == {20, 21}


def make() -> Swarms:
    return Swarms(drawn=False, rng=random.Random(1))


def own(swarms: Swarms, node: RegisteredNode, *names: str) -> None:
    swarms.add(node, FilesOwned(node.record.node_id, tuple(OwnedFile(name) for name in names)))


def test_many_owners_of_one_file_stay_in_order_whatever_they_do() -> None:
    rng, swarms = random.Random(3), make()
    nodes = {node_id: a_node(node_id) for node_id in range(3000)}
    for node in nodes.values():
        own(swarms, node, "f")

    def asked() -> Found:
        return swarms.search("f", None, 50)

    for step in range(3000):
        node = rng.choice(list(nodes.values())) if step % 10 else min(nodes.values(), key=lambda n: n.order)
        if step % 25:
            node.record = node.record._replace(uploads=node.record.uploads + 1)
            swarms.rank(node, order_number(-node.record.uploads, node.record.node_id))
            swarms.drop_answers(node)
        else:
            swarms.forget(node)
            del nodes[node.record.node_id]
        if step % 3 == 0:
            asked()  # a cached answer must not outlive its facts
    found = asked()
    uploads = sorted((node.record.uploads for node in nodes.values()), reverse=True)
    assert [owner.uploads for owner in found.owners] == uploads[:50]
    assert all(nodes[owner.node_id].record.uploads == owner.uploads for owner in found.owners)
    assert found.total == len(nodes)


def test_the_answers_of_a_few_swarms_are_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CACHED", 2)
    swarms = make()
    own(swarms, a_node(1), "f", "g", "h")
    told = {name: swarms.search(name, None, 50) for name in "fgh"}
    assert swarms.search("h", None, 50) is told["h"]
    assert swarms.search("g", None, 50) is told["g"]
    assert swarms.search("f", None, 50) is not told["f"]
    assert swarms.search("f", None, 50) == told["f"]


def test_files_come_with_the_most_owners_first_and_single_ones_last() -> None:
    swarms = make()
    for node_id in range(1, 6):
        own(swarms, a_node(node_id), *[f"f{number}" for number in range(node_id)])
    views = [(view.filename, view.whole) for view in swarms.largest(9)]
    assert views == [("f0", 5), ("f1", 4), ("f2", 3), ("f3", 2), ("f4", 1)]
    assert [view.filename for view in swarms.largest(2)] == ["f0", "f1"]
    assert swarms.largest(0) == []


def test_the_largest_stay_right_through_whatever_comes_and_goes() -> None:
    chance, swarms = random.Random(7), make()
    nodes: dict[int, RegisteredNode] = {}
    for _ in range(3000):
        node_id = chance.randrange(60)
        if node_id in nodes and chance.random() < 0.2:
            swarms.forget(nodes.pop(node_id))
            continue
        name = f"f{min(chance.randrange(40), chance.randrange(40))}"
        own(swarms, nodes.setdefault(node_id, a_node(node_id)), name)
    owns = [{owned.file.filename for owned in node.files.values()} for node in nodes.values()]
    counts = sorted((sum(name in names for names in owns) for name in set().union(*owns)), reverse=True)
    assert [view.whole + view.partial for view in swarms.largest(100)] == counts
    few = [view.whole for view in swarms.largest(5)]
    assert all(count * 4 >= right * 3 for count, right in zip(few, counts, strict=False)), "about right"


def test_a_name_and_a_key_share_a_list_until_either_has_a_second_partner() -> None:
    swarms, nodes = make(), [a_node(node_id) for node_id in range(4)]
    first, second = "aa" * 20, "bb" * 20

    def add(node: RegisteredNode, name: str, info_hash: str) -> None:
        swarms.add(node, FilesOwned(node.record.node_id, (OwnedFile(name, info_hash),)))

    def found(name: str | None, info_hash: str | None = None) -> set[tuple[int, str | None]]:
        owners = swarms.search(name, info_hash, 50).owners
        return {(owner.node_id, owner.info_hash) for owner in owners}

    add(nodes[0], "f", first)
    add(nodes[1], "f", first)
    assert swarms.by_key[first] is swarms.by_name["f"]
    add(nodes[0], "f", second)  # a second key of the name
    assert found("f") == {(0, first), (1, first), (0, second)}
    assert found(None, first) == {(0, first), (1, first)} and found(None, second) == {(0, second)}
    add(nodes[2], "g", second)  # a second name of the key
    assert found("g") == {(2, second)} and found(None, second) == {(0, second), (2, second)}
    add(nodes[3], "h", "cc" * 20)
    add(nodes[3], "h2", "cc" * 20)  # one owner renames a file
    assert (found("h"), found("h2")) == (set(), {(3, "cc" * 20)})
    for node in nodes:
        swarms.forget(node)
    assert (swarms.by_key, swarms.by_name, swarms.owned) == ({}, {}, 0)
