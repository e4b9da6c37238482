"""The files of a torrent: their paths and names, padding, links."""

from __future__ import annotations

import hashlib

import pytest

from common import bencode
from common.metainfo import decode_metainfo
from common.torrent_files import FileEntry
from tests.common.torrents import entry, folder, torrent


def test_a_folder_parses_but_is_not_a_single_file() -> None:
    parsed = decode_metainfo(
        folder(entry(30_000, b"a"), entry(10_000, b"sub", b"b.part"), entry(0, b"empty"))
    )
    assert parsed.files == (
        FileEntry(("x.bin", "a"), 30_000),
        FileEntry(("x.bin", "sub", "b.part"), 10_000),
        FileEntry(("x.bin", "empty"), 0),
    )
    assert parsed.size == 40_000 and not parsed.is_single_file


def test_a_name_in_utf_8_is_preferred_to_one_in_a_local_encoding() -> None:
    name = "\u8bfe\u7a0b.bin"
    parsed = decode_metainfo(torrent(**{"name": name.encode("gbk"), "name.utf-8": name.encode()}))
    assert (parsed.name, parsed.files) == (name, (FileEntry((name,), 40_000),))
    path, utf8 = [name.encode("gbk")], [name.encode()]
    parsed = decode_metainfo(folder({b"length": 40_000, b"path": path, b"path.utf-8": utf8}))
    assert parsed.files == (FileEntry(("x.bin", name), 40_000),)


@pytest.mark.parametrize(
    "padding",
    [
        {b"length": 15_000, b"path": [b".pad", b"9"], b"attr": b"p"},
        {b"length": 15_000, b"path": [b"..", b"NUL"], b"attr": b"hp"},
        {b"length": 15_000, b"path": [b".pad", b"15000"]},
        {b"length": 15_000, b"path": [b"_____padding_file_0_please update BitComet____"]},
    ],
)
def test_padding_is_marked_and_its_name_is_never_used(padding: bencode.Value) -> None:
    parsed = decode_metainfo(folder(entry(5_000, b"a"), padding, entry(5_000, b"b"), padding))
    pad = FileEntry(("x.bin", ".pad", "15000"), 15_000, padding=True)
    a, b = FileEntry(("x.bin", "a"), 5_000), FileEntry(("x.bin", "b"), 5_000)
    assert parsed.files == (a, pad, b, pad)
    assert parsed.stored_files == (a, b)
    assert parsed.size == 40_000


def test_a_name_that_only_looks_like_padding_is_a_file() -> None:
    for path in ([b".pad", b"1"], [b".pad"], [b"a", b".pad", b"40000"], [b"padding_file_"]):
        assert not decode_metainfo(folder(entry(40_000, *path))).files[0].padding


def test_a_folder_with_names_that_harm_is_stored_under_other_names() -> None:
    paths = [[b"..", b"..", b"etc", b"passwd"], [b"/etc/passwd"], [b"CON"], [b"a:b."], [b"\xff"], [b"ok"]]
    parsed = decode_metainfo(
        torrent(name=b"..", length=None, files=[entry(n * 4_000, *path) for n, path in enumerate(paths[:5])])
    )
    assert [entry.path for entry in parsed.files] == [
        ("__", "__", "__", "etc", "passwd"),
        ("__", "_etc_passwd"),
        ("__", "_CON"),
        ("__", "a_b_"),
        ("__", "_"),
    ]
    assert parsed.name == "__"
    assert parsed.files[0].renamed_from == ("..", "..", "..", "etc", "passwd")
    assert parsed.files[4].renamed_from == ("..", "\udcff")
    assert parsed.warnings == ("files stored under other names, because some system cannot store theirs: 5",)


def test_symbolic_links_are_left_out_with_a_warning() -> None:
    link: bencode.Value = {b"path": [b"b"], b"attr": b"l", b"symlink path": [b"..", b"..", b"etc"]}
    parsed = decode_metainfo(folder(entry(30_000, b"a"), link, entry(10_000, b"c")))
    assert [entry.path[1] for entry in parsed.files] == ["a", "c"]
    assert parsed.warnings == ("symbolic links are left out: 1",)
    assert parsed.size == 40_000


def test_a_hybrid_torrent_is_read_as_version_1() -> None:
    tree: bencode.Value = {b"a": {b"": {b"length": 40_000, b"pieces root": bytes(32)}}}
    parsed = decode_metainfo(
        torrent(length=None, files=[entry(40_000, b"a")], meta_version=2, file_tree=tree)
    )
    assert (parsed.size, parsed.geometry.piece_count) == (40_000, 2)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        (b"../x", ".._x"),
        (b"/etc/passwd", "_etc_passwd"),
        (b"C:x?", "C_x_"),
        (b"a\\b", "a_b"),
        (b"a\0b", "a_b"),
        (b"..", "__"),
        (b"", "_"),
        (b"NUL", "_NUL"),
        (b"nul.txt", "_nul.txt"),
        (b"\xff\xfe", "__"),
        (b"x.part", "x_part"),
        (b"a" * 248, f"{'a' * 238}~{hashlib.sha1(b'a' * 248).hexdigest()[:8]}"),
    ],
)
def test_a_single_file_with_a_name_that_harms_is_stored_under_another(name: bytes, stored: str) -> None:
    for key in ("name", "name.utf-8"):
        parsed = decode_metainfo(torrent(**{key: name}))
        raw = name.decode("utf-8", "surrogateescape")
        assert parsed.name == stored and parsed.is_single_file
        assert parsed.files == (FileEntry((stored,), 40_000, renamed_from=(raw,)),)
        assert "files stored under other names" in parsed.warnings[0]
