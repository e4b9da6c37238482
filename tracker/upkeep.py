"""``python -m tracker check | export | import``: the records, while no tracker works on them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from common.errors import StorageFault
from common.text import sanitize
from tracker.storage.disk import SystemDisk
from tracker.storage.upkeep import check, export, import_

COMMANDS = ("check", "export", "import")


def main(words: Sequence[str], folder: Path) -> int:
    """Carry out one of COMMANDS on the records in ``folder``; 1 if they are damaged or unusable, else 0."""
    options = _parser(folder).parse_args(words)
    disk = SystemDisk()
    try:
        if options.command == "check":
            verdict = check(disk, folder, options.repair)
            lines, code = list(verdict.lines), 0 if verdict.sound else 1
        elif options.command == "export":
            lines, code = [export(disk, folder, options.file)], 0
        else:
            lines, code = [import_(disk, folder, options.file, options.replace)], 0
    except StorageFault as error:
        print(sanitize(str(error)), file=sys.stderr)
        return 1
    for line in lines:
        print(sanitize(line))
    return code


def _parser(folder: Path) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tracker", description=f"The tracker's records in {folder}."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("check", help="read everything, and say what is damaged")
    add.add_argument("--repair", action="store_true", help="set aside what is damaged, keep what can be read")
    add = commands.add_parser("export", help="write all records to one JSON file")
    add.add_argument("file", type=Path, metavar="FILE")
    add = commands.add_parser("import", help="take over the records of an export")
    add.add_argument("file", type=Path, metavar="FILE")
    add.add_argument("--replace", action="store_true", help="in place of those that are there")
    return parser
