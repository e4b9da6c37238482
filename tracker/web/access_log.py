"""The access log: one JSON object a line for each answer, rotated. It never holds a secret.

No header, no query and no body is written: those may carry secrets. JSON's escapes keep control
characters and line ends of a path from forging a line.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
from datetime import datetime, timezone
from pathlib import Path

from common.text import sanitize

MAX_PATH_LENGTH = 200  # characters of a request's path; the rest is not written
KEPT_FILES = 3  # rotated ones


class AccessLog:
    """Appends to ``path``. The constructor may raise OSError; ``write`` never does."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """``max_bytes``: size at which the file is rotated."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handler = logging.handlers.RotatingFileHandler(
            path, maxBytes=max_bytes, backupCount=KEPT_FILES, encoding="ascii"
        )

    def write(self, remote: str, method: str, path: str, status: int, seconds: float, size: int) -> None:
        """Write the line of one answer. ``size``: bytes of its body."""
        line = json.dumps(
            {
                "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
                "remote": sanitize(remote),
                "method": sanitize(method)[:MAX_PATH_LENGTH],
                "path": sanitize(path)[:MAX_PATH_LENGTH],
                "status": status,
                "milliseconds": round(seconds * 1000, 3),
                "bytes": size,
            }
        )
        self._handler.handle(logging.makeLogRecord({"msg": line}))

    def close(self) -> None:
        self._handler.close()
