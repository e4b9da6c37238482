"""Screens: events and answers as lines for people, or as JSON for programs. Called from one thread only."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from common.text import sanitize
from node import events
from node.events import Event, as_fields
from node.recorder.diagram import diagram
from node.show import text
from node.show.piece_map import map_lines
from node.show.tables import TABLES, table

if TYPE_CHECKING:
    from node.show.terminal import LiveBars

PROGRESS_LINES = 1.0  # seconds between two progress lines of one file


class Output(Protocol):
    """A stream of lines. ``width``: columns; None: any number."""

    @property
    def width(self) -> int | None: ...
    def line(self, text: str, style: str = "") -> None: ...
    def flush(self) -> None: ...


class Screen(Protocol):
    """The display of a node."""

    def event(self, event: Event) -> None: ...
    def say(self, text: str) -> None:
        """Some lines for the user."""

    def error(self, text: str) -> None:
        """An error in one line."""

    def answer(self, command: str, **rows: Sequence[Any]) -> None:
        """The answer to ``command`` (status, files, peers, ...): rows by their kind."""

    def flush(self) -> None:
        """Make everything so far visible."""


class TextScreen:
    """Sentences to ``out``, errors to ``err``; both may be the same terminal."""

    def __init__(
        self,
        out: Output,
        err: Output,
        verbose: bool = False,
        progress: bool = False,
        bars: LiveBars | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out = out
        self._err = err
        self._verbose = verbose
        self._progress = progress
        self._bars = bars
        self._clock = clock
        self._next: dict[str, float] = {}  # info hash -> when its next progress line is due

    def event(self, event: Event) -> None:
        """Show one line, unless it is only for --verbose; move the bars."""
        if self._bars is not None:
            self._bars.event(event)
        if isinstance(event, events.Failed) and not isinstance(event, events.Cancelled):
            self._print_error(text.describe(event))
        elif self._verbose or self._is_due(event) or text.is_shown(event):
            self._out.line(text.describe(event), _style(event))
        if isinstance(event, (events.Completed, events.Failed)):
            self._next.pop(event.info_hash, None)

    def _is_due(self, event: Event) -> bool:
        if not self._progress or not isinstance(event, events.Progress):
            return False
        now = self._clock()
        if now < self._next.get(event.info_hash, now):
            return False
        self._next[event.info_hash] = now + PROGRESS_LINES
        return True

    def say(self, text: str) -> None:
        for line in text.split("\n"):
            self._out.line(sanitize(line))

    def error(self, text: str) -> None:
        self._print_error(sanitize(text))

    def _print_error(self, line: str) -> None:
        if self._bars is not None:
            self._bars.clear()
        self._err.line(line, "red")

    def answer(self, command: str, **rows: Sequence[Any]) -> None:
        """Tables, and the lines below them."""
        for kind in sorted(rows.keys() & TABLES.keys()):
            for at, line in enumerate(table(kind, rows[kind]).lines(self._out.width)):
                self._out.line(line, "bold" if at == 0 and rows[kind] else "")
        for row in rows.get("pieces", ()):
            for line in map_lines(row, self._out.width):
                self._out.line(line)
        for dump in rows.get("dumps", ()):
            for line in diagram(dump.messages, self._out.width) or ["no messages"]:
                self._out.line(line)
        if "uploads" in rows:
            self._out.line(text.uploads(rows["uploads"]) or "no uploads")
        for tracker in rows.get("trackers", ()):
            self._out.line(text.tracker(tracker))

    def flush(self) -> None:
        self._out.flush()
        self._err.flush()

    def close(self) -> None:
        if self._bars is not None:
            self._bars.clear()
        self.flush()


def _style(event: Event) -> str:
    if isinstance(event, events.Completed):
        return "green"
    return "yellow" if isinstance(event, text.WARNINGS) else ""


class JsonScreen:
    """Every event and answer as an object with the field ``event``; words for people go to ``err``."""

    def __init__(self, out: Output, err: Output) -> None:
        self._out = out
        self._err = err

    def event(self, event: Event) -> None:
        """``{"event": name, ...fields}``."""
        self._out.line(json_line(event.as_json()))

    def say(self, text: str) -> None:
        for line in text.split("\n"):
            self._err.line(sanitize(line))

    def error(self, text: str) -> None:
        """``{"event": "error", "error": text}``, and a line for people."""
        self._out.line(json_line({"event": "error", "error": text}))
        self._err.line(sanitize(text))

    def answer(self, command: str, **rows: Sequence[Any]) -> None:
        """``{"event": "peers", "peers": [...], "trackers": [...]}``."""
        fields = {kind: [as_fields(row) for row in some] for kind, some in rows.items()}
        self._out.line(json_line({"event": command, **fields}))

    def flush(self) -> None:
        self._out.flush()
        self._err.flush()

    close = flush


def json_line(value: dict[str, Any]) -> str:
    """``value`` in one line of ASCII; inf and nan, for which JSON has no number, are null."""
    return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
