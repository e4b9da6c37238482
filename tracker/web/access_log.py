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

MAX_PATH = 200  # characters of a request's path that are written
KEPT = 3  # rotated files


class AccessLog:
    """Appends to ``path``; may raise OSError when made, never later."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """A new file is begun after ``max_bytes``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handler = logging.handlers.RotatingFileHandler(
            path, maxBytes=max_bytes, backupCount=KEPT, encoding="ascii"
        )

    def write(self, remote: str, method: str, path: str, status: int, seconds: float, size: int) -> None:
        """One line: who asked what, and what came of it. ``size``: bytes of the answer's body."""
        line = json.dumps(
            {
                "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
                "remote": sanitize(remote),
                "method": sanitize(method)[:MAX_PATH],
                "path": sanitize(path)[:MAX_PATH],
                "status": status,
                "milliseconds": round(seconds * 1000, 3),
                "bytes": size,
            }
        )
        self._handler.handle(logging.makeLogRecord({"msg": line}))

    def close(self) -> None:
        """Close the file."""
        self._handler.close()
