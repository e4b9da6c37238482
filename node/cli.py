"""The node's launcher: options and settings in, one Node driven by one shell, an exit code out."""

from __future__ import annotations

import argparse
import gc
import ipaddress
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO, TypeVar
from urllib.parse import urlsplit

from common.errors import SettingError, SwarmError
from common.logs import log, open_log
from common.text import sanitize
from configs import CFG
from node import events, options
from node.events import Event
from node.node import Node
from node.options import Options
from node.settings import NodeSettings, TransferSettings
from node.shell.actions import unfinished
from node.shell.one_shot import interrupted, run_once
from node.shell.pipe import read_bytes, run_pipe, split_lines
from node.shell.stop import attend, ignore_signals, stop_on_signals
from node.show.json_lines import JsonScreen
from node.show.lines import sentence
from node.show.plain import PlainScreen
from node.show.queued import AnyScreen, QueuedScreen
from node.show.toolbar import Toolbar

Checked = TypeVar("Checked")
_UNLOGGED = (events.Progress, events.Hashing, events.Piece)  # a download would write thousands of lines


def main(argv: Sequence[str] | None = None) -> int:
    """Run a node until its work is done or it is stopped. 0 well, 1 with a one-line reason, 2 wrong usage."""
    prepare(sys.stdout)
    prepare(sys.stderr)
    given = options.parse_options(argv)
    try:
        settings = settings_for(given)
        open_node_log(settings.node_id)
    except SettingError as error:
        print(sanitize(error), file=sys.stderr)
        return 2
    except OSError as error:
        print(sanitize(f"logs cannot be written: {error.filename}: {error.strerror}"), file=sys.stderr)
        return 1
    gc.freeze()  # what the imports have made stays: to look at it again and again costs a tenth
    stop = threading.Event()
    stop_on_signals(stop)
    code, shown = Launch(given, settings, stop).run()
    ignore_signals()
    if not shown:  # a thread is stuck in a write nobody reads, and holds a lock the interpreter's end wants
        os._exit(code)
    return code


class Launch:
    """One run of the program."""

    def __init__(self, given: Options, settings: NodeSettings, stop: threading.Event) -> None:
        self._given = given
        self._settings = settings
        self._stop = stop
        self._at_prompt = given.command is None and not given.json and is_terminal(sys.stdin, sys.stdout)
        self._entered = False
        self._toolbar = Toolbar(settings.node_id)
        self._screen = QueuedScreen(
            choose_screen(given, self._at_prompt), ignored_events(given, self._at_prompt)
        )

    def run(self) -> tuple[int, bool]:
        """The exit code, and whether everything could be shown."""
        node = Node(self._settings, self._on_event)
        try:
            code = attend(lambda: self._start(node), self._stop)
            if code == 0 and not self._at_prompt:
                code = attend(lambda: self._work(node), self._stop)
            elif code == 0:
                code = self._prompt(node)
            if self._given.command is None:
                for line in unfinished(node):
                    self._screen.say(line)
            elif code is None:
                code = interrupted(node, self._screen, self._given.command)
        finally:
            node.exit_torrent()
            shown = self._screen.close()
        return code or 0, shown

    def _on_event(self, event: Event) -> None:
        if isinstance(event, events.Started):
            self._entered = True
        if isinstance(event, events.Stopped) and not self._entered:
            return  # who was refused has not left
        if not isinstance(event, _UNLOGGED):
            log(sentence(event))
        self._toolbar.event(event)
        self._screen.event(event)

    def _start(self, node: Node) -> int:
        try:
            node.enter_torrent()
        except SwarmError as error:
            log(str(error))
            self._screen.error(str(error))
            return 1
        self._screen.say("Node program started")
        if any(is_out_of_reach(self._settings.host, url) for url in self._settings.trackers):
            self._screen.error(
                f"this node announces {self._settings.host}, where nobody on another machine finds it; "
                "the tracker is on another machine: give -host ADDR, this machine's address"
            )
        return 0

    def _work(self, node: Node) -> int:
        if self._given.command is not None:
            return run_once(node, self._screen, self._given.command, self._stop)
        typed = read_bytes(sys.stdin.fileno()) if sys.stdin is not None else iter(())
        return run_pipe(node, self._screen, split_lines(typed, self._screen), self._stop)

    def _prompt(self, node: Node) -> int:
        from node.shell.prompt import run_prompt  # a third of all that is imported: only a terminal needs it

        def toolbar() -> str:
            return self._toolbar.text(node.status())

        name = f"node {self._settings.node_id}"
        return run_prompt(node, self._screen, self._stop, self._settings.folder, toolbar, name)


def settings_for(given: Options) -> NodeSettings:
    """Options over settings; SettingError names a setting that cannot be."""
    constants = CFG["constants"]
    node_id = given.node_id
    congestion_control = given.congestion_control or constants["CONGESTION_CONTROL"]
    if congestion_control not in options.CONGESTION_CONTROLS:
        known = ", ".join(options.CONGESTION_CONTROLS)
        raise SettingError(f"setting CONGESTION_CONTROL={congestion_control!r} is none of {known}")
    return NodeSettings(
        node_id=node_id,
        folder=given.folder or Path(CFG["directory"]["node_files_dir"]) / f"node{node_id}",
        trackers=given.trackers or _trackers(),
        swarm_key=_setting("SWARM_KEY", "{0}", options.swarm_key),
        host=given.host or _setting("NODE_HOST", "{0}", options.listening_host),
        port_range=(constants["AVAILABLE_PORTS_RANGE"][0], constants["AVAILABLE_PORTS_RANGE"][1]),
        heartbeat=constants["NODE_TIME_INTERVAL"],
        max_owners=constants["MAX_SPLITTNES_RATE"],
        max_partial_owners=constants["MAX_PARTIAL_OWNERS"],
        search_limit=constants["OWNER_SEARCH_LIMIT"],
        transfer=TransferSettings(
            congestion_control=congestion_control,
            segment_size=constants["CHUNK_PIECES_SIZE"],
            max_datagram=constants["MAX_UDP_SEGMENT_DATA_SIZE"],
            datagram_limit=constants["BUFFER_SIZE"],
            upload_limit=_rate(given.up, "UPLOAD_LIMIT"),
            download_limit=_rate(given.down, "DOWNLOAD_LIMIT"),
            upload_slots=constants["UPLOAD_SLOTS"],
            owner_timeout=constants["OWNER_TIMEOUT"],
        ),
    )


def _trackers() -> tuple[str, ...]:
    """Those of the setting TRACKERS, else the one at TRACKER_ADDR."""
    if CFG["constants"]["TRACKERS"] != "none":
        return _setting("TRACKERS", "{0}", options.tracker_urls)
    return _setting("TRACKER_ADDR", "{0[0]}:{0[1]}", options.tracker_urls)


def _rate(given: int | None, name: str) -> int | None:
    """Bytes a second as given, or as the setting ``name`` says; None: no limit."""
    return (_setting(name, "{0}", options.rate) if given is None else given) or None


def _setting(name: str, form: str, check: Callable[[str], Checked]) -> Checked:
    text = form.format(CFG["constants"][name])
    try:
        return check(text)
    except argparse.ArgumentTypeError as error:
        raise SettingError(f"setting {name}: {error}") from None


def is_out_of_reach(host: str, tracker: str) -> bool:
    """Whether a node at ``host`` would be announced elsewhere under an address that only this machine has."""
    tracker_host = urlsplit(tracker).hostname or ""
    try:
        tracker_here = ipaddress.ip_address(tracker_host).is_loopback
    except ValueError:  # a name
        tracker_here = False
    return ipaddress.ip_address(host).is_loopback and not tracker_here


def open_node_log(node_id: int) -> None:
    """``logs/node<N>.log``; OSError if it cannot be written now. Later failures are silent: the log is no
    reason for a trace in the middle of a prompt."""
    path = Path(CFG["directory"]["logs_dir"]) / f"node{node_id}.log"
    open_log(path, CFG["constants"]["LOG_BYTES"])
    with path.open("a", encoding="utf-8"):
        logging.raiseExceptions = False


def is_terminal(*streams: TextIO | None) -> bool:
    """Whether a person sits at all of ``streams``."""
    return all(stream is not None and stream.isatty() for stream in streams)


def prepare(stream: TextIO | None) -> None:
    """Names of files may be anything: what an encoding has no letter for is escaped instead of fatal."""
    if stream is not None and hasattr(stream, "reconfigure"):
        encoding = stream.encoding if stream.isatty() else "utf-8"
        stream.reconfigure(encoding=encoding, errors="backslashreplace")


def choose_screen(given: Options, at_prompt: bool) -> AnyScreen:
    """JSON if asked for; colours and bars on a terminal; plain lines elsewhere and for piped commands."""
    if given.json:
        return JsonScreen(sys.stdout, sys.stderr)
    if at_prompt or (given.command is not None and is_terminal(sys.stdout)):
        from node.show.terminal import terminal_screen  # imported here for the prompt's reason

        return terminal_screen(given.verbose, live=not at_prompt and not given.verbose)
    return PlainScreen(sys.stdout, sys.stderr, given.verbose, given.progress)


def ignored_events(given: Options, at_prompt: bool) -> tuple[type[Event], ...]:
    """What the chosen screen would not show; thousands a second need not even be queued.

    A download of one shot has its failure told with the exit code; telling it twice is no help.
    """
    if given.json:
        return ()
    ignored: list[type[Event]] = []
    if given.command is not None:
        ignored.append(events.Failed)
    if not given.verbose:
        ignored.append(events.Piece)
        bars = given.command is not None and is_terminal(sys.stdout)
        if at_prompt or not (bars or given.progress):
            ignored += [events.Progress, events.Hashing]
    return tuple(ignored)
