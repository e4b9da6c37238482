"""``python -m labs``: the labs, their grader, and recordings of a swarm."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from common.errors import SwarmError
from labs import live, replay, show
from labs.doctor import cli as doctor
from labs.grader import cli as grader
from labs.handin import cli as handin

INTERRUPTED = 130  # exit code after Ctrl-C, as a shell has it
DESCRIPTION = "The labs, their grader, and recordings of a swarm."


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 if all went well, 1 if a stage failed, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m labs", description=DESCRIPTION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    grader.add_commands(commands)
    show.add_command(commands)
    live.add_command(commands)
    replay.add_command(commands)
    handin.add_commands(commands)
    doctor.add_command(commands)
    options = parser.parse_args(argv)
    try:
        code: int = options.run(options)
    except SwarmError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of the output has ended: head, less
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED
    return code


if __name__ == "__main__":
    sys.exit(main())
