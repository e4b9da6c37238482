"""Under which names a torrent's file is below the torrent's folder."""

from __future__ import annotations

import os
from pathlib import Path

from common.safe_paths import StoredPath
from common.torrent_files import FileEntry


def names_on_disk(folder: Path, entry: FileEntry) -> StoredPath:
    """The names of the file ``entry`` below the torrent's folder ``folder``; it may be missing.

    Usually these are the safe names. Another program, or the author of the torrent, may have the file under
    the names in the torrent. Those are used only if the safe ones lead nowhere and each of them is one name,
    which cannot leave the folder.
    """
    stored, original = entry.path[1:], entry.renamed_from[1:]
    if not original or stored == original or not all(map(is_one_name, original)):
        return stored
    try:
        is_stored = os.path.lexists(folder.joinpath(*stored))
        return stored if is_stored or not folder.joinpath(*original).is_file() else original
    except (OSError, ValueError):  # a name that this disk cannot have
        return stored


def is_one_name(name: str) -> bool:
    """True unless ``name`` is a path, or leads to another folder."""
    return name not in ("", ".", "..") and not set(name) & {"/", "\\", os.sep, "\0"}
