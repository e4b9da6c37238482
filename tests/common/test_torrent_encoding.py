"""Written torrents are read back; only files, piece length and ``private`` are part of the info hash."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from common.errors import MetainfoError
from common.metainfo import decode_metainfo
from common.safe_paths import safe_component
from common.torrent_encoding import TorrentNotes, encode_folder, encode_single_file

PIECE = 16 << 10
names = st.text(max_size=20).map(safe_component)
urls = st.sampled_from(["http://a/announce", "udp://b:1", "https://c/announce?k=1", "udp://[::1]:2"])
notes = st.builds(
    TorrentNotes,
    announce=urls,
    tiers=st.lists(urls, unique=True).map(lambda found: tuple((url,) for url in found)),
    private=st.booleans(),
    comment=st.text(st.characters(codec="utf-8"), max_size=50),
    created_by=st.text(st.characters(codec="utf-8"), max_size=20),
    creation_date=st.none() | st.integers(0, 1 << 40),
)


@given(
    st.dictionaries(st.lists(names, min_size=1, max_size=4).map(tuple), st.integers(0, 10**6), min_size=1),
    notes,
)
def test_a_folder_is_read_back(files: dict[tuple[str, ...], int], written: TorrentNotes) -> None:
    pieces = bytes(20 * -(-sum(files.values()) // PIECE))
    data = encode_folder("folder", list(files.items()), PIECE, pieces, written)
    try:
        info = decode_metainfo(data)
    except MetainfoError as error:
        assert "one path" in str(error) or "one of its folders" in str(error)
        return
    assert {(entry.renamed_from or entry.path)[1:]: entry.length for entry in info.files} == files
    assert info.tiers == (written.tiers or ((written.announce,),))
    assert (info.announce, info.private) == (written.announce, written.private)
    assert (info.comment, info.created_by, info.creation_date) == (
        written.comment,
        written.created_by,
        written.creation_date,
    )
    assert info.warnings == () or any(entry.renamed_from for entry in info.files)


@given(notes, notes)
def test_the_info_hash_is_of_the_content_and_private_alone(first: TorrentNotes, second: TorrentNotes) -> None:
    hashes = [
        decode_metainfo(encode_single_file("x", 5, PIECE, bytes(20), each)).info_hash
        for each in (first, replace(second, private=first.private), replace(first, private=not first.private))
    ]
    assert hashes[0] == hashes[1] != hashes[2]
