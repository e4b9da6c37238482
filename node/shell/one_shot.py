"""Driven by one command on the command line: ``-setMode send|download FILE``."""

from __future__ import annotations

import threading

from common.errors import SwarmError
from node.commands import Download, Send
from node.shell.actions import UNFINISHED, expanded
from node.shell.interfaces import DrivenNode, Screen
from node.shell.stop import wait_until


def run_once(node: DrivenNode, screen: Screen, command: Send | Download, stop: threading.Event) -> int:
    """Serve a file until ``stop``, or fetch one. The exit code: 0, or 1 after a one-line reason."""
    try:
        return _serve(node, command, stop) if isinstance(command, Send) else _fetch(node, command)
    except SwarmError as error:
        if not stop.is_set():  # else it only says that it was stopped
            screen.error(str(error))
        return 1


def _serve(node: DrivenNode, command: Send, stop: threading.Event) -> int:
    node.set_send_mode(expanded(command.file))
    wait_until(stop)
    return 0


def _fetch(node: DrivenNode, command: Download) -> int:
    download = node.set_download_mode(expanded(command.file))
    download.done.wait()
    if download.error is not None:
        raise download.error
    return 0


def interrupted(node: DrivenNode, screen: Screen, command: Send | Download) -> int:
    """Being stopped is how serving ends (0), but no end for a download that is not finished (1, and why)."""
    rows = node.status()
    if isinstance(command, Send) or any(row.state == "completed" for row in rows):
        return 0
    kept = [f"; {row.filename}.part is kept" for row in rows if row.state in UNFINISHED and row.received]
    screen.error("interrupted" + "".join(kept))
    return 1
