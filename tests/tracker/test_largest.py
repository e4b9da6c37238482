"""Which files have the most owners: known at once, whatever came and went."""

from __future__ import annotations

import random

from common.messages import OwnedFile
from tracker.model import Caller, Rules
from tracker.registry import Registry

NEVER = Rules(silence=1e9)


def announce(registry: Registry, node_id: int, *names: str) -> None:
    caller = Caller(node_id, ("127.0.0.1", 1 + node_id))
    registry.add_file_owner(caller, [OwnedFile(name) for name in names], 0.0)


def test_files_come_with_the_most_owners_first_and_single_ones_last() -> None:
    registry = Registry(NEVER)
    for node_id in range(1, 6):
        announce(registry, node_id, *[f"f{number}" for number in range(node_id)])
    assert [(view.filename, view.whole) for view in registry.swarms(9)] == [
        ("f0", 5),
        ("f1", 4),
        ("f2", 3),
        ("f3", 2),
        ("f4", 1),
    ]
    assert [view.filename for view in registry.swarms(2)] == ["f0", "f1"]
    assert registry.swarms(0) == []


def test_it_stays_right_through_whatever_comes_and_goes() -> None:
    chance = random.Random(7)
    registry = Registry(NEVER)
    owns: dict[int, set[str]] = {}
    for _ in range(3000):
        node_id = chance.randrange(60)
        if node_id in owns and chance.random() < 0.2:
            registry.remove_node(Caller(node_id, ("127.0.0.1", 1 + node_id)))
            del owns[node_id]
            continue
        name = f"f{min(chance.randrange(40), chance.randrange(40))}"
        announce(registry, node_id, name)
        owns.setdefault(node_id, set()).add(name)
    counts = sorted(sum(name in files for files in owns.values()) for name in set().union(*owns.values()))
    found = [view.whole + view.partial for view in registry.swarms(100)]
    assert found == counts[::-1]
    few = [view.whole for view in registry.swarms(5)]
    assert all(count * 4 >= right * 3 for count, right in zip(few, counts[::-1], strict=False)), "about right"
