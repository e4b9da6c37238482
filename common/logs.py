"""Log files in the course report's format: ``[HH:MM:SS]  text``, one file a program, rotated."""

from __future__ import annotations

import logging
import logging.handlers
import re
from pathlib import Path

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def clean(text: object) -> str:
    """``text`` without control characters and lone surrogates: no name can forge or colour a line."""
    return _CONTROL.sub("�", str(text))


class _OneLine(logging.Formatter):
    """Every record is one line, whatever was put into it."""

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record))


def open_log(path: Path, max_bytes: int) -> logging.Handler:
    """Send the program's log records to ``path``; made with its folder, rotated at ``max_bytes``, 3 kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=max_bytes, backupCount=3, encoding="utf-8", delay=True
    )
    handler.setFormatter(_OneLine("[%(asctime)s]  %(message)s", datefmt="%H:%M:%S"))
    root = logging.getLogger("swarm")
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    root.propagate = False
    return handler


def log(content: str) -> None:
    """Write one event into this program's log (the report's ``log``)."""
    logging.getLogger("swarm").info("%s", clean(content))  # whoever else listens gets it clean, too
