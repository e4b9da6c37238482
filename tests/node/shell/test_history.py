"""Commands typed before."""

from __future__ import annotations

from pathlib import Path

from node.shell.history import LIMIT, CommandHistory


def loaded(path: Path) -> list[str]:
    return list(CommandHistory(path).load_history_strings())


def test_commands_survive_a_restart_newest_first(tmp_path: Path) -> None:
    path = tmp_path / ".history"
    history = CommandHistory(path)
    history.store_string("first")
    history.store_string("zweite Zeile äöü")
    assert loaded(path) == ["zweite Zeile äöü", "first"]


def test_it_stays_small(tmp_path: Path) -> None:
    path = tmp_path / ".history"
    history = CommandHistory(path)
    for count in range(2 * LIMIT + 5):
        history.store_string(str(count))
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 2 * LIMIT
    assert loaded(path)[0] == str(2 * LIMIT + 4)
    assert len(loaded(path)) == LIMIT


def test_what_cannot_be_read_or_written_is_no_history(tmp_path: Path) -> None:
    missing = tmp_path / "no such folder" / ".history"
    CommandHistory(missing).store_string("x")
    assert loaded(missing) == []
    assert loaded(tmp_path) == []  # a folder
    CommandHistory(tmp_path).store_string("x")


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / ".history"
    path.write_bytes(b"\xff\xfe\nhelp\n")
    assert loaded(path)[0] == "help"
