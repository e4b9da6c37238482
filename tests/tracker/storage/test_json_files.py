"""nodes.json and files.json: written for people, read where there is no database."""

from __future__ import annotations

import json
import random
import threading
import time
from pathlib import Path

import pytest

from common.messages import OwnedFile
from tests.tracker.storage.notebook import state_in, state_of
from tests.tracker.storage.requests import StorageTracker
from tracker.model import Caller, Receipt, Rules
from tracker.storage import json_files
from tracker.storage.group_commit import GroupCommit
from tracker.storage.memory import MemoryStorage

A, B = ("127.0.0.1", 4001), ("::1", 4002)
HASH = "ab" * 20
S = "5e" * 32


@pytest.fixture
def storage() -> MemoryStorage:
    """Two nodes with files, an unverified upload, and a receipt."""
    made = MemoryStorage(Rules(), clock=lambda: 1000.0, rng=random.Random(1))
    tracker = StorageTracker(made)
    tracker.own(
        Caller(1, A), [OwnedFile("f", HASH, 9), OwnedFile('quotes " \\ and é 漢 🎈', None, None, False)]
    )
    tracker.register(Caller(2, B, S, home="2001:db8::/64"), S)
    tracker.own(Caller(2, B, S), [OwnedFile("f", HASH, 9)])
    tracker.update(Caller(1, A), Receipt("f"))
    tracker.update(Caller(2, B, S), Receipt("f", 1, HASH, 4, number=3))
    return made


def test_people_can_read_them_an_entry_a_line(storage: MemoryStorage, tmp_path: Path) -> None:
    json_files.export(storage, tmp_path)
    nodes = (tmp_path / "nodes.json").read_text(encoding="utf-8")
    assert nodes.splitlines()[1].startswith('"1": {"addr": ["127.0.0.1", 4001], "uploads": 2, "rate": 1.0')
    assert json.loads(nodes)["2"] == {
        "addr": ["::1", 4002], "uploads": 0, "rate": 0.0,
        "secret": S, "home": "2001:db8::/64", "last_receipt": 3,
    }  # fmt: skip
    files = json.loads((tmp_path / "files.json").read_text(encoding="utf-8"))
    assert files["f"] == [
        {"node_id": 1, "info_hash": HASH, "size": 9, "complete": True},
        {"node_id": 2, "info_hash": HASH, "size": 9, "complete": True},
    ]
    assert list(files) == ["f", 'quotes " \\ and é 漢 🎈']


def test_what_is_written_is_read_back(storage: MemoryStorage, tmp_path: Path) -> None:
    json_files.export(storage, tmp_path)
    records = json_files.read_folder(tmp_path, now=1000.0)
    assert state_of(records) == state_in(storage) and not records.warnings


def test_a_folder_without_a_database_begins_with_them(storage: MemoryStorage, tmp_path: Path) -> None:
    json_files.export(storage, tmp_path)
    for _ in range(2):  # the second time, the database has them
        again = MemoryStorage(Rules(), GroupCommit(tmp_path, 3600.0))
        assert list(again.open()) == []
        again.close()
        nodes, owned, totals = state_in(again)
        assert (owned, totals) == state_in(storage)[1:]
        assert [(node.node_id, node.shown, node.secret) for node in nodes.values()] == [
            (1, 2, None),
            (2, 0, S),
        ]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("nodes.json", '{"1": {"upl', "damaged"),
        ("nodes.json", "[]", "damaged"),
        ("nodes.json", '{"1": {"addr": ["127.0.0.1", 4001]}, "x": {"addr": ["127.0.0.1", 4001]}}', "'x'"),
        ("nodes.json", '{"1": {"addr": ["127.0.0.1", 0]}}', "'1'"),
        ("nodes.json", '{"1": {"addr": ["0.0.0.0", 4001]}}', "'1'"),
        ("nodes.json", '{"1": {"addr": ["127.0.0.1", 4001], "rate": -1}}', "'1'"),
        ("nodes.json", '{"1": {"addr": ["127.0.0.1", 4001], "secret": "x"}}', "'1'"),
        ("nodes.json", '{"4294967296": {"addr": ["127.0.0.1", 4001]}}', "'4294967296'"),
        ("files.json", '{"f": {}}', "'f'"),
        ("files.json", '{"f": [{"node_id": true}]}', "'f'"),
        ("files.json", '{"f": [{"node_id": 1, "size": -1}]}', "'f'"),
        ("files.json", '{"\\u0007": [{"node_id": 1}]}', "damaged"),
    ],
)
def test_damage_is_named_and_the_rest_is_used(tmp_path: Path, name: str, text: str, why: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    (warning,) = json_files.read_folder(tmp_path, 0.0).warnings
    assert why in warning and f"{name}.corrupt-1" in warning and "\n" not in warning
    assert (tmp_path / f"{name}.corrupt-1").read_text(encoding="utf-8") == text


def test_owners_that_are_no_nodes_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "nodes.json").write_text('{"1": {"addr": ["127.0.0.1", 4001]}}', encoding="utf-8")
    (tmp_path / "files.json").write_text('{"f": [{"node_id": 1}, {"node_id": 2}]}', encoding="utf-8")
    records = json_files.read_folder(tmp_path, 0.0)
    assert records.owned == [(OwnedFile("f"), [1])]
    assert records.warnings == ["1 owners in files.json are not in nodes.json: left out"]


def test_they_follow_soon_and_can_be_parsed_at_any_time(tmp_path: Path) -> None:
    storage = MemoryStorage(Rules(), GroupCommit(tmp_path, 0.01, durable=False))
    storage.open()
    tracker = StorageTracker(storage)
    done = threading.Event()

    def write() -> None:
        for number in range(200):
            tracker.own(Caller(number, A), [OwnedFile(f"f{number % 7}")])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    deadline = time.monotonic() + 20
    seen = 0
    while not (done.is_set() and seen == 200):
        assert time.monotonic() < deadline
        for name in ("nodes.json", "files.json"):
            if (tmp_path / name).exists():
                entries = json.loads((tmp_path / name).read_text(encoding="utf-8"))
                seen = len(entries) if name == "nodes.json" else seen
    writer.join()
    storage.close()
