"""Log files in the course report's format: ``[HH:MM:SS]  text``, one file a program, rotated."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

from common.text import sanitize


class _OneLine(logging.Formatter):
    """Formats every record as one line, whatever text it contains."""

    def format(self, record: logging.LogRecord) -> str:
        return sanitize(super().format(record))


def open_log(path: Path, max_bytes: int) -> logging.Handler:
    """Write the program's log records to ``path``, rotated at ``max_bytes``; three old files are kept."""
    handler = log_file(path, max_bytes)
    send_log_to(handler)
    return handler


def log_file(path: Path, max_bytes: int) -> logging.Handler:
    """A handler that writes to ``path``, for ``send_log_to``. OSError if the folder cannot be made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=max_bytes, backupCount=3, encoding="utf-8", delay=True
    )
    handler.setFormatter(_OneLine("[%(asctime)s]  %(message)s", datefmt="%H:%M:%S"))
    return handler


def send_log_to(handler: logging.Handler) -> None:
    """Pass the program's log records to ``handler``, too."""
    root = logging.getLogger("swarm")
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    root.propagate = False


def log(content: str) -> None:
    """Write one event into this program's log (the report's ``log``)."""
    logging.getLogger("swarm").info("%s", sanitize(content))  # sanitized here for handlers of other libraries
