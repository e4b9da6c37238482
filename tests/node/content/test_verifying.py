"""Which pieces are right, wrong or missing, whatever happened to the files."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common import bencode
from common.errors import FileFault
from common.metainfo import Metainfo, decode_metainfo
from common.torrent_encoding import TorrentNotes, encode_folder
from node.content.new_torrent import NewTorrent
from node.content.verifying import VerifiedPieces, verify_path
from tests.node.content.content_case import write_files

PIECE = 16 << 10
SIZES = {"a": PIECE, "b/empty": 0, "b/one": 1, "b/two": 3 * PIECE, "c": 2 * PIECE}  # pieces 0, 1-4, 4-6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "course", SIZES)


def torrent_of(path: Path) -> Metainfo:
    return decode_metainfo(NewTorrent.plan(path, PIECE).encode(TorrentNotes(), 1))


def test_an_untouched_folder_is_right(folder: Path) -> None:
    progress: list[tuple[int, int]] = []
    info = torrent_of(folder)
    found = verify_path(info, folder, 2, lambda done, size: progress.append((done, size)))
    assert found == VerifiedPieces(7, (), 0)
    assert progress[-1] == (info.size, info.size)
    assert verify_path(info, folder.parent, 2).right == 7, "the folder that it is in"


def test_a_single_file_or_its_folder(folder: Path) -> None:
    info = torrent_of(folder / "c")
    assert verify_path(info, folder / "c", 1) == VerifiedPieces(2, (), 0)
    assert verify_path(info, folder, 1) == VerifiedPieces(2, (), 0)
    (folder / "c").rename(folder / "d")
    assert verify_path(info, folder / "d", 1).right == 2
    assert verify_path(info, folder, 1) == VerifiedPieces(0, (), 2, ("c",))


def test_wrong_missing_short_and_long_files(folder: Path) -> None:
    info = torrent_of(folder)
    data = bytearray((folder / "b/two").read_bytes())
    data[PIECE] ^= 1
    (folder / "b/two").write_bytes(data)
    assert verify_path(info, folder, 2) == VerifiedPieces(6, (2,), 0)
    (folder / "c").write_bytes((folder / "c").read_bytes()[:-1])
    assert verify_path(info, folder, 2) == VerifiedPieces(5, (2,), 1, ("course/c",))
    (folder / "b/one").unlink()
    assert verify_path(info, folder, 2) == VerifiedPieces(4, (2,), 2, ("course/b/one", "course/c"))
    with (folder / "a").open("ab") as file:
        file.write(b"more")
    assert verify_path(info, folder, 2).longer == ("course/a",)
    (folder / "b/empty").unlink()
    (folder / "b/empty").mkdir()
    assert verify_path(info, folder, 2).absent == ("course/b/empty", "course/b/one", "course/c")


def test_nothing_there_is_one_line(folder: Path) -> None:
    info = torrent_of(folder)
    with pytest.raises(FileFault, match="nowhere: no such file"):
        verify_path(info, folder / "nowhere", 1)
    with pytest.raises(FileFault, match="is a file; the torrent describes a folder"):
        verify_path(info, folder / "a", 1)
    with pytest.raises(FileFault, match="no file can have this name"):
        verify_path(info, Path("a\0b"), 1)
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(FileFault, match="interrupted"):
        verify_path(info, folder, 2, None, cancelled)


def test_padding_is_zeros_and_not_on_disk(folder: Path) -> None:
    info = decode_metainfo(
        bencode.encode(
            {
                b"info": {
                    b"files": [
                        {b"length": 1, b"path": [b"b", b"one"]},
                        {b"length": PIECE - 1, b"path": [b".pad", b"16383"], b"attr": b"p"},
                        {b"length": PIECE, b"path": [b"a"]},
                    ],
                    b"name": b"course",
                    b"piece length": PIECE,
                    b"pieces": _sha1((folder / "b/one").read_bytes() + bytes(PIECE - 1))
                    + _sha1((folder / "a").read_bytes()),
                }
            }
        )
    )
    assert verify_path(info, folder, 1) == VerifiedPieces(2, (), 0)


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data).digest()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_files_under_the_names_of_the_torrent_are_found(folder: Path) -> None:
    """Another program stored them; ours would store ``What_`` and so on, and finds those, too."""
    (folder / "What?").write_bytes(b"x")
    (folder / "A").write_bytes(b"y")
    odd = folder.with_name("odd: folder")
    folder.rename(odd)
    info = torrent_of(odd)
    assert info.name == "odd_ folder"
    assert verify_path(info, odd, 1).missing == 0
    assert verify_path(info, odd.parent, 1).missing == 0
    for entry in info.stored_files:
        if entry.renamed_from[1:] != entry.path[1:]:
            odd.joinpath(*entry.renamed_from[1:]).rename(odd.joinpath(*entry.path[1:]))
    assert verify_path(info, odd, 1).missing == 0


def test_a_hostile_name_leads_to_no_file_outside(folder: Path) -> None:
    secret = folder.parent / "secret"
    secret.write_bytes(b"s")
    for path in (("..", "secret"), (str(secret),), ("b", "..", "..", "secret"), ("", "secret")):
        data = encode_folder("course", [(path, 1)], PIECE, _sha1(b"s"), TorrentNotes())
        assert verify_path(decode_metainfo(data), folder, 1).missing == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(SIZES)),
            st.sampled_from(["flip", "cut", "drop", "grow"]),
            st.integers(0, 10**6),
        )
    )
)
def test_every_piece_is_counted_once(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("verify") / "course"
    files = {name: bytearray(Random(name).randbytes(size)) for name, size in SIZES.items()}
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    info = torrent_of(folder)
    for name, change, at in changes:
        data = files[name]
        if change == "flip" and data:
            data[at % len(data)] ^= 1
        elif change == "cut":
            del data[at % (len(data) + 1) :]
        elif change == "grow":
            data += b"more"
        elif change == "drop":
            (folder / name).unlink(missing_ok=True)
            continue
        (folder / name).write_bytes(data)
    found = verify_path(info, folder, 2)
    assert found.pieces == 7
    content = b"".join((_bytes_of(folder / name) + bytes(size))[:size] for name, size in SIZES.items())
    right = [_sha1(content[at * PIECE : (at + 1) * PIECE]) == info.piece_hash(at) for at in range(7)]
    assert found.right == sum(right)
    assert not any(right[index] for index in found.wrong)


def _bytes_of(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
