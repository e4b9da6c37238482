"""File names that look the same and are not: Unicode composes accents in two ways (NFC, NFD).

macOS stores names decomposed, most keyboards type them composed. A user cannot tell such names apart, so a
file is found under either.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path


def find_lookalike(path: Path) -> Path | None:
    """``path``, or a file in the same folder whose name looks the same; None if both are missing."""
    if os.path.lexists(path):
        return path
    if path.name.isascii():
        return None
    wanted = unicodedata.normalize("NFC", path.name)
    try:
        names = os.listdir(path.parent)
    except OSError:
        return None
    return next((path.with_name(n) for n in names if unicodedata.normalize("NFC", n) == wanted), None)
