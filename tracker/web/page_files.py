"""The files of the dashboard in ``static/``: found by a strict name, read once, kept until they change."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "static"
INDEX = "index.html"
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
MAX_FOLDERS = 2  # below ``static/``
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*\Z")


@dataclass(frozen=True)
class PageFile:
    """A file as it is sent."""

    body: bytes
    content_type: str
    tag: str  # the entity tag: a hash of the body


def page_file(body: bytes, content_type: str) -> PageFile:
    """A file with its entity tag."""
    return PageFile(body, content_type, hashlib.sha256(body).hexdigest()[:32])


class PageFiles:
    """The files of a folder and of its subfolders. Thread-safe: a file that is read twice is the same."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._kept: dict[str, tuple[tuple[int, int], PageFile]] = {}

    def find(self, name: str) -> PageFile | None:
        """The file of this name, like ``app.js`` or ``vendor/x.js``. None if there is no such file.

        A name has letters, digits, ``.``, ``_`` and ``-`` only, and no part begins with a dot. So it cannot
        lead out of the folder.
        """
        parts = name.split("/")
        content_type = CONTENT_TYPES.get(Path(name).suffix)
        if content_type is None or len(parts) > MAX_FOLDERS + 1 or not all(map(_NAME.match, parts)):
            return None
        path = self._folder.joinpath(*parts)
        try:
            state = path.stat()
            version = (state.st_mtime_ns, state.st_size)
            kept = self._kept.get(name)
            if kept is None or kept[0] != version:
                kept = version, page_file(path.read_bytes(), content_type)
                self._kept[name] = kept
        except (OSError, ValueError):
            return None
        return kept[1]

    def texts(self, suffixes: Collection[str]) -> dict[str, str]:
        """The files in the folder itself that end so, by name."""
        names = sorted(path.name for path in self._folder.iterdir() if path.suffix in suffixes)
        found = {name: self.find(name) for name in names}
        return {name: file.body.decode() for name, file in found.items() if file is not None}
