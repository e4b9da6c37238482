"""The files of a torrent: their paths and lengths. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from common import bencode
from common.errors import MetainfoError
from common.filenames import check_component
from common.torrent_fields import as_text, read_integer, utf8_key

MAX_SIZE = 1 << 53  # bytes of content; integers up to here are exact in JSON and JavaScript
MAX_PATH_DEPTH = 32  # components of a file's path
PADDING_FOLDER = ".pad"  # BEP 47: a padding file of 1,000 bytes is .pad/1000

_BITCOMET_PADDING = b"_____padding_file_"


@dataclass(frozen=True)
class FileEntry:
    """A file of a torrent: its path below the download folder, and its length in bytes.

    ``padding``: ``length`` zero bytes that let the next file begin at a piece (BEP 47). They are hashed as
    part of the content and never stored on disk. Several padding files may have the same path.
    """

    path: tuple[str, ...]
    length: int
    padding: bool = False


def read_files(info: Mapping[bytes, bencode.Value], name: str) -> tuple[FileEntry, ...]:
    """The files that ``info`` lists, below the folder ``name`` or as the one file ``name``."""
    if (b"length" in info) == (b"files" in info):
        raise MetainfoError("exactly one of length and files is needed")
    if b"length" in info:
        return (FileEntry((name,), read_integer(info, b"length", 0, MAX_SIZE)),)
    listed = info[b"files"]
    if not isinstance(listed, list) or not listed:
        raise MetainfoError("files is not a list of files")
    files = tuple(_file_entry(item, name) for item in listed)
    _check_distinct(files)
    return files


def _file_entry(item: bencode.Value, name: str) -> FileEntry:
    if not isinstance(item, dict):
        raise MetainfoError("an entry of files is not a dictionary")
    path = item.get(utf8_key(item, b"path"))
    if not isinstance(path, list) or not 0 < len(path) < MAX_PATH_DEPTH:
        raise MetainfoError(f"path of a file is not a list of 1 to {MAX_PATH_DEPTH - 1} names")
    length = read_integer(item, b"length", 0, MAX_SIZE)
    if _is_padding(item, path, length):
        return FileEntry((name, PADDING_FOLDER, str(length)), length, padding=True)
    components = tuple(check_component(as_text(component, "path of a file")) for component in path)
    return FileEntry((name, *components), length)


def _is_padding(item: Mapping[bytes, bencode.Value], path: list[bencode.Value], length: int) -> bool:
    """True for a padding file: by its attribute, or by the names that older programs give it."""
    attributes = item.get(b"attr")
    if isinstance(attributes, bytes) and b"p" in attributes:
        return True
    last = path[-1]
    if isinstance(last, bytes) and last.startswith(_BITCOMET_PADDING):
        return True
    return path == [PADDING_FOLDER.encode(), str(length).encode()]


def _check_distinct(files: tuple[FileEntry, ...]) -> None:
    """MetainfoError if two files have the same path, or a file's path is the folder of another file."""
    stored = [entry.path for entry in files if not entry.padding]
    paths = set(stored)
    folders = {path[:depth] for path in stored for depth in range(1, len(path))}
    if len(paths) != len(stored) or paths & folders:
        raise MetainfoError("two files of one path")
