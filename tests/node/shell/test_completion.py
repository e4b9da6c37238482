"""TAB."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from node.commands import Command, parse_command
from node.shell.completion import CommandCompleter, quoted


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        *("here/alpha.bin", "here/my file.txt", "here/sub dir/inner.bin", "here/it's.bin"),
        *("files/node1/alps.iso", "files/node1/x.torrent", "files/node1/y.part", "files/node1/.history"),
        *("files/node2/other one.torrent", "files/node2/film.mkv"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "files" / "node1"


def completed(folder: Path, line: str) -> list[str]:
    """Whole lines that TAB offers."""
    names = ["film.mkv", "two words"]
    found = CommandCompleter(folder, lambda: names).get_completions(Document(line), CompleteEvent())
    return [line[: len(line) + completion.start_position] + completion.text for completion in found]


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        ("tor", ["torrent "]),
        ("TOR", ["torrent "]),
        ("x", []),
        ("s", ["send ", "stop ", "select ", "status "]),
        ("torrent -s", ["torrent -setMode ", "torrent -status ", "torrent -select "]),
        ("pause fi", ["pause film.mkv "]),
        ("torrent -pieces ", ["torrent -pieces film.mkv ", 'torrent -pieces "two words" ']),
        ('pieces "tw', ['pieces "two words" ']),
        ("torrent -setMode ", [f"torrent -setMode {m} " for m in ("send", "download", "stop", "exit")]),
        ("torrent -setmode d", ["torrent -setmode download "]),
        ("Torrent --set-mode e", ["Torrent --set-mode exit "]),
        ("send al", ["send alpha.bin ", "send alps.iso "]),
        ("torrent -setMode send my", ['torrent -setMode send "my file.txt" ']),
        ('send "my f', ['send "my file.txt" ']),
        ("send 'my f", ["send 'my file.txt' "]),
        ("send my\\ f", ['send "my file.txt" ']),
        ("send it", ['send "it\'s.bin" ']),
        ("send su", ['send "sub dir/"']),
        ('send "sub dir/"', ['send "sub dir/inner.bin" ']),
        ("torrent -status ", []),
        ("status ", []),
        ("send nothing/", []),
        ("send a b", []),
        (
            "download ",
            ["download x.torrent ", 'download "../files/node2/other one.torrent" ', 'download "sub dir/"'],
        ),
        ("download x", ["download x.torrent "]),
        ("download ../files/node2/", ['download "../files/node2/other one.torrent" ']),
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


@pytest.mark.skipif(os.name == "nt", reason="HOME is not the home folder there")
def test_the_home_folder_needs_no_quotes_and_hidden_folders_want_their_dot(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    for name in ("lecture.torrent", "my docs/y.torrent", ".cache/z.torrent", ".secret.bin"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()
    monkeypatch.setenv("HOME", str(home))
    assert completed(folder, "download ~/") == ["download ~/lecture.torrent ", 'download "~/my docs/"']
    assert completed(folder, 'download "~/my docs/"') == ['download "~/my docs/y.torrent" ']
    assert completed(folder, "torrent -setMode download ~/l") == [
        "torrent -setMode download ~/lecture.torrent "
    ]
    assert completed(folder, "download ~/.") == ["download ~/.cache/"]
    assert completed(folder, "download ~/.cache/") == ["download ~/.cache/z.torrent "]
    assert completed(folder, "send ~/.") == ["send ~/.cache/"]


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30),
    st.sampled_from(["", "'", '"']),
)
def test_a_completed_name_is_read_back_as_it_is(name: str, quote: str) -> None:
    line = "torrent -setMode send " + quoted(name, quote, windows=False)
    assert parse_command(line, backslash_escapes=True) == Command("send", name)
