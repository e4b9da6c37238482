"""Giving the complete files of a folder their names in NAME, without replacing anything.

If all files are complete, NAME.part is renamed to NAME in one step. That needs a NAME that is missing or
empty: rename(2) refuses to replace a folder with files. Else the selected files move one by one, each by a
link, which fails if its name is taken.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Collection

from common.errors import FileFault
from common.files import sync_folder
from common.text import sanitize
from node.content.folder_tree import FolderTree, tree_fault
from node.content.os_errors import write_fault
from node.content.part_folder import PartFolder, Place
from node.content.selection import selectable
from node.content.shared_file import Identity, identity_of

_TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EACCES})


def finish_folder(part: PartFolder, selected: Collection[int]) -> None:
    """Sync the ``selected`` files, all of whose pieces are verified, and move them to NAME.

    FileFault, with everything kept, if a name is taken, a file was replaced meanwhile, or the disk fails.
    Files that moved before the fault stay in NAME.
    """
    files = [file for file in sorted(selected) if part.places[file] is Place.PART]
    for file in files:
        part.parts.check_still(file)
        part.parts.create(file)  # it is missing if it is empty, or all zeros
    part.sync()
    identities = {file: identity_of(part.parts.status_of_open(file)) for file in files}
    is_whole = set(files) == set(selectable(part.info))
    try:
        if is_whole and _is_free(part):
            _rename_whole(part, identities)
        else:
            _move_files(part, identities)
    except OSError as error:
        raise write_fault(part.path, error) from None


def _is_free(part: PartFolder) -> bool:
    """True if NAME is missing, or is an empty folder."""
    path = part.final_path
    if not os.path.lexists(path):
        return True
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())


def _rename_whole(part: PartFolder, identities: dict[int, Identity]) -> None:
    folders = {part.info.files[file].path[1:depth] for file in identities for depth in _depths(part, file)}
    part.tree.sync(folders)
    with part.moving:
        if os.name == "posix" and not _is_still(part):
            raise FileFault(f"{sanitize(part.path)} was replaced while it was downloaded")
        if os.name == "nt":
            part.parts.close()  # Windows does not rename a folder with open files
            with contextlib.suppress(OSError):
                os.rmdir(part.final_path)  # nor does it replace an empty one
        try:
            os.rename(part.path, part.final_path)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            raise FileFault(
                f"{sanitize(part.final_path)} exists; it is not overwritten, "
                f"{sanitize(part.path.name)} is kept"
            ) from None
        for file, identity in identities.items():
            part.set_final(file, identity)
    sync_folder(part.path.parent)


def _move_files(part: PartFolder, identities: dict[int, Identity]) -> None:
    part.final_path.mkdir(exist_ok=True)
    final = FolderTree(part.final_path, follow=True)
    for file, identity in identities.items():
        names = part.info.files[file].path[1:]
        try:
            with part.moving:
                part.tree.move_file(names, final)
                part.set_final(file, identity)
        except FileExistsError:
            raise part.another_file(file) from None
        except OSError as error:
            raise tree_fault(final.join(names), error, writing=True) from None
        part.tree.remove_empty_folders(names)
    final.sync({part.info.files[file].path[1:depth] for file in identities for depth in _depths(part, file)})
    final.close()
    sync_folder(part.path.parent)


def _depths(part: PartFolder, file: int) -> range:
    """The lengths of the paths of all folders above a file, with the torrent's name."""
    return range(1, len(part.info.files[file].path))


def _is_still(part: PartFolder) -> bool:
    """True if NAME.part still leads to the folder that was opened."""
    try:
        return os.path.samestat(os.lstat(part.path), os.fstat(part.tree.root.number))
    except FileNotFoundError:
        return False
