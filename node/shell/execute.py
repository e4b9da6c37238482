"""Carries out commands for the prompt and the pipe."""

from __future__ import annotations

import argparse
import os
import threading

from common.errors import CommandError, SwarmError
from common.filenames import TORRENT_SUFFIX
from common.text import sanitize
from node.commands import NOTES, USAGES, Command, parse_command
from node.message_faults import parse_node_faults
from node.node import Node
from node.option_values import file_numbers
from node.show.screen import Screen

UNFINISHED = ("metadata", "waiting", "checking", "searching", "fetching", "finishing")


class Executor:
    """Carries out the commands of one session."""

    def __init__(self, node: Node, screen: Screen, stop: threading.Event) -> None:
        self._node = node
        self._screen = screen
        self._stop = stop
        self._asked: Command | None = None  # the command that the user has been asked about

    def line(self, line: str) -> bool:
        """Carry out one line; an error is one line on the screen. False if the user wants to leave."""
        try:
            return self.run(parse_command(line))
        except SwarmError as error:
            self.failed(error)
            return True

    def failed(self, error: SwarmError) -> None:
        """Show why a command failed, unless it failed because the program was stopped."""
        if not self._stop.is_set():
            self._screen.error(str(error))

    def run(self, command: Command) -> bool:
        """Carry out ``command``; False if the user wants to leave. Send blocks, hashing. SwarmError."""
        asked, self._asked = self._asked, None
        file = expanded(command.file)
        match command.verb:
            case "send":
                if file.endswith(TORRENT_SUFFIX) and command != asked:
                    self._asked = command
                    raise CommandError(
                        f"{sanitize(file)} is a torrent: did you mean 'download {sanitize(file)}'?"
                        " (the same command again shares the torrent itself)"
                    )
                self._node.set_send_mode(file)
            case "download":
                self._node.set_download_mode(file)
            case "stop":
                self._node.stop_file(file)
            case "status":
                uploads = [row for row in self._node.peers() if row.direction == "to" and row.rate > 0]
                self._screen.answer("status", downloads=self._node.status(), uploads=uploads)
            case "files":
                self._screen.answer("files", files=self._node.files())
            case "peers":
                self._screen.answer("peers", peers=self._node.peers(), trackers=self._node.trackers())
            case "pieces":
                self._screen.answer("pieces", pieces=[self._node.pieces(command.file)])
            case "dump":
                self._screen.answer("dump", dumps=[self._node.dump(command.file)])
            case "faults":
                self._node.set_faults(parse_node_faults(command.file))
            case "list":
                self._screen.answer("list", torrents=self._node.listed_torrents())
            case "pause":
                self._node.pause(command.file)
            case "resume":
                self._node.resume(command.file)
            case "select":
                self._node.select(command.file, selection(command.argument))
            case "help":
                self._help()
        return command.verb != "exit"

    def _help(self) -> None:
        self._screen.answer("help", commands=USAGES)
        self._screen.say(NOTES)


def selection(text: str) -> frozenset[int] | None:
    """The numbers in ``1,3-5``; None for ``all``. CommandError."""
    try:
        return None if text == "all" else file_numbers(text)
    except argparse.ArgumentTypeError as error:
        raise CommandError(str(error)) from None


def expanded(file: str) -> str:
    """``file`` with ``~`` replaced, as a shell would."""
    return os.path.expanduser(file) if file.startswith("~") else file


def unfinished(node: Node) -> list[str]:
    """One line for each download that is not finished."""
    kept = "{0} is not finished; {0}.part is kept, and the same command continues from there"
    nothing = "{0} is not finished; nothing of it has arrived yet"
    rows = [row for row in node.status() if row.state in UNFINISHED]
    return [(kept if row.received or row.verified else nothing).format(row.filename) for row in rows]
