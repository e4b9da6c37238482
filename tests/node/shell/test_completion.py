"""TAB."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from node.commands import Send, parse_command
from node.shell.completion import CommandCompleter, quoted, typed


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    here = tmp_path / "here"
    node = tmp_path / "node"
    for name in (
        "here/alpha.bin",
        "here/my file.txt",
        "here/sub dir/inner.bin",
        "node/alps.iso",
        "node/x.torrent",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (node / "y.part").touch()
    (node / ".history").touch()
    monkeypatch.chdir(here)
    return node


def completed(folder: Path, line: str) -> list[str]:
    """Whole lines that TAB offers."""
    found = CommandCompleter(folder).get_completions(Document(line), CompleteEvent())
    return [line[: len(line) + completion.start_position] + completion.text for completion in found]


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        ("tor", ["torrent "]),
        ("TOR", ["torrent "]),
        ("x", []),
        ("torrent -s", ["torrent -setMode ", "torrent -status "]),
        ("torrent -setMode ", [f"torrent -setMode {m} " for m in ("send", "download", "exit")]),
        ("torrent -setmode d", ["torrent -setmode download "]),
        ("Torrent --set-mode e", ["Torrent --set-mode exit "]),
        ("torrent -setMode send al", ["torrent -setMode send alpha.bin ", "torrent -setMode send alps.iso "]),
        ("torrent -setMode send my", ['torrent -setMode send "my file.txt" ']),
        ('torrent -setMode send "my f', ['torrent -setMode send "my file.txt" ']),
        ("torrent -setMode send 'my f", ["torrent -setMode send 'my file.txt' "]),
        ("torrent -setMode send my\\ f", ['torrent -setMode send "my file.txt" ']),
        ("torrent -setMode send su", ['torrent -setMode send "sub dir/']),
        ('torrent -setMode send "sub dir/', ['torrent -setMode send "sub dir/inner.bin" ']),
        (
            "torrent -setMode download ",
            ["torrent -setMode download x.torrent ", 'torrent -setMode download "sub dir/'],
        ),
        ("torrent -setMode send nothing/", []),
        ("torrent -setMode send a b", []),
        ("torrent -status ", []),
    ],
)
def test_completion(folder: Path, line: str, lines: list[str]) -> None:
    assert completed(folder, line) == lines


def test_unfinished_torrents_and_hidden_files_are_not_offered_for_sending(folder: Path) -> None:
    offered = completed(folder, "torrent -setMode send ")
    assert not [line for line in offered if ".torrent" in line or ".part" in line or ".history" in line]


def test_absolute_paths(folder: Path) -> None:
    line = f"torrent -setMode send {folder.as_posix()}/alp"
    assert completed(folder, line) == [f"torrent -setMode send {folder.as_posix()}/alps.iso "]


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30),
    st.sampled_from(["", "'", '"']),
)
def test_a_completed_name_is_read_back_as_it_is(name: str, quote: str) -> None:
    line = "torrent -setMode send " + quoted(name, quote, windows=False)
    assert parse_command(line, backslash_escapes=True) == Send(name)


@given(st.text(max_size=40), st.booleans())
def test_any_beginning_can_be_taken_apart(text: str, backslash_escapes: bool) -> None:
    line = typed(text, backslash_escapes)
    assert 0 <= line.raw_length <= len(text)
