"""Commands carried out: what every way to drive a node has in common."""

from __future__ import annotations

import os
import threading

from common.errors import SwarmError
from node.commands import HELP, Command, Download, Exit, Files, Help, Peers, Send, Status, parse_command
from node.shell.interfaces import DrivenNode, Screen

UNFINISHED = ("waiting", "checking", "searching", "fetching", "finishing")


def carry_out_line(line: str, node: DrivenNode, screen: Screen, stop: threading.Event) -> bool:
    """Carry out what ``line`` says; an error is one line on ``screen``. False if the user wants to leave."""
    try:
        return carry_out(parse_command(line), node, screen)
    except SwarmError as error:
        if not stop.is_set():  # else it only says that it was stopped
            screen.error(str(error))
        return True


def carry_out(command: Command, node: DrivenNode, screen: Screen) -> bool:
    """Carry out ``command``; False if the user wants to leave. Send blocks, hashing. Raises SwarmError."""
    match command:
        case Send(file):
            node.set_send_mode(expanded(file))
        case Download(file):
            node.set_download_mode(expanded(file))
        case Status():
            screen.status(node.status())
        case Files():
            screen.files(node.files())
        case Peers():
            screen.peers(node.peers(), node.trackers())
        case Help():
            screen.say(HELP)
    return not isinstance(command, Exit)


def expanded(file: str) -> str:
    """``~/x`` as a shell would give it."""
    return os.path.expanduser(file) if file.startswith("~") else file


def unfinished(node: DrivenNode) -> list[str]:
    """For each download that leaving now interrupts, a line that says what is left."""
    kept = "{0} is not finished; {0}.part is kept, and the same command goes on from there"
    nothing = "{0} is not finished; nothing of it has come yet"
    rows = [row for row in node.status() if row.state in UNFINISHED]
    return [(kept if row.received or row.verified else nothing).format(row.filename) for row in rows]
