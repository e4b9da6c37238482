"""A folder is listed as other programs list it, and unlistable entries are refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.errors import FileFault
from node.content import folder_scan
from node.content.folder_scan import scan_folder


def names_of(folder: Path) -> list[str]:
    return ["/".join(file.names) for file in scan_folder(folder)]


def fill(folder: Path, *files: str) -> None:
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file)


def test_files_are_sorted_by_the_bytes_of_their_whole_path(tmp_path: Path) -> None:
    fill(tmp_path, "b/2", "b/1", "b.txt", "b-", "Z", ".hidden", "é", "a/x/z", "a b")
    (tmp_path / "empty folder").mkdir()
    assert names_of(tmp_path) == [".hidden", "Z", "a b", "a/x/z", "b-", "b.txt", "b/1", "b/2", "é"]
    assert [file.length for file in scan_folder(tmp_path)] == [7, 1, 3, 5, 2, 5, 3, 3, 2]


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(FileFault, match="has no files"):
        scan_folder(tmp_path)
    with pytest.raises(FileFault, match="no such file"):
        scan_folder(tmp_path / "b")


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_links_are_followed_and_loops_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, "t/a", "outside/b")
    (tmp_path / "t" / "link").symlink_to(tmp_path / "outside")
    assert names_of(tmp_path / "t") == ["a", "link/b"]
    (tmp_path / "outside" / "up").symlink_to(tmp_path / "outside")
    with pytest.raises(FileFault, match="up is a link to a folder that it is in"):
        scan_folder(tmp_path / "t")
    (tmp_path / "outside" / "up").unlink()
    (tmp_path / "outside" / "gone").symlink_to("nowhere")
    with pytest.raises(FileFault, match="gone is a link that leads to no file"):
        scan_folder(tmp_path / "t")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    fill(tmp_path, "a")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileFault, match="pipe is no plain file"):
        scan_folder(tmp_path)


def test_the_number_and_depth_of_files_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "a", "b", "c/" * 31 + "d")
    with pytest.raises(FileFault, match="31 folders deep"):
        scan_folder(tmp_path)
    monkeypatch.setattr(folder_scan, "MAX_FOLDER_FILES", 1)
    monkeypatch.setattr(folder_scan, "MAX_PATH_DEPTH", 100)
    with pytest.raises(FileFault, match="more than 1 files"):
        scan_folder(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sets(st.from_regex(r"[a-zA-Z.é_-]{1,3}(/[ab.-]{1,2}x){0,2}", fullmatch=True), min_size=1, max_size=6)
)
def test_any_folder_is_listed_whole(tmp_path_factory: pytest.TempPathFactory, files: set[str]) -> None:
    folder = tmp_path_factory.mktemp("scan")
    made = set()
    for file in sorted(files):
        try:
            fill(folder, file)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue  # "a" and "a/b"; or "." and ".."
        if not set(file.split("/")) & {".", ".."}:
            made.add(file)
    if made:
        assert names_of(folder) == sorted(made, key=os.fsencode)
