"""Output for programs: one JSON object a line on stdout, and nothing else there."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, TextIO

from common.text import sanitize
from node.events import DownloadStatus, Event, FileStatus, PeerStatus, TrackerStatus, as_fields
from node.show.plain import LineWriter

Row = DownloadStatus | FileStatus | PeerStatus | TrackerStatus


def json_line(value: dict[str, Any]) -> str:
    """``value`` in one line of ASCII; what JSON has no number for (inf, nan) is null."""
    return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


class JsonScreen:
    """Every event and answer as an object with the field ``event``; words for people go to ``err``."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = LineWriter(out)
        self._err = LineWriter(err)

    def event(self, event: Event) -> None:
        """``{"event": name, ...fields}``."""
        self._out.write(json_line(event.as_json()))

    def say(self, text: str) -> None:
        """Words for people."""
        self._err.write("\n".join(sanitize(line) for line in text.split("\n")))

    def error(self, text: str) -> None:
        """``{"event": "error", "error": text}``, and the same for people."""
        self._out.write(json_line({"event": "error", "error": text}))
        self._err.write(sanitize(text))

    def status(self, rows: Sequence[DownloadStatus]) -> None:
        """``{"event": "status", "downloads": [...]}``."""
        self._rows("status", downloads=rows)

    def files(self, rows: Sequence[FileStatus]) -> None:
        """``{"event": "files", "files": [...]}``."""
        self._rows("files", files=rows)

    def peers(self, rows: Sequence[PeerStatus], trackers: Sequence[TrackerStatus]) -> None:
        """``{"event": "peers", "peers": [...], "trackers": [...]}``."""
        self._rows("peers", peers=rows, trackers=trackers)

    def _rows(self, event: str, **tables: Sequence[Row]) -> None:
        rows = {name: [as_fields(row) for row in table] for name, table in tables.items()}
        self._out.write(json_line({"event": event, **rows}))

    def flush(self) -> None:
        """Let everything so far be seen."""
        self._out.flush()
        self._err.flush()

    def close(self) -> None:
        """Nothing is left behind."""
        self.flush()
