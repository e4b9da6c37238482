"""Driven by the command line alone: ``-setMode send|download FILE``, ``X.torrent``, ``X.torrent -s PATH``."""

from __future__ import annotations

import threading
from pathlib import Path

from common.errors import CommandError, SwarmError
from common.filenames import TORRENT_SUFFIX
from common.text import sanitize
from node.commands import Command
from node.node import Node
from node.shell.execute import UNFINISHED, expanded
from node.shell.signals import wait_until
from node.show.screen import Screen


def run_once(node: Node, screen: Screen, command: Command, stop: threading.Event, seeds: bool) -> int:
    """Serve until ``stop``, or fetch, and then serve until ``stop`` if ``seeds``.

    The exit code: 0, or 1 after a one-line reason.
    """
    try:
        if command.verb == "download":
            _fetch(node, command)
        else:
            _serve(node, command)
        if seeds:
            wait_until(stop)
        return 0
    except SwarmError as error:
        if not stop.is_set():  # else it failed because the program was stopped
            screen.error(str(error))
        return 1


def _serve(node: Node, command: Command) -> None:
    if command.verb == "serve":
        node.serve(expanded(command.file), Path(command.argument))
        return
    if command.file.endswith(TORRENT_SUFFIX):
        file = sanitize(command.file)
        raise CommandError(f"{file} is a torrent: did you mean -setMode download {file}?")
    node.set_send_mode(expanded(command.file))


def _fetch(node: Node, command: Command) -> None:
    download = node.set_download_mode(expanded(command.file))
    download.done.wait()
    if download.error is not None:
        raise download.error


def interrupted(node: Node, screen: Screen, command: Command) -> int:
    """The exit code after a signal: 0 for serving and for a finished download, else 1 with a reason."""
    rows = node.status()
    if command.verb != "download" or any(row.state == "completed" for row in rows):
        return 0
    kept = [f"; {row.filename}.part is kept" for row in rows if row.state in UNFINISHED and row.received]
    screen.error("interrupted" + "".join(kept))
    return 1
