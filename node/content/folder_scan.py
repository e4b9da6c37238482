"""The files below a folder, in the order that a torrent lists them.

Files are sorted by the bytes of their whole path, as mktorrent and libtorrent's canonical order do, so the
same folder has the same info hash on every system. Links are followed, as both programs do. Hidden files
belong to the torrent; empty folders do not.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from common.errors import FileFault
from common.safe_paths import StoredPath
from common.text import sanitize
from common.torrent_encoding import encode_name
from common.torrent_files import MAX_FOLDER_FILES, MAX_PATH_DEPTH
from node.content.os_errors import file_fault
from node.content.shared_file import Identity, identity_of


class ScannedFile(NamedTuple):
    """A file that was found: its path below the folder, and its identity at that time."""

    names: StoredPath
    path: Path
    identity: Identity

    @property
    def length(self) -> int:
        """Bytes."""
        return self.identity[2]


def scan_folder(folder: Path, follow_links: bool = True) -> list[ScannedFile]:
    """All files below ``folder``, sorted. FileFault if one cannot be read, is no plain file, or for no files.

    Also if there are more than MAX_FOLDER_FILES, or a link leads back to a folder that it is in. Without
    ``follow_links`` every link is an error.
    """
    found: list[ScannedFile] = []
    for file in _walk(folder, (), (), follow_links):
        found.append(file)
        if len(found) > MAX_FOLDER_FILES:
            raise FileFault(f"{sanitize(folder)} has more than {MAX_FOLDER_FILES} files")
    if not found:
        raise FileFault(f"{sanitize(folder)} has no files")
    return sorted(found, key=lambda file: b"/".join(map(_encoded_name, file.names)))


def _walk(
    folder: Path, names: StoredPath, above: tuple[tuple[int, int], ...], follow_links: bool
) -> Iterator[ScannedFile]:
    """``above``: device and inode of each folder on the way."""
    try:
        status = os.stat(folder)
        here = (status.st_dev, status.st_ino)
        if here in above:
            raise FileFault(f"{sanitize(folder)} is a link to a folder that it is in")
        with os.scandir(folder) as listed:
            entries = [(entry.name, entry.stat(follow_symlinks=follow_links)) for entry in listed]
    except OSError as error:
        raise file_fault(Path(error.filename or folder), error) from None
    if len(names) + 1 >= MAX_PATH_DEPTH:
        raise FileFault(f"{sanitize(folder)} is more than {MAX_PATH_DEPTH - 1} folders deep")
    for name, status in entries:
        path = folder / name
        _encoded_name(name)
        if stat.S_ISDIR(status.st_mode):
            yield from _walk(path, (*names, name), (*above, here), follow_links)
        elif stat.S_ISREG(status.st_mode):
            yield ScannedFile((*names, name), path, identity_of(status))
        elif stat.S_ISLNK(status.st_mode):
            raise FileFault(f"{sanitize(path)} is a link; only plain files are shared")
        else:
            raise FileFault(f"{sanitize(path)} is no plain file")


def _encoded_name(name: str) -> bytes:
    try:
        return encode_name(name)
    except UnicodeEncodeError:  # Windows has names with half a character
        raise FileFault(f"file name {sanitize(name)} is not valid Unicode") from None
