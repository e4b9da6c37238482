"""The node's launcher: options and settings in, one Node driven by one shell, an exit code out."""

from __future__ import annotations

import gc
import ipaddress
import logging
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from common.errors import SettingError, SwarmError
from common.filenames import TORRENT_SUFFIX
from common.logs import log, open_log
from common.text import sanitize
from configs import CFG
from node import events, options
from node.cli_settings import settings_for
from node.events import Event, EventBus
from node.node import Node
from node.options import Options
from node.settings import NodeSettings
from node.shell.execute import expanded, unfinished
from node.shell.one_shot import interrupted, run_once
from node.shell.pipe import read_bytes, run_pipe, split_lines
from node.shell.signals import Stop, ignore_signals, run_until_stopped, stop_on_signals
from node.show.output import PlainOutput, complain, open_missing_streams, prepare_streams
from node.show.queued import QueuedScreen, dropped
from node.show.screen import JsonScreen, TextScreen
from node.show.text import describe
from node.show.toolbar import Toolbar

TORRENT_COMMANDS = ("create", "show", "verify", "magnet")
PART_FAILED = 3  # exit code
_UNLOGGED = (events.Progress, events.Hashing, events.Piece)  # a download would write thousands of lines


def main(argv: Sequence[str] | None = None) -> int:
    """Run a node until its work is done or it is stopped.

    The exit code: 0 all went well, 1 it failed (with a one-line reason), 2 wrong usage, 3 a user's own part
    (-use) failed, and the built-in one took over.
    """
    open_missing_streams()
    prepare_streams()
    ignore_impossible_sizes()
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] and words[0] in TORRENT_COMMANDS:
        from node.tools.cli import main as torrent_command  # a node does without

        return torrent_command(words)
    given = options.parse_options(words)
    try:
        settings = settings_for(given)
        open_node_log(settings.node_id)
    except SettingError as error:
        print(sanitize(error), file=sys.stderr)
        return 2
    except OSError as error:
        print(sanitize(f"logs cannot be written: {error.filename}: {error.strerror}"), file=sys.stderr)
        return 1
    gc.freeze()  # the garbage collector need not look at imported modules: that takes a tenth of the time
    stop = Stop()
    threading.excepthook = stop.on_thread_crash
    stop_on_signals(stop)
    launch = Launch(given, settings, stop)
    try:
        code = launch.run()
    except Exception as error:
        stop.crash(error, "main")
    hidden = launch.close()
    ignore_signals()
    code = 1 if stop.crashed else code
    if hidden:  # a thread is stuck in a write, and holds a lock that the interpreter needs to end
        complain(dropped(hidden))
        os._exit(code)
    return code


class Launch:
    """One run of the program."""

    def __init__(self, given: Options, settings: NodeSettings, stop: Stop) -> None:
        self._given = given
        self._settings = settings
        self._stop = stop
        self._at_prompt = given.command is None and not given.json and is_terminal(sys.stdin, sys.stdout)
        self._leaving = False
        self._toolbar = Toolbar(settings.node_id)
        self._screen = QueuedScreen(
            choose_screen(given, self._at_prompt), ignored_events(given, self._at_prompt)
        )

    def run(self) -> int:
        """Drive a node; the exit code."""
        bus = EventBus()
        for sink in (self._log, self._toolbar.event, self._show):
            bus.subscribe(sink)
        for plugin in self._given.use or ():
            plugin.over.tell = lambda line: bus.emit(events.PartFailed(line))
        node = Node(self._settings, bus.emit)
        try:
            code = run_until_stopped(lambda: self._start(node), self._stop)
            if code == 0:
                code = self._prompt(node) if self._at_prompt else self._work(node)
            self._leaving = True
            if self._given.command is None:
                for line in unfinished(node):
                    self._screen.say(line)
            elif code is None and not self._stop.crashed:
                code = interrupted(node, self._screen, self._given.command)
        finally:
            node.exit_torrent()
        has_failed = any(plugin.over.line for plugin in self._given.use or ())
        return PART_FAILED if has_failed else code or 0

    def close(self) -> int:
        """Show what is left to show; the number of things that could not be shown."""
        return self._screen.close(self._stop)

    def _log(self, event: Event) -> None:
        if not isinstance(event, _UNLOGGED):
            log(describe(event))

    def _show(self, event: Event) -> None:
        if not (self._leaving and isinstance(event, events.Failed) and not self._given.json):
            self._screen.event(event)  # ``unfinished`` reports the downloads that leaving interrupts

    def _start(self, node: Node) -> int:
        command = self._given.command
        try:
            if command is not None and command.verb != "send" and command.file.endswith(TORRENT_SUFFIX):
                node.check_torrent(expanded(command.file))
            node.enter_torrent()
        except SwarmError as error:
            log(str(error))
            self._screen.error(str(error))
            return 1
        self._screen.say("Node program started")
        if any(is_out_of_reach(self._settings.host, url) for url in self._settings.trackers):
            self._screen.error(
                f"this node announces {self._settings.host}, where no node on another machine finds it; "
                "the tracker is on another machine: give -host ADDR, this machine's address"
            )
        return 0

    def _work(self, node: Node) -> int | None:
        """Carry out the command, or those of a pipe; None if stopped meanwhile."""
        command, screen, stop = self._given.command, self._screen, self._stop
        if command is not None:
            return run_until_stopped(
                lambda: run_once(node, screen, command, stop, self._settings.seeds), stop
            )
        lines = split_lines(read_bytes(sys.stdin.fileno()), screen)
        return run_until_stopped(lambda: run_pipe(node, screen, lines, stop), stop)

    def _prompt(self, node: Node) -> int:
        from node.shell.prompt import run_prompt  # takes a third of the time to start: only for a terminal

        def toolbar() -> str:
            return self._toolbar.text(node.status(), node.peers())

        name = f"node {self._settings.node_id}"
        return run_prompt(node, self._screen, self._stop, self._settings.folder, toolbar, name)


def is_out_of_reach(host: str, tracker: str) -> bool:
    """True if a node at ``host`` would announce an address of this machine only to a tracker elsewhere."""
    tracker_host = urlsplit(tracker).hostname or ""
    try:
        tracker_here = ipaddress.ip_address(tracker_host).is_loopback
    except ValueError:  # a name
        tracker_here = False
    return ipaddress.ip_address(host).is_loopback and not tracker_here


def open_node_log(node_id: int | None) -> None:
    """Log to ``logs/node<N>.log``, or ``logs/peer.log`` of standard peers.

    OSError if it cannot be written now. Later failures are silent.
    """
    path = Path(CFG["directory"]["logs_dir"]) / ("peer.log" if node_id is None else f"node{node_id}.log")
    open_log(path, CFG["constants"]["LOG_BYTES"])
    with path.open("a", encoding="utf-8"):
        logging.raiseExceptions = False


def is_terminal(*streams: TextIO) -> bool:
    """True if each of ``streams`` is a terminal."""
    return all(stream.isatty() for stream in streams)


def ignore_impossible_sizes() -> None:
    """Forget ``COLUMNS=0`` and the like: the terminal knows its size."""
    for name in ("COLUMNS", "LINES"):
        text = os.environ.get(name, "")
        if not (text.isascii() and text.isdigit() and int(text[:6]) > 0):
            os.environ.pop(name, None)


def choose_screen(given: Options, at_prompt: bool) -> TextScreen | JsonScreen:
    """JSON if asked for; colours and bars on a terminal; plain lines elsewhere and for piped commands."""
    if given.json:
        return JsonScreen(PlainOutput(sys.stdout), PlainOutput(sys.stderr))
    if at_prompt or (given.command is not None and is_terminal(sys.stdout)):
        from rich.console import Console  # takes long to import: only for a terminal

        from node.show.terminal import LiveBars, TerminalOutput

        out, err = Console(highlight=False), Console(stderr=True, highlight=False)
        bars = None if at_prompt or given.verbose else LiveBars(out)
        return TextScreen(TerminalOutput(out), TerminalOutput(err), given.verbose, bars=bars)
    return TextScreen(PlainOutput(sys.stdout), PlainOutput(sys.stderr), given.verbose, given.progress)


def ignored_events(given: Options, at_prompt: bool) -> tuple[type[Event], ...]:
    """Events that the chosen screen would not show; there may be thousands a second.

    With one command, the exit code comes with the reason of a failure, and a file is shared only until the
    program ends.
    """
    if given.json:
        return ()
    ignored: list[type[Event]] = []
    if given.command is not None:
        ignored += [events.Failed, events.FilesNotShared]
        if given.command.verb == "download":
            ignored.append(events.Sharing)
    if not given.verbose:
        ignored += [events.Piece, events.PeerChanged]
        bars = given.command is not None and is_terminal(sys.stdout)
        if at_prompt or not (bars or given.progress):
            ignored += [events.Progress, events.Hashing]
    return tuple(ignored)
