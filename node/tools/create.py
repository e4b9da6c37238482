"""``create PATH``: write a torrent of a file or folder."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from common.errors import FileFault, SwarmError
from common.filenames import TORRENT_SUFFIX
from common.metainfo import Metainfo, decode_metainfo
from common.text import sanitize
from common.torrent_encoding import TorrentNotes
from common.tracker_tiers import MAX_TRACKERS, Tiers
from node.content.hashing import processors
from node.content.new_torrent import NewTorrent
from node.content.torrent_file import CREATED_BY, parse_torrent_file, write_torrent
from node.show import units
from node.show.output import PlainOutput
from node.tools.progress import ProgressLine
from node.tools.summary import as_object, counted, json_line


@dataclass(frozen=True)
class Create:
    """The command. ``out`` None: ``NAME.torrent`` in the current folder."""

    path: Path
    out: Path | None
    tiers: Tiers = ()
    piece_length: int | None = None
    private: bool = False
    comment: str = ""

    def run(self, out: PlainOutput, as_json: bool, cancelled: threading.Event) -> int:
        """Hash, write, print the path and the info hash; 0. SwarmError if it cannot be done."""
        planned = NewTorrent.plan(self.path, self.piece_length)
        output = self._output(planned)
        progress = ProgressLine(sys.stderr)
        try:
            data = planned.encode(self._notes(), processors(), progress, cancelled)
        finally:
            progress.clear()
        info = decode_metainfo(data)
        if not _may_replace(output, info):
            raise _in_the_way(output)
        write_torrent(output, data)
        _print(output, info, out, as_json)
        return 0

    def _output(self, planned: NewTorrent) -> Path:
        """Where the torrent goes. FileFault, before anything is hashed, if it cannot go there."""
        name = planned.name + TORRENT_SUFFIX
        output = Path(name) if self.out is None else self.out
        if output.is_dir():
            output /= name
        folder = output.parent
        if not folder.is_dir():
            raise FileFault(f"{sanitize(folder)}: no such folder")
        if not os.access(folder, os.W_OK):
            raise FileFault(f"{sanitize(folder)}: no permission to write there")
        root = self.path.resolve()
        if planned.listed is not None and root in (output.resolve(), *output.resolve().parents):
            raise FileFault(
                f"{sanitize(output)} would be inside the folder that it describes; give -o OUT outside"
            )
        if os.path.lexists(output) and not _is_like(output, planned):
            raise _in_the_way(output)
        return output

    def _notes(self) -> TorrentNotes:
        urls = list(dict.fromkeys(url for tier in self.tiers for url in tier))
        if len(urls) > MAX_TRACKERS:
            raise FileFault(f"{len(urls)} trackers are more than {MAX_TRACKERS}")
        return TorrentNotes(
            announce=urls[0] if urls else "",
            tiers=self.tiers if len(urls) > 1 else (),
            private=self.private,
            comment=self.comment.encode("utf-8", "replace").decode("utf-8"),
            created_by=CREATED_BY,
            creation_date=int(time.time()),
        )


def _print(output: Path, info: Metainfo, out: PlainOutput, as_json: bool) -> None:
    if as_json:
        out.line(json_line(as_object(str(output), info)))
        return
    out.line(sanitize(output))
    out.line(f"info hash {info.info_hash_hex}")
    pieces = f"{counted(info.geometry.piece_count, 'piece')} of {units.binary_size(info.piece_length)}"
    out.line(f"{units.size(info.size)} in {counted(len(info.files), 'file')}, {pieces}")
    for warning in info.warnings:
        out.line(f"warning: {warning}")


def _is_like(output: Path, planned: NewTorrent) -> bool:
    """True if the file in the way may be a torrent of the same content, as far as that is known yet."""
    try:
        present = parse_torrent_file(output)
    except SwarmError:
        return False
    return present.geometry == planned.geometry


def _may_replace(output: Path, info: Metainfo) -> bool:
    """True if nothing is lost: no file is there, or a torrent of the same content."""
    if not os.path.lexists(output):
        return True
    try:
        return parse_torrent_file(output).info_hash == info.info_hash
    except SwarmError:
        return False


def _in_the_way(output: Path) -> FileFault:
    return FileFault(f"{sanitize(output)} exists and is no torrent of this content; give another -o OUT")
