"""The rules, in virtual time: by example, and against a model of plain dictionaries that walks everything."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from common.errors import MessageError, NodeConflict, TrackerFull
from common.fields import Addr
from common.messages import OwnedFile
from tracker import registry as registry_module
from tracker.registry import Node, Registry, file_key

A, B = ("127.0.0.1", 4001), ("127.0.0.1", 4002)
HASHES = ["aa" * 20, "bb" * 20]
SILENCE = 22.0


@pytest.fixture
def registry() -> Registry:
    return Registry(SILENCE, half_life=100.0)


def owners(registry: Registry, filename: str | None = None, info_hash: str | None = None) -> list[int]:
    return sorted(owner.node_id for owner in registry.search_file(filename, info_hash))


def test_a_node_stays_as_long_as_it_is_heard(registry: Registry) -> None:
    registry.register_node(1, A, 0.0)
    registry.register_node(1, A, 20.0)
    assert registry.expire(41.9) == []
    assert [node.node_id for node in registry.expire(42.0)] == [1]
    assert registry.next_deadline() is None


def test_a_silent_node_goes_with_all_it_owned(registry: Registry) -> None:
    registry.add_file_owner(1, A, [OwnedFile("f"), OwnedFile("g", HASHES[0])], 0.0)
    registry.add_file_owner(2, B, [OwnedFile("f")], 1.0)
    registry.expire(22.5)
    assert owners(registry, "f") == [2]
    assert owners(registry, "g") == owners(registry, info_hash=HASHES[0]) == []
    assert registry.counts == (1, 1, 1)


def test_a_sweep_looks_only_at_those_that_fell_due(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for node_id in range(1000):
        registry.register_node(node_id, A, float(node_id))
    looks = []
    real = Registry.next_deadline
    monkeypatch.setattr(Registry, "next_deadline", lambda self: looks.append(1) or real(self))
    assert len(registry.expire(SILENCE + 2)) == 3
    assert len(looks) == 4


def test_a_node_id_in_use_elsewhere_is_refused_until_it_is_free(registry: Registry) -> None:
    registry.register_node(1, A, 0.0)
    for attempt in (
        registry.register_node,
        lambda *a: registry.add_file_owner(*a[:2], [OwnedFile("f")], a[2]),
    ):
        with pytest.raises(NodeConflict, match="node 1 is in use at 127.0.0.1:4001"):
            attempt(1, B, 1.0)
    assert registry.counts == (1, 0, 0)
    registry.remove_node(1)
    assert registry.register_node(1, B, 2.0)[1] is False


def test_only_its_own_address_speaks_for_a_node(registry: Registry) -> None:
    registry.register_node(1, A, 0.0)
    registry.heard(1, B, 20.0)
    registry.heard(1, None, 20.0)
    registry.heard(2, A, 20.0)
    assert registry.next_deadline() == SILENCE
    registry.heard(1, A, 20.0)
    assert registry.next_deadline() == 20.0 + SILENCE


def test_two_files_of_one_name_are_told_apart_by_info_hash(registry: Registry) -> None:
    registry.add_file_owner(1, A, [OwnedFile("f", HASHES[0])], 0.0)
    registry.add_file_owner(2, B, [OwnedFile("f", HASHES[1]), OwnedFile("f")], 0.0)
    assert owners(registry, "f", HASHES[0]) == [1]
    assert owners(registry, "another name", HASHES[1]) == [2]
    assert owners(registry, "f") == [1, 2, 2]


def test_to_own_again_is_no_news_but_to_complete_is(registry: Registry) -> None:
    part, whole = OwnedFile("f", HASHES[0], 9, False), OwnedFile("f", HASHES[0], 9, True)
    assert registry.add_file_owner(1, A, [part], 0.0)[2] == [part]
    assert registry.add_file_owner(1, A, [part], 1.0)[2] == []
    assert registry.add_file_owner(1, A, [whole], 2.0)[2] == [whole]
    assert [owner.file for owner in registry.search_file("f", None)] == [whole]
    assert registry.counts == (1, 1, 1)


def test_uploads_count_and_their_score_decays(registry: Registry) -> None:
    registry.register_node(1, A, 0.0)
    registry.update_db(1, 0.0)
    node = registry.update_db(1, 100.0)
    assert (node.uploads, node.score) == (2, pytest.approx(1.5))
    with pytest.raises(MessageError) as caught:
        registry.update_db(9, 0.0, "owner")
    assert caught.value.field == "owner"


def test_limits_refuse_the_new_and_keep_the_old(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "MAX_NODES", 1)
    monkeypatch.setattr(registry_module, "MAX_OWNERSHIPS", 2)
    registry.add_file_owner(1, A, [OwnedFile("f")], 0.0)
    with pytest.raises(TrackerFull):
        registry.register_node(2, B, 0.0)
    with pytest.raises(TrackerFull):
        registry.add_file_owner(1, A, [OwnedFile("g"), OwnedFile("h")], 0.0)
    assert registry.counts == (1, 1, 1)
    assert registry.register_node(1, A, 1.0)[1] is True


def test_restored_nodes_have_one_deadline_to_be_heard_from(registry: Registry) -> None:
    registry.restore([Node(1, A, 100.0, 7), Node(2, B, 100.0, 3)], [(1, OwnedFile("f")), (2, OwnedFile("f"))])
    registry.register_node(2, B, 110.0)
    registry.expire(122.0)
    assert [(owner.node_id, owner.uploads) for owner in registry.search_file("f", None)] == [(2, 3)]


node_ids = st.integers(0, 4)
addrs = st.sampled_from([A, B])
files = st.builds(OwnedFile, st.sampled_from("fgh"), st.sampled_from([None, *HASHES]), complete=st.booleans())


class AgainstPlainDictionaries(RuleBasedStateMachine):
    """The same requests to the registry and to a model; whatever one can ask must be answered alike."""

    @initialize()
    def begin(self) -> None:
        self.registry = Registry(SILENCE, 100.0)
        self.now = 0.0
        self.addr: dict[int, Addr] = {}
        self.heard: dict[int, float] = {}
        self.uploads: dict[int, int] = {}
        self.files: dict[int, dict[tuple[str, str], OwnedFile]] = {}

    def model_in(self, node_id: int, addr: Addr) -> bool:
        if self.addr.get(node_id, addr) != addr:
            return False
        self.addr[node_id] = addr
        self.heard[node_id] = self.now
        self.uploads.setdefault(node_id, 0)
        self.files.setdefault(node_id, {})
        return True

    def model_out(self, node_id: int) -> None:
        for table in (self.addr, self.heard, self.uploads, self.files):
            table.pop(node_id, None)

    @rule(node_id=node_ids, addr=addrs)
    def register(self, node_id: int, addr: Addr) -> None:
        known = node_id in self.addr
        if self.model_in(node_id, addr):
            assert self.registry.register_node(node_id, addr, self.now)[1] is known
        else:
            with pytest.raises(NodeConflict):
                self.registry.register_node(node_id, addr, self.now)

    @rule(node_id=node_ids, addr=addrs, owned=st.lists(files, min_size=1, max_size=4))
    def own(self, node_id: int, addr: Addr, owned: list[OwnedFile]) -> None:
        if self.model_in(node_id, addr):
            self.registry.add_file_owner(node_id, addr, owned, self.now)
            self.files[node_id].update((file_key(file.filename, file.info_hash), file) for file in owned)
        else:
            with pytest.raises(NodeConflict):
                self.registry.add_file_owner(node_id, addr, owned, self.now)

    @rule(node_id=node_ids)
    def update(self, node_id: int) -> None:
        if node_id in self.uploads:
            self.uploads[node_id] += 1
            self.registry.update_db(node_id, self.now)
        else:
            with pytest.raises(MessageError):
                self.registry.update_db(node_id, self.now)

    @rule(node_id=node_ids)
    def exit(self, node_id: int) -> None:
        assert (self.registry.remove_node(node_id) is not None) is (node_id in self.addr)
        self.model_out(node_id)

    @rule(seconds=st.sampled_from([0.0, 1.0, 7.0, 21.0, 22.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        silent = {node_id for node_id, heard in self.heard.items() if self.now - heard >= SILENCE}
        assert {node.node_id for node in self.registry.expire(self.now)} == silent
        for node_id in silent:
            self.model_out(node_id)

    @precondition(lambda self: self.addr)
    @rule()
    def stand_still(self) -> None:
        self.registry.grant_deadline(self.now)
        self.heard = dict.fromkeys(self.heard, self.now)

    @invariant()
    def the_same_owners(self) -> None:
        for name in "fgh":
            found = [(c.node_id, c.addr, c.uploads, c.file) for c in self.registry.search_file(name, None)]
            assert sorted(found, key=repr) == self.model_owners(lambda file, name=name: file.filename == name)
        for info_hash in HASHES:
            found = [
                (c.node_id, c.addr, c.uploads, c.file) for c in self.registry.search_file(None, info_hash)
            ]
            assert sorted(found, key=repr) == self.model_owners(lambda file, h=info_hash: file.info_hash == h)

    def model_owners(self, matches) -> list[object]:
        owned = ((n, file) for n, table in self.files.items() for file in table.values() if matches(file))
        return sorted(((n, self.addr[n], self.uploads[n], file) for n, file in owned), key=repr)

    @invariant()
    def the_same_counts_and_deadline(self) -> None:
        tables = self.files.values()
        names = {file.filename for table in tables for file in table.values()}
        assert self.registry.counts == (len(self.addr), len(names), sum(map(len, tables)))
        due = min(self.heard.values()) + SILENCE if self.heard else None
        assert self.registry.next_deadline() == due


AgainstPlainDictionaries.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestAgainstPlainDictionaries = AgainstPlainDictionaries.TestCase
