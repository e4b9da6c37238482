"""Log files in the course report's format: ``[HH:MM:SS]  text``, one file a program, rotated."""

from __future__ import annotations

import logging
import logging.handlers
import re
from pathlib import Path

_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"  # also separators of lines, and half characters
_DIRECTION = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # would show exe.gpj as jpg.exe
# Take no room, so that two names look like one: soft hyphen, joiners, fillers, tags and their kin.
_INVISIBLE = r"\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u206a-\u206f\u3164"
_INVISIBLE += r"\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff"
_HARMFUL = re.compile(f"[{_CONTROL}{_DIRECTION}{_INVISIBLE}]")


def clean(text: object) -> str:
    """``text`` for the eye: without control characters, lone surrogates, and what is invisible or turns text.

    No name can forge or colour a line, or look like another. Only what is shown is changed, never a name.
    """
    return _HARMFUL.sub("�", str(text))


class _OneLine(logging.Formatter):
    """Every record is one line, whatever was put into it."""

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record))


def open_log(path: Path, max_bytes: int) -> logging.Handler:
    """Send the program's log records to ``path``; made with its folder, rotated at ``max_bytes``, 3 kept."""
    handler = log_file(path, max_bytes)
    send_log_to(handler)
    return handler


def log_file(path: Path, max_bytes: int) -> logging.Handler:
    """What ``open_log`` writes with. OSError if the folder cannot be made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=max_bytes, backupCount=3, encoding="utf-8", delay=True
    )
    handler.setFormatter(_OneLine("[%(asctime)s]  %(message)s", datefmt="%H:%M:%S"))
    return handler


def send_log_to(handler: logging.Handler) -> None:
    """The program's log records go there, too."""
    root = logging.getLogger("swarm")
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    root.propagate = False


def log(content: str) -> None:
    """Write one event into this program's log (the report's ``log``)."""
    logging.getLogger("swarm").info("%s", clean(content))  # whoever else listens gets it clean, too
