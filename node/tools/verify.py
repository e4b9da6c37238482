"""``verify X PATH``: which pieces of a torrent are right on this disk."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import SwarmError
from common.metainfo import Metainfo
from common.ranges import RangeSet
from common.text import sanitize
from node.content.hashing import processors
from node.content.torrent_file import parse_torrent_file
from node.content.verifying import VerifiedPieces, verify_path
from node.show.output import PlainOutput
from node.tools.progress import ProgressLine
from node.tools.summary import counted, json_line, refused

MAX_NAMED = 20  # files, or ranges of pieces, that are named for people; --json names all


@dataclass(frozen=True)
class Verify:
    """The command."""

    torrent: str
    path: Path

    def run(self, out: PlainOutput, as_json: bool, cancelled: threading.Event) -> int:
        """Hash and print; 0 if all pieces are right, else 1. SwarmError if it cannot be done."""
        try:
            info = parse_torrent_file(Path(self.torrent).expanduser())
            verified = self._verify(info, cancelled)
        except SwarmError as error:
            if not as_json:
                raise
            out.line(json_line(refused(self.torrent, error)))
            return 1
        if as_json:
            out.line(json_line(self._object(info, verified)))
        else:
            for line in _lines(verified):
                out.line(sanitize(line))
        return 0 if verified.right == verified.pieces else 1

    def _verify(self, info: Metainfo, cancelled: threading.Event) -> VerifiedPieces:
        progress = ProgressLine(sys.stderr)
        try:
            return verify_path(info, self.path, processors(), progress, cancelled)
        finally:
            progress.clear()

    def _object(self, info: Metainfo, verified: VerifiedPieces) -> dict[str, object]:
        return {
            "file": self.torrent,
            "path": str(self.path),
            "name": info.name,
            "info_hash": info.info_hash_hex,
            "pieces": verified.pieces,
            "right": verified.right,
            "wrong": list(verified.wrong),
            "missing": verified.missing,
            "missing_files": list(verified.absent),
            "longer_files": list(verified.longer),
        }


def _lines(verified: VerifiedPieces) -> list[str]:
    if verified.right == verified.pieces:
        lines = [f"right: all of {counted(verified.pieces, 'piece')}"]
    else:
        lines = [f"right: {verified.right} of {counted(verified.pieces, 'piece')}"]
    if verified.wrong:
        lines.append(f"wrong: {len(verified.wrong)} ({_ranges(verified.wrong)})")
    if verified.missing:
        lines.append(f"missing: {verified.missing}")
    lines += _named("missing or too short", verified.absent)
    lines += _named("longer than in the torrent", verified.longer)
    return lines


def _ranges(indexes: Sequence[int]) -> str:
    """``0-3, 7``: indexes of pieces, at most MAX_NAMED ranges."""
    ranges = RangeSet((index, index + 1) for index in indexes)
    shown = [f"{first}-{end - 1}" if end - first > 1 else f"{first}" for first, end in ranges]
    return ", ".join(shown[:MAX_NAMED]) + (", ..." if len(shown) > MAX_NAMED else "")


def _named(title: str, files: Sequence[str]) -> list[str]:
    lines = [f"{title}: {file}" for file in files[:MAX_NAMED]]
    if len(files) > MAX_NAMED:
        lines.append(f"{title}: {len(files) - MAX_NAMED} more files")
    return lines
