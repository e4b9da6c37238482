"""A folder of the version before SQLite: ``journal_folder`` was written by that version, then killed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.tracker.storage.notebook import State, state_in
from tracker.model import Rules
from tracker.storage.admin import main
from tracker.storage.group_commit import GroupCommit
from tracker.storage.memory import MemoryStorage

OLD = Path(__file__).with_name("journal_folder")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD, tmp_path / "db", ignore=shutil.ignore_patterns("expected.json")))


def started(folder: Path) -> tuple[State, list[str]]:
    storage = MemoryStorage(Rules(), GroupCommit(folder, 3600.0))
    warnings = list(storage.open())
    storage.close()
    return state_in(storage), warnings


def check(state: State) -> None:
    expected = json.loads((OLD / "expected.json").read_text(encoding="utf-8"))
    nodes, owned, totals = state
    found = {
        str(node.node_id): [
            list(node.addr), node.secret, node.uploads, node.receipts, node.credit, node.last_receipt,
            [list(total[1:]) for total in totals.values() if total.owner == node.node_id],
        ]
        for node in nodes.values()
    }  # fmt: skip
    assert found == expected["nodes"]
    assert all(node.reporters == len(found[str(node.node_id)][6]) for node in nodes.values())
    files = [[node_id, f.filename, f.info_hash, f.size, f.complete] for (node_id, _), f in owned.items()]
    assert sorted(files, key=repr) == sorted(expected["owned"], key=repr)


def test_it_is_taken_over_with_all_that_was_answered(folder: Path) -> None:
    state, warnings = started(folder)
    check(state)
    assert len(warnings) == 2
    assert "journal-4.log: 1 lines are not as they were written" in warnings[0]  # which the kill cut off
    assert "kept in journal.old" in warnings[1]


def test_it_is_taken_over_once(folder: Path) -> None:
    started(folder)
    state, warnings = started(folder)
    check(state)
    assert warnings == []
    kept = {path.name for path in (folder / "journal.old").iterdir()}
    assert kept == {"journal-3.log", "journal-4.log", "snapshot.json", "previous"}


def test_the_files_before_the_last_snapshot_lead_to_the_same_state(folder: Path) -> None:
    for name in ("nodes.json", "files.json"):
        (folder / "previous" / name).replace(folder / name)
    check(started(folder)[0])


def test_check_takes_it_over_as_well(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"], folder) == 0
    assert capsys.readouterr().out.endswith("4 nodes and 6 ownerships of 5 file names\nsound\n")
    check(started(folder)[0])
