"""``magnet X``: print the magnet link of a torrent."""

from __future__ import annotations

from pathlib import Path

from node.content.torrent_file import parse_torrent_file
from node.show.output import PlainOutput
from node.tools.summary import magnet_of


def show_magnet(file: str, out: PlainOutput) -> int:
    """Print the link; 0. SwarmError if the torrent is refused."""
    out.line(magnet_of(parse_torrent_file(Path(file).expanduser())))
    return 0
