"""Where the files of a torrent are stored: one rule that renames what some system cannot store.

The rule is the same on every system and looks at nothing but the torrent. So every node stores a torrent
under the same names, and a folder that was renamed once is found again, to be served or verified.

1. In each name ``_`` takes the place of every character that some system cannot store, of dots and blanks at
   the end, and of an empty name. ``_`` is put before the name of a device (``_NUL.txt``).
2. A name of more than 255 bytes is cut: ``stem~MARK.ext``. In a path of more than 700 bytes ``~MARK`` takes
   the place of all folders between the first and the file.
3. Two paths that some disk takes for one (it ignores case, or normalises accents) become different: the later
   file is stored as ``stem~MARK.ext``. So is a file whose path is a folder of other files on such a disk.

MARK is the first 8 hexadecimal digits of the SHA-1 of the path in the torrent. A torrent is refused if one
path is in it twice, if a path is both a file and a folder, or if a renamed path still meets another one.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeAlias

from common.errors import MetainfoError
from common.filenames import (
    MAX_COMPONENT_BYTES,
    MAX_NAME_BYTES,
    PART_SUFFIX,
    UNSTORABLE,
    is_device_name,
    why_not_component,
)

StoredPath: TypeAlias = tuple[str, ...]
"""Names from the torrent's folder down to a file. Bytes that are not UTF-8 are lone surrogates in them."""

MAX_PATH_BYTES = 700  # of a stored path; macOS allows 1,024 with the folder that it is in
MAX_EXTENSION_BYTES = 16  # a longer ending is not an extension, and is cut with the rest

_MARK_DIGITS = 8  # of the SHA-1 of a path
_CACHED_NAMES = 4096  # most files of a torrent are in a few folders


def safe_paths(paths: Sequence[StoredPath]) -> list[StoredPath]:
    """Where the files ``paths`` of a torrent are stored, in the same order, below the folder that is first.

    Most paths stay as they are. MetainfoError if two files cannot be kept apart.
    """
    _check_distinct(paths, lambda path: path)
    stored = [_safe_path(path) for path in paths]
    keys = [_folded(path) for path in stored]
    folders = {key[:depth] for key in keys for depth in range(1, len(key))}
    taken: set[StoredPath] = set()
    for at, path in enumerate(paths):
        if keys[at] in taken or keys[at] in folders:
            stored[at] = (*stored[at][:-1], _marked(stored[at][-1], _mark(path)))
            keys[at] = _folded(stored[at])
        taken.add(keys[at])
    _check_distinct(stored, _folded)
    return stored


def safe_name(name: str) -> str:
    """The name under which the one file, or the folder, of a torrent is stored.

    It leaves room for ``.torrent``. If it ends in ``.part``, as unfinished downloads do, ``_`` replaces the
    dot.
    """
    safe = _safe_name(name, MAX_NAME_BYTES)
    at = len(safe) - len(PART_SUFFIX)
    return f"{safe[:at]}_{safe[at + 1 :]}" if safe.lower().endswith(PART_SUFFIX) else safe


@lru_cache(_CACHED_NAMES)
def safe_component(name: str) -> str:
    """The name under which the file or folder ``name`` inside a torrent is stored."""
    return _safe_name(name, MAX_COMPONENT_BYTES)


def _safe_name(name: str, limit: int) -> str:
    if not why_not_component(name) and len(name.encode("utf-8")) <= limit:
        return name
    safe = UNSTORABLE.sub("_", name)
    kept = safe.rstrip(". ")
    safe = kept + "_" * (len(safe) - len(kept)) or "_"
    if is_device_name(safe):
        safe = "_" + safe
    return safe if len(safe.encode("utf-8")) <= limit else _marked(safe, _mark((name,)), limit)


def _safe_path(path: StoredPath) -> StoredPath:
    first, *names = path
    stored = (safe_name(first), *map(safe_component, names))
    if len("/".join(stored).encode("utf-8")) + 1 + _MARK_DIGITS <= MAX_PATH_BYTES:  # a mark may follow
        return stored
    return stored[0], f"~{_mark(path[:-1])}", stored[-1]


def _mark(path: StoredPath) -> str:
    raw = "/".join(path).encode("utf-8", "surrogateescape")
    return hashlib.sha1(raw, usedforsecurity=False).hexdigest()[:_MARK_DIGITS]


def _marked(name: str, mark: str, limit: int = MAX_COMPONENT_BYTES) -> str:
    """``stem~MARK.ext`` of at most ``limit`` bytes: the stem is cut to fit, at the end of a character."""
    stem, dot, ending = name.rpartition(".")
    extension = dot + ending
    if not stem or len(extension.encode("utf-8")) > MAX_EXTENSION_BYTES:
        stem, extension = name, ""
    room = limit - len(extension.encode("utf-8")) - len(mark) - 1
    return f"{stem.encode('utf-8')[:room].decode('utf-8', 'ignore')}~{mark}{extension}"


def _folded(path: StoredPath) -> StoredPath:
    """The same for all paths that some disk takes for one."""
    return tuple(map(_folded_name, path))


@lru_cache(_CACHED_NAMES)
def _folded_name(name: str) -> str:
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def _check_distinct(paths: Sequence[StoredPath], key: Callable[[StoredPath], StoredPath]) -> None:
    """MetainfoError if two paths have one key, or the key of a file is that of another file's folder."""
    keys: set[StoredPath] = set()
    folders: set[StoredPath] = set()
    for path in paths:
        found = key(path)
        if found in keys:
            raise MetainfoError("two files of one path")
        keys.add(found)
        folders.update(found[:depth] for depth in range(1, len(found)))
    if keys & folders:
        raise MetainfoError("a file of the torrent is also one of its folders")
