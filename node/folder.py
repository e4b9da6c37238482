"""The node's folder: its torrents and downloads, and the names that a user types."""

from __future__ import annotations

import os
from pathlib import Path

from common.errors import FileFault
from common.filenames import PART_SUFFIX, RESUME_SUFFIX, SIDE_SUFFIX, TORRENT_SUFFIX
from common.text import sanitize
from node.content.lookalike import find_lookalike


class NodeFolder:
    """The folder ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """Make the folder if it is missing. FileFault if that fails."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileFault(f"folder {sanitize(self.path)} cannot be made: {error.strerror}") from None

    def find(self, name: str, suffix: str = "") -> Path:
        """The file ``name``: a path, or a name in the folder. FileFault if there is none.

        ``suffix`` is added if only that file exists. A name whose accents are composed in another way is
        found, too.
        """
        paths = (Path(name), self.path / name, Path(name + suffix), self.path / (name + suffix))
        for path in paths:
            if _may_exist(path):
                return path
        for path in paths:
            if (alike := _lookalike(path)) is not None:
                return alike
        raise FileFault(f"no such file: {sanitize(name)} (looked here and in {sanitize(self.path)})")

    def files(self) -> list[str]:
        """The names of the files in the folder, sorted; without torrents, unfinished and hidden files."""
        try:
            return sorted(
                entry.name
                for entry in os.scandir(self.path)
                if entry.is_file()
                and not entry.name.startswith(".")
                and not entry.name.endswith((TORRENT_SUFFIX, PART_SUFFIX, RESUME_SUFFIX, SIDE_SUFFIX))
            )
        except OSError:  # it may be written to and not listed
            return []


def _may_exist(path: Path) -> bool:
    """False if there is no such file. True if there is, or if opening it will give the reason."""
    try:
        os.stat(path)
    except PermissionError:
        return True
    except ValueError:  # a NUL, or a character that the file system's encoding does not have
        return False
    except OSError:  # no such file, or a name that is too long; a link that leads nowhere is opened and named
        return os.path.islink(path)
    return True


def _lookalike(path: Path) -> Path | None:
    try:
        return find_lookalike(path)
    except (OSError, ValueError):
        return None
