"""Names that a user types, and the files of a node's folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.errors import FileFault
from node.folder import NodeFolder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NodeFolder:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    made = NodeFolder(tmp_path / "node7" / "files")
    made.create()
    return made


def test_a_name_is_looked_up_here_then_in_the_folder_then_with_its_suffix(folder: NodeFolder) -> None:
    (folder.path / "x.torrent").write_bytes(b"")
    assert folder.find("x", ".torrent") == folder.path / "x.torrent"
    (folder.path / "x").write_bytes(b"")
    assert folder.find("x", ".torrent") == folder.path / "x"
    Path("x").write_bytes(b"")
    assert folder.find("x") == Path("x")


def test_accents_may_be_composed_or_not(folder: NodeFolder) -> None:
    (folder.path / "cafe\u0301").write_bytes(b"")
    assert folder.find("caf\u00e9").exists()


@pytest.mark.parametrize("name", ["missing", "a\0b", "n" * 300, "\udcff\udcff"])
def test_what_is_not_there_is_said_in_one_line(folder: NodeFolder, name: str) -> None:
    with pytest.raises(FileFault, match="no such file") as caught:
        folder.find(name)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="POSIX file systems only")
def test_a_link_that_leads_nowhere_is_found_so_that_it_can_be_named(folder: NodeFolder) -> None:
    (folder.path / "link").symlink_to("nowhere")
    assert folder.find("link") == folder.path / "link"


def test_files_are_listed_without_torrents_parts_and_hidden_ones(folder: NodeFolder) -> None:
    for name in ("b", "a", "a.torrent", "c.part", ".claims-7.json"):
        (folder.path / name).write_bytes(b"")
    (folder.path / "sub").mkdir()
    assert folder.files() == ["a", "b"]
    assert NodeFolder(folder.path / "missing").files() == []


def test_a_folder_that_cannot_be_made(folder: NodeFolder) -> None:
    (folder.path / "file").write_bytes(b"")
    with pytest.raises(FileFault, match="cannot be made"):
        NodeFolder(folder.path / "file" / "sub").create()
