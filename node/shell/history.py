"""Commands typed before, kept over restarts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.history import History

from common.files import atomic_write

LIMIT = 1000  # commands kept


class CommandHistory(History):
    """One command a line in ``path``, LIMIT at most; a file that cannot be read or written is no history."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._count = 0  # lines in the file, once loaded

    def load_history_strings(self) -> Iterable[str]:
        """Newest first, as prompt_toolkit wants it."""
        lines: list[str] = []
        with contextlib.suppress(OSError):
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        self._count = len(lines)
        return reversed(lines[-LIMIT:])

    def store_string(self, string: str) -> None:
        """Append; now and then forget the oldest."""
        with contextlib.suppress(OSError):
            with self._path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(" ".join(string.splitlines()) + "\n")
            self._count += 1
            if self._count > 2 * LIMIT:
                self._forget()

    def _forget(self) -> None:
        newest = self._path.read_text(encoding="utf-8", errors="replace").splitlines()[-LIMIT:]
        content = "".join(line + "\n" for line in newest)
        atomic_write(self._path, content.encode(errors="replace"), sync=False)
        self._count = len(newest)
