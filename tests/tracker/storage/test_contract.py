"""What every storage owes the tracker, tried on each kind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.messages import OwnedFile
from tracker.registry import file_key
from tracker.storage.former import Change, DropNode, NodeRecord, Records, RecordStorage, SaveNode, SaveOwner
from tracker.storage.json_files import JsonFiles
from tracker.storage.memory import MemoryStorage

PATIENCE = 20.0  # seconds
HASH = "ab" * 20
Reopen = Callable[[], tuple[RecordStorage, Records]]


@pytest.fixture(params=["memory", "json_files"])
def make_place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Reopen]:
    """Makes places; a place opens its storage, after closing the one opened before."""
    count = iter(range(10**6))

    def make() -> Reopen:
        memory, folder = MemoryStorage(), tmp_path / str(next(count))
        opened: list[RecordStorage] = []

        def reopen() -> tuple[RecordStorage, Records]:
            for storage in opened:
                storage.close()
            opened.append(memory if request.param == "memory" else JsonFiles(folder, 0.01))
            return opened[-1], opened[-1].load()

        return reopen

    return make


@pytest.fixture
def place(make_place: Callable[[], Reopen]) -> Iterator[Reopen]:
    reopen = make_place()
    yield reopen
    reopen()[0].close()


def node(node_id: int, uploads: int = 0) -> NodeRecord:
    return NodeRecord(node_id, ("127.0.0.1", 4000 + node_id), uploads, float(uploads))


def contents(records: Records) -> tuple[dict[int, NodeRecord], set[tuple[int, OwnedFile]]]:
    return {record.node_id: record for record in records.nodes}, set(records.owned)


def test_a_new_place_is_empty(place: Reopen) -> None:
    assert place()[1] == Records()


def test_what_was_waited_for_is_there_again(place: Reopen) -> None:
    storage, _ = place()
    owned = (OwnedFile("ein Name.mp4", HASH, 9, False), OwnedFile('quotes " \\ and é 漢 🎈'))
    assert storage.wait(storage.record([SaveNode(node(1, 3)), SaveOwner(1, owned)]), PATIENCE)
    assert contents(place()[1]) == ({1: node(1, 3)}, {(1, file) for file in owned})


def test_what_nobody_waited_for_is_kept_by_close(place: Reopen) -> None:
    storage, _ = place()
    storage.record([SaveNode(node(1)), SaveNode(node(2))], urgent=False)
    storage.record([DropNode(1)], urgent=False)
    assert contents(place()[1]) == ({2: node(2)}, set())


def test_a_dropped_node_takes_its_ownerships_with_it(place: Reopen) -> None:
    storage, _ = place()
    storage.record([SaveNode(node(1)), SaveNode(node(2))])
    storage.record([SaveOwner(1, (OwnedFile("f"), OwnedFile("g", HASH))), SaveOwner(2, (OwnedFile("f"),))])
    assert storage.wait(storage.record([DropNode(1), DropNode(7)]), PATIENCE)
    assert contents(place()[1]) == ({2: node(2)}, {(2, OwnedFile("f"))})


def test_a_file_announced_again_replaces_what_was_said_of_it(place: Reopen) -> None:
    storage, _ = place()
    storage.record([SaveNode(node(1)), SaveOwner(1, (OwnedFile("old", HASH, 9, False),))])
    new = OwnedFile("new", HASH, 9, True)
    assert storage.wait(storage.record([SaveOwner(1, (new,))]), PATIENCE)
    assert contents(place()[1]) == ({1: node(1)}, {(1, new)})


def test_records_outlive_a_second_restart_without_changes(place: Reopen) -> None:
    storage, _ = place()
    storage.record([SaveNode(node(1)), SaveOwner(1, (OwnedFile("f"),))])
    place()
    assert contents(place()[1]) == ({1: node(1)}, {(1, OwnedFile("f"))})


def test_threads_that_wait_all_find_their_records(place: Reopen) -> None:
    storage, _ = place()
    kept = []

    def save(start: int) -> None:
        for node_id in range(start, start + 10):
            kept.append(storage.wait(storage.record([SaveNode(node(node_id))]), PATIENCE))

    threads = [threading.Thread(target=save, args=(10 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept == [True] * 80
    assert contents(place()[1])[0] == {n: node(n) for n in range(80)}


def test_to_close_twice_is_harmless(place: Reopen) -> None:
    storage, _ = place()
    storage.close()
    storage.close()


few_files = st.builds(
    OwnedFile, st.sampled_from("fgé"), st.sampled_from([None, HASH]), st.sampled_from([None, 5])
)
changes = st.one_of(
    st.builds(SaveNode, st.builds(node, st.integers(0, 3), st.integers(0, 9))),
    st.builds(SaveOwner, st.integers(0, 3), st.lists(few_files, min_size=1, max_size=3).map(tuple)),
    st.builds(DropNode, st.integers(0, 3)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happened=st.lists(changes, max_size=20))
def test_any_history_is_read_back_as_it_ended(
    make_place: Callable[[], Reopen], happened: list[Change]
) -> None:
    nodes: dict[int, NodeRecord] = {}
    owned: dict[tuple[int, tuple[str, str]], OwnedFile] = {}
    place = make_place()
    storage, _ = place()
    for change in happened:
        if isinstance(change, SaveNode):
            nodes[change.node.node_id] = change.node
        elif isinstance(change, DropNode):
            nodes.pop(change.node_id, None)
            owned = {key: file for key, file in owned.items() if key[0] != change.node_id}
        elif change.node_id in nodes:  # the tracker records a node before what it owns
            for file in change.files:
                owned[change.node_id, file_key(file.filename, file.info_hash)] = file
        else:
            continue
        storage.record([change])
    storage, records = place()
    storage.close()
    assert contents(records) == (nodes, {(node_id, file) for (node_id, _), file in owned.items()})
