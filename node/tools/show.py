"""``show X...``: print the fields of torrents."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from common.errors import SwarmError
from common.text import sanitize
from node.content.torrent_file import parse_torrent_file
from node.show.output import PlainOutput
from node.tools.summary import as_lines, as_object, json_line, refused


def show_torrents(files: Sequence[str], out: PlainOutput, as_json: bool) -> int:
    """Print each torrent, or why it is refused. The exit code: 1 if any is refused."""
    code = 0
    for file in files:
        try:
            info = parse_torrent_file(Path(file).expanduser())
        except SwarmError as error:
            code = 1
            if as_json:
                out.line(json_line(refused(file, error)))
            else:
                out.flush()
                print(sanitize(error), file=sys.stderr)
            continue
        lines = [json_line(as_object(file, info))] if as_json else as_lines(file, info)
        for line in lines:
            out.line(line)
    return code
