"""The files of a torrent: their paths and lengths. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from common import bencode
from common.errors import MetainfoError
from common.safe_paths import StoredPath, safe_paths
from common.torrent_fields import as_name, read_integer, utf8_key

MAX_SIZE = 1 << 53  # bytes of content; integers up to here are exact in JSON and JavaScript
MAX_PATH_DEPTH = 32  # components of a file's path
MAX_FOLDER_FILES = 200_000  # files of one torrent
PADDING_FOLDER = ".pad"  # BEP 47: a padding file of 1,000 bytes is .pad/1000

_BITCOMET_PADDING = b"_____padding_file_"


@dataclass(frozen=True)
class FileEntry:
    """A file of a torrent: its path below the download folder, and its length in bytes.

    ``padding``: ``length`` zero bytes that let the next file begin at a piece (BEP 47). They are hashed as
    part of the content and never stored on disk. Several padding files may have the same path.
    ``renamed_from``: the path in the torrent, if ``path`` is another one (``common/safe_paths.py``). It is
    not safe: use it only to look for a file that another program stored.
    """

    path: StoredPath
    length: int
    padding: bool = False
    renamed_from: StoredPath = ()


def read_single_file(
    info: Mapping[bytes, bencode.Value], name: str, warnings: list[str]
) -> tuple[FileEntry, ...]:
    """The one file ``name`` of ``info``. ``warnings`` gets a line if it is renamed."""
    return _stored([FileEntry((name,), read_integer(info, b"length", 0, MAX_SIZE))], warnings)


def read_folder(info: Mapping[bytes, bencode.Value], name: str, warnings: list[str]) -> tuple[FileEntry, ...]:
    """The files that ``info`` lists, below the folder ``name``.

    ``warnings`` gets a line about renamed files, and one about links.
    """
    listed = info[b"files"]
    if not isinstance(listed, list) or not listed:
        raise MetainfoError("files is not a list of files")
    if len(listed) > MAX_FOLDER_FILES:
        raise MetainfoError(f"{len(listed)} files are more than {MAX_FOLDER_FILES}")
    entries = [_file_entry(item, name) for item in listed]
    files = [entry for entry in entries if entry is not None]
    if not files:
        raise MetainfoError("the torrent has symbolic links and no files")
    if len(files) < len(entries):
        warnings.append(f"symbolic links are left out: {len(entries) - len(files)}")
    return _stored(files, warnings)


def _stored(files: list[FileEntry], warnings: list[str]) -> tuple[FileEntry, ...]:
    """``files`` with safe paths."""
    positions = [at for at, entry in enumerate(files) if not entry.padding]
    paths = safe_paths([files[at].path for at in positions])
    renamed = 0
    for at, path in zip(positions, paths, strict=True):
        if path != files[at].path:
            files[at] = replace(files[at], path=path, renamed_from=files[at].path)
            renamed += 1
    if renamed:
        warnings.append(f"files stored under other names, because some system cannot store theirs: {renamed}")
    return tuple(files)


def _file_entry(item: bencode.Value, name: str) -> FileEntry | None:
    """The entry, its path as the torrent has it; None for a symbolic link (BEP 47)."""
    if not isinstance(item, dict):
        raise MetainfoError("an entry of files is not a dictionary")
    path = item.get(utf8_key(item, b"path"))
    if not isinstance(path, list) or not 0 < len(path) < MAX_PATH_DEPTH:
        raise MetainfoError(f"path of a file is not a list of 1 to {MAX_PATH_DEPTH - 1} names")
    attributes = item.get(b"attr")
    if isinstance(attributes, bytes) and b"l" in attributes:
        return None  # a link leads anywhere; it has no bytes of content, whatever its length says
    length = read_integer(item, b"length", 0, MAX_SIZE)
    if _is_padding(item, path, length):
        return FileEntry((name, PADDING_FOLDER, str(length)), length, padding=True)
    return FileEntry((name, *(as_name(part, "path of a file") for part in path)), length)


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
