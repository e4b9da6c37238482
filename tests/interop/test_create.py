"""The same files and options give the same info hash with this program, libtorrent and mktorrent."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from common.errors import MetainfoError
from common.magnet import Magnet, format_magnet, parse_magnet
from common.metainfo import decode_metainfo
from common.text import sanitize
from common.torrent_encoding import TorrentNotes
from node.content.new_torrent import NewTorrent
from node.content.verifying import verify_path
from node.tools.summary import as_object
from tests.interop.others import INTEROP

pytestmark = INTEROP

PIECE = 16 << 10
LEAST_OF_MKTORRENT = 15  # mktorrent's -l: pieces of 2**15 bytes
BORDERS = [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 1, 3 * PIECE - 1, 100]
FEW = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=25,
)

names = st.sampled_from(
    ["a", "b", "B", "c.txt", "c-d", "c d", ".hidden", "naïve", "講義", "e\u0301", "+", "~", "x" * 200]
)
corpora = st.dictionaries(
    st.lists(names, min_size=1, max_size=4).map("/".join),
    st.sampled_from(BORDERS) | st.integers(0, 5 * PIECE),
    min_size=1,
    max_size=8,
)


def fill(folder: Path, corpus: dict[str, int]) -> list[str]:
    """Write the files; returns their paths, sorted by bytes."""
    taken: set[str] = set()
    for file, size in corpus.items():
        above = {str(parent) for parent in Path(file).parents}
        assume(file not in taken and not above & set(corpus))
        taken.update(above)
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(Random(f"{file} {size}").randbytes(size))
    assume(sum(corpus.values()))  # libtorrent makes no torrent of nothing
    return sorted(corpus, key=os.fsencode)


def info_hash_of_libtorrent(lt: Any, folder: Path, files: list[str], piece_length: int, private: bool) -> str:
    storage = lt.file_storage()
    for file in files:
        storage.add_file(f"{folder.name}/{file}", (folder / file).stat().st_size)
    creator = lt.create_torrent(storage, piece_length, lt.create_torrent.v1_only)
    creator.set_priv(private)
    lt.set_piece_hashes(creator, str(folder.parent))
    info: str = str(lt.torrent_info(lt.bdecode(lt.bencode(creator.generate()))).info_hashes().v1)
    return info


@FEW
@given(corpus=corpora, private=st.booleans(), power=st.integers(14, 17))
def test_the_info_hash_is_that_of_libtorrent(
    libtorrent: Any,
    tmp_path_factory: pytest.TempPathFactory,
    corpus: dict[str, int],
    private: bool,
    power: int,
) -> None:
    folder = tmp_path_factory.mktemp("corpus") / "the folder"
    files = fill(folder, corpus)
    planned = NewTorrent.plan(folder, 1 << power)
    info = decode_metainfo(planned.encode(TorrentNotes(private=private), 2))
    assert info.info_hash_hex == info_hash_of_libtorrent(libtorrent, folder, files, 1 << power, private)
    assert verify_path(info, folder, 2).right == info.geometry.piece_count


@FEW
@given(corpus=corpora, private=st.booleans(), power=st.integers(LEAST_OF_MKTORRENT, 17))
def test_the_info_hash_is_that_of_mktorrent(
    mktorrent: str,
    tmp_path_factory: pytest.TempPathFactory,
    corpus: dict[str, int],
    private: bool,
    power: int,
) -> None:
    folder = tmp_path_factory.mktemp("corpus") / "the folder"
    fill(folder, corpus)
    words = ["-p"] if private else []
    subprocess.run(
        [mktorrent, *words, "-l", str(power), "-a", "http://a/", "-c", "ü", "-o", "x.torrent", folder.name],
        cwd=folder.parent,
        check=True,
        capture_output=True,
        timeout=60,
    )
    theirs = decode_metainfo((folder.parent / "x.torrent").read_bytes())
    notes = TorrentNotes("http://a/", private=private, comment="ü")
    ours = decode_metainfo(NewTorrent.plan(folder, 1 << power).encode(notes, 2))
    assert ours.raw_info == theirs.raw_info
    assert (ours.files, ours.tiers, ours.comment) == (theirs.files, theirs.tiers, theirs.comment)


@FEW
@given(
    corpus=corpora,
    canonical=st.booleans(),
    comment=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
)
def test_show_says_what_libtorrent_says(
    libtorrent: Any,
    tmp_path_factory: pytest.TempPathFactory,
    corpus: dict[str, int],
    canonical: bool,
    comment: str,
) -> None:
    """Also with padding files, which libtorrent's canonical order inserts."""
    lt = libtorrent
    folder = tmp_path_factory.mktemp("corpus") / "the folder"
    fill(folder, corpus)
    storage = lt.file_storage()
    lt.add_files(storage, str(folder))
    flags = lt.create_torrent.v1_only | (lt.create_torrent.canonical_files if canonical else 0)
    creator = lt.create_torrent(storage, PIECE, flags)
    creator.set_comment(comment)
    creator.add_tracker("http://a/announce", 0)
    creator.add_tracker("udp://b:1", 1)
    lt.set_piece_hashes(creator, str(folder.parent))
    data = lt.bencode(creator.generate())
    info, theirs = decode_metainfo(data), lt.torrent_info(lt.bdecode(data))
    shown = json.loads(json.dumps(as_object("x.torrent", info)))
    assert shown["info_hash"] == str(theirs.info_hashes().v1)
    assert (shown["pieces"], shown["piece_length"]) == (theirs.num_pieces(), PIECE)
    assert shown["comment"] == comment and shown["trackers"] == [["http://a/announce"], ["udp://b:1"]]
    listed = theirs.files()
    stored = {
        listed.file_path(at).replace(os.sep, "/"): listed.file_size(at)
        for at in range(listed.num_files())
        if not listed.file_flags(at) & lt.file_flags_t.flag_pad_file
    }
    found = {"/".join(entry.path): entry.length for entry in info.stored_files}
    if not any(entry.renamed_from for entry in info.files):  # libtorrent renames by another rule
        assert found == stored
    assert sorted(found.values()) == sorted(stored.values()) == sorted(corpus.values())
    verified = verify_path(info, folder, 2)
    assert verified.right == theirs.num_pieces()


@pytest.mark.parametrize("size", [1, PIECE, 5 * PIECE + 1])
def test_a_hybrid_of_libtorrent_is_used_as_version_1_and_version_2_is_refused(
    libtorrent: Any, tmp_path: Path, size: int
) -> None:
    lt = libtorrent
    folder = tmp_path / "course"
    (folder / "b").mkdir(parents=True)
    for file, length in (("a", size), ("b/c", 100), ("b/empty", 0)):
        (folder / file).write_bytes(Random(file).randbytes(length))
    made = {}
    for name, flags in (("hybrid", 0), ("second", lt.create_torrent.v2_only)):
        storage = lt.file_storage()
        lt.add_files(storage, str(folder))
        creator = lt.create_torrent(storage, PIECE, flags)
        lt.set_piece_hashes(creator, str(tmp_path))
        made[name] = lt.bencode(creator.generate())
    info = decode_metainfo(made["hybrid"])
    assert info.info_hash_hex == str(lt.torrent_info(lt.bdecode(made["hybrid"])).info_hashes().v1)
    assert {"/".join(entry.path[1:]): entry.length for entry in info.stored_files} == {
        "a": size,
        "b/c": 100,
        "b/empty": 0,
    }
    assert verify_path(info, folder, 2).right == info.geometry.piece_count
    with pytest.raises(MetainfoError, match=r"version 2 only \(BEP 52\) is not supported"):
        decode_metainfo(made["second"])


@FEW
@given(
    st.binary(min_size=20, max_size=20).filter(any),  # libtorrent takes zeros for no hash
    st.text(st.characters(codec="utf-8"), max_size=30),
    st.lists(st.sampled_from(["http://a/announce?x=1&y=2", "udp://b:1", "https://c/ü"]), unique=True),
)
def test_libtorrent_reads_our_magnet_links_and_we_read_its(
    libtorrent: Any, info_hash: bytes, name: str, trackers: list[str]
) -> None:
    written = Magnet(info_hash, sanitize(name).strip(), tuple(trackers))
    theirs = libtorrent.parse_magnet_uri(format_magnet(written))
    assert theirs.info_hashes.v1.to_bytes() == info_hash
    assert (theirs.name, tuple(theirs.trackers)) == (written.name, written.trackers)
    assert parse_magnet(libtorrent.make_magnet_uri(theirs)) == written
