"""A torrent as a JSON object, and as lines for people."""

from __future__ import annotations

import json
from datetime import datetime, timezone

from common.errors import SwarmError
from common.magnet import Magnet, format_magnet
from common.metainfo import Metainfo
from common.text import sanitize
from node.show import units

MAX_FILE_LINES = 20  # files that are listed for people; --json lists all


def as_object(file: str, info: Metainfo) -> dict[str, object]:
    """The object that ``show --json`` prints. File numbers of ``--select`` count its ``files`` from 1."""
    return {
        "file": file,
        "name": info.name,
        "info_hash": info.info_hash_hex,
        "size": info.size,
        "piece_length": info.piece_length,
        "pieces": info.geometry.piece_count,
        "files": [{"path": "/".join(entry.path), "size": entry.length} for entry in info.stored_files],
        "trackers": [list(tier) for tier in info.tiers],
        "private": info.private,
        "comment": info.comment,
        "created_by": info.created_by,
        "creation_date": info.creation_date,
        "warnings": list(info.warnings),
    }


def as_lines(file: str, info: Metainfo) -> list[str]:
    """The same for people."""
    files = info.stored_files
    lines = [
        f"{file}",
        f"  name          {info.name}",
        f"  info hash     {info.info_hash_hex}",
        f"  size          {units.size(info.size)} in {counted(len(files), 'file')}",
        f"  pieces        {info.geometry.piece_count} of {units.binary_size(info.piece_length)}",
        *(f"  tracker       {' or '.join(tier)}" for tier in info.tiers),
    ]
    if info.private:
        lines.append("  private       yes: peers come only from these trackers")
    for title, text in (("comment", info.comment), ("created by", info.created_by)):
        if text:
            lines.append(f"  {title:<13} {text}")
    if info.creation_date is not None:
        lines.append(f"  created       {_date(info.creation_date)}")
    lines += [f"  warning       {line}" for line in info.warnings]
    if not info.is_single_file:
        lines += [
            f"  {number:>7}  {units.size(entry.length):>9}  {'/'.join(entry.path)}"
            for number, entry in enumerate(files[:MAX_FILE_LINES], 1)
        ]
        if len(files) > MAX_FILE_LINES:
            lines.append(f"           and {len(files) - MAX_FILE_LINES} more; --json lists all")
    return [sanitize(line) for line in lines]


def refused(file: str, error: SwarmError) -> dict[str, object]:
    """The object for a torrent that is refused."""
    return {"file": file, "error": str(error)}


def json_line(fields: dict[str, object]) -> str:
    """One line of ASCII."""
    return json.dumps(fields)


def magnet_of(info: Metainfo) -> str:
    """The magnet link of a torrent, with its trackers."""
    return format_magnet(Magnet(info.info_hash, sanitize(info.name), info.announce_list))


def counted(count: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _date(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):  # after the year 9999
        return f"{seconds} seconds after 1970"
