"""Making torrents of files, and reading them back: the same always, and every fault named."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from pathlib import Path
from random import Random

import pytest

from common.errors import DiskFull, FileFault, MetainfoError
from common.metainfo import Metainfo
from common.torrent_encoding import TorrentNotes
from node.content import torrent_file
from node.content.new_torrent import NewTorrent
from node.content.torrent_file import calculate_file_hash, create_torrent, parse_torrent_file, store_torrent

ANNOUNCE = "http://127.0.0.1:12345/announce"
PIECE = 32 << 10


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 40 * PIECE, 40 * PIECE + 7])
def test_what_is_created_says_what_is_in_the_file(tmp_path: Path, size: int, threads: int) -> None:
    content = Random(size).randbytes(size)
    (tmp_path / "a file.bin").write_bytes(content)
    output = tmp_path / "a file.bin.torrent"
    progress: list[tuple[int, int]] = []
    created = create_torrent(
        tmp_path / "a file.bin", output, ANNOUNCE, lambda done, of: progress.append((done, of)), threads
    )
    assert (created.name, created.size, created.announce) == ("a file.bin", size, ANNOUNCE)
    expected = [hashlib.sha1(content[at : at + PIECE]).digest() for at in range(0, size, PIECE)]
    assert [created.piece_hash(index) for index in range(created.geometry.piece_count)] == expected
    assert parse_torrent_file(output) == created
    assert progress == sorted(progress) and len(progress) <= len(expected)
    assert bool(progress) == bool(size)
    assert not progress or progress[-1] == (size, size)


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(Random(1).randbytes(100_000))
    create_torrent(tmp_path / "x", tmp_path / "1.torrent", ANNOUNCE)
    os.utime(tmp_path / "x", (0, 0))
    create_torrent(tmp_path / "x", tmp_path / "2.torrent", ANNOUNCE, threads=1)
    assert (tmp_path / "1.torrent").read_bytes() == (tmp_path / "2.torrent").read_bytes()


def test_an_older_torrent_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"first")
    first = create_torrent(tmp_path / "x", tmp_path / "x.torrent", ANNOUNCE)
    (tmp_path / "x").write_bytes(b"second")
    second = create_torrent(tmp_path / "x", tmp_path / "x.torrent", ANNOUNCE)
    assert first.info_hash != second.info_hash
    assert parse_torrent_file(tmp_path / "x.torrent") == second
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "x.torrent"]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("change", ["touched", "grown", "cut"])
def test_a_file_that_changes_meanwhile_gives_no_torrent(tmp_path: Path, change: str, threads: int) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(100 * PIECE))
    changed = threading.Event()

    def on_progress(done: int, size: int) -> None:
        if changed.is_set():
            return
        changed.set()
        if change == "touched":
            os.utime(path, (1, 1))
        else:
            os.truncate(path, 101 * PIECE if change == "grown" else PIECE)

    with pytest.raises(FileFault, match="changed|shorter"):
        create_torrent(path, tmp_path / "x.torrent", ANNOUNCE, on_progress, threads)
    assert [found.name for found in tmp_path.iterdir()] == ["x"]


@pytest.mark.skipif(os.name != "posix", reason="an open file cannot be replaced")
def test_a_file_replaced_at_the_last_moment_gives_no_torrent(tmp_path: Path) -> None:
    path, other = tmp_path / "x", tmp_path / "other"
    path.write_bytes(b"one")
    other.write_bytes(b"two")
    with pytest.raises(FileFault, match="replaced"):
        create_torrent(path, tmp_path / "x.torrent", ANNOUNCE, lambda done, size: os.replace(other, path))
    assert not (tmp_path / "x.torrent").exists()


@pytest.mark.skipif(os.name != "posix", reason="names that Windows cannot have")
@pytest.mark.parametrize("name", ["a:b", "a?", "NUL", "new\nline", "back\\slash", "end.", "x.part"])
def test_a_name_that_others_cannot_store_is_not_shared(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"content")
    with pytest.raises(FileFault, match="cannot be shared: file name") as caught:
        create_torrent(tmp_path / name, tmp_path / "out.torrent", ANNOUNCE)
    assert str(caught.value).isprintable()
    assert not (tmp_path / "out.torrent").exists()


def test_files_of_which_no_torrent_is_made(tmp_path: Path) -> None:
    for path, says in [(tmp_path / "missing", "no such file"), (tmp_path, "has no files")]:
        with pytest.raises(FileFault, match=says):
            create_torrent(path, tmp_path / "out.torrent", ANNOUNCE)


def test_a_torrent_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"content")
    with pytest.raises(FileFault, match="cannot be written"):
        create_torrent(tmp_path / "x", tmp_path / "nowhere" / "x.torrent", ANNOUNCE)
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileFault, match="cannot be written"):
        create_torrent(tmp_path / "x", tmp_path / "folder", ANNOUNCE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "x"]


def test_a_bad_torrent_is_named_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "bad.torrent"
    path.write_bytes(b"d4:infodee")
    with pytest.raises(MetainfoError, match=r"bad\.torrent: name is missing"):
        parse_torrent_file(path)


def test_a_file_named_instead_of_its_torrent_gets_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.bin").write_bytes(b"content")
    create_torrent(tmp_path / "x.bin", tmp_path / "x.bin.torrent", ANNOUNCE)
    with pytest.raises(MetainfoError, match=r"not a torrent: .*; did you mean .*x\.bin\.torrent\?$"):
        parse_torrent_file(tmp_path / "x.bin")
    monkeypatch.setattr(torrent_file, "MAX_TORRENT_BYTES", 5)
    with pytest.raises(FileFault, match=r"larger .*; did you mean .*x\.bin\.torrent\?$"):
        parse_torrent_file(tmp_path / "x.bin")


def test_torrents_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torrent_file, "MAX_TORRENT_BYTES", 10)
    (tmp_path / "large.torrent").write_bytes(bytes(11))
    for path, says in [
        (tmp_path / "missing.torrent", "no such file"),
        (tmp_path, "is a folder"),
        (tmp_path / "a\0b.torrent", "no file can have this name"),
        (tmp_path / "large.torrent", "larger than a torrent may be"),
    ]:
        with pytest.raises(FileFault, match=says):
            parse_torrent_file(path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_files_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"x")
    path.chmod(0)
    for read in (parse_torrent_file, calculate_file_hash):
        with pytest.raises(FileFault, match="permission denied"):
            read(path)
    with pytest.raises(FileFault, match="permission denied"):
        create_torrent(path, tmp_path / "out.torrent", ANNOUNCE)


def test_the_hash_of_a_whole_file(tmp_path: Path) -> None:
    content = Random(2).randbytes(3_000_000)
    (tmp_path / "x").write_bytes(content)
    assert calculate_file_hash(tmp_path / "x") == hashlib.sha1(content).hexdigest()
    with pytest.raises(FileFault, match="no such file"):
        calculate_file_hash(tmp_path / "y")


def test_a_torrent_that_finds_no_room_is_not_said_to_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(b"hello")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(DiskFull) as caught:
        create_torrent(tmp_path / "x", tmp_path / "x.torrent", "")
    assert str(caught.value) == f"no room left on {tmp_path} for x.torrent"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


# ---- torrents that are in the way


def torrent_of(path: Path, content: bytes, announce: str = ANNOUNCE) -> bytes:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return NewTorrent.plan(path).encode(TorrentNotes(announce), 1)


def never(path: Path, present: Metainfo) -> bool:
    return False


def test_a_torrent_of_another_content_is_kept(tmp_path: Path) -> None:
    first = torrent_of(tmp_path / "week1" / "slides.pdf", b"one")
    second = torrent_of(tmp_path / "week2" / "slides.pdf", b"two")
    third = torrent_of(tmp_path / "week3" / "slides.pdf", b"three")
    names = [store_torrent(data, tmp_path, never).name for data in (first, second, third, second)]
    assert names == [
        "slides.pdf.torrent",
        "slides.pdf.2.torrent",
        "slides.pdf.3.torrent",
        "slides.pdf.2.torrent",
    ]
    assert (tmp_path / "slides.pdf.torrent").read_bytes() == first


def test_a_torrent_of_the_same_content_is_replaced(tmp_path: Path) -> None:
    old = torrent_of(tmp_path / "x", b"hello", "http://127.0.0.1:1/announce")
    new = torrent_of(tmp_path / "x", b"hello")
    assert store_torrent(old, tmp_path, never) == store_torrent(new, tmp_path, never)
    assert (tmp_path / "x.torrent").read_bytes() == new


def test_the_caller_may_allow_to_replace_a_torrent(tmp_path: Path) -> None:
    store_torrent(torrent_of(tmp_path / "x", b"old"), tmp_path, never)
    new = torrent_of(tmp_path / "x", b"new")
    assert store_torrent(new, tmp_path, lambda path, present: present.size == 3) == tmp_path / "x.torrent"
    assert (tmp_path / "x.torrent").read_bytes() == new


@pytest.mark.parametrize("kind", ["text", "folder", "dangling link"])
def test_a_file_that_is_no_torrent_is_kept(tmp_path: Path, kind: str) -> None:
    taken = tmp_path / "notes.torrent"
    if kind == "text":
        taken.write_text("my own notes")
    elif kind == "folder":
        taken.mkdir()
    else:
        taken.symlink_to(tmp_path / "nowhere")
    data = torrent_of(tmp_path / "notes", b"hello")
    assert store_torrent(data, tmp_path, lambda path, present: True).name == "notes.2.torrent"
    assert os.path.lexists(taken) and not (tmp_path / "nowhere").exists()


def test_a_torrent_that_appears_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = torrent_of(tmp_path / "x", b"hello")
    (tmp_path / "x.torrent").write_text("just now")
    real, calls = os.path.lexists, []

    def lexists(path: object) -> bool:
        calls.append(path)
        return len(calls) > 1 and real(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os.path, "lexists", lexists)
    assert store_torrent(data, tmp_path, never).name == "x.2.torrent"
    assert (tmp_path / "x.torrent").read_text() == "just now"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "x.2.torrent", "x.torrent"]


def test_the_longest_name_leaves_room_for_its_torrent(tmp_path: Path) -> None:
    """A name of 247 bytes is shared; a longer one is refused before its file is read."""
    longest = "n" * 247
    first = torrent_of(tmp_path / longest, b"one")
    assert store_torrent(first, tmp_path, never).name == longest + ".torrent"
    other = torrent_of(tmp_path / longest, b"two")
    stored = store_torrent(other, tmp_path, never)
    assert stored.name == f"{parse_torrent_file(stored).info_hash_hex}.2.torrent"
    path = tmp_path / ("n" * 248)
    path.write_bytes(b"hello")
    with pytest.raises(FileFault, match="longer than 247 bytes"):
        NewTorrent.plan(path)
