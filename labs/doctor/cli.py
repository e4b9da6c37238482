"""``python -m labs doctor``: the command."""

from __future__ import annotations

import argparse

from labs.doctor.checks import findings
from labs.doctor.facts import gather

HOST, PORT = "127.0.0.1", 12345  # of a tracker on this computer


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``doctor`` to ``python -m labs``."""
    parser = commands.add_parser("doctor", help="is this computer ready? a line for each check, with its fix")
    parser.add_argument("--host", default=HOST, help=f"the address that nodes will use (default: {HOST})")
    parser.add_argument("--port", type=int, default=PORT, help=f"the tracker's (default: {PORT})")
    parser.add_argument("--tracker", default="", metavar="URL", help="compare this clock with the tracker's")
    parser.set_defaults(run=examine)


def examine(options: argparse.Namespace) -> int:
    """Print the checks; exit code 1 if something is wrong."""
    found = findings(gather(options.host, options.port, options.tracker))
    print("\n".join(each.line for each in found))
    return 1 if any(each.fix for each in found) else 0
