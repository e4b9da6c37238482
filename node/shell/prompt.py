"""The prompt: history, completion, and a toolbar with running downloads. Other output goes above it."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO, cast

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application, get_app
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.patch_stdout import StdoutProxy
from prompt_toolkit.shortcuts import CompleteStyle
from prompt_toolkit.styles import Style

from common.errors import SwarmError
from node.commands import Command, parse_command, without_prompt
from node.node import Node
from node.shell.completion import CommandCompleter
from node.shell.execute import Executor
from node.shell.signals import POLL, Stop
from node.show.screen import Screen

REFRESH = 0.25  # seconds between two drawings of the toolbar
MENU_LINES = 6  # lines for completions
GATHER = 0.03  # seconds in which output is gathered before the prompt is drawn again
WARNING = "Ctrl-C once more leaves the torrent (so do Ctrl-D and exit)"

_STYLE = Style.from_dict({"bottom-toolbar": "noreverse fg:ansibrightblack", "prompt": "bold"})


class _Worker:
    """Calls functions in order in a thread, so that the prompt stays usable."""

    def __init__(self, name: str) -> None:
        self._waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.put = self._waiting.put
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        while True:
            self._waiting.get()()


class _History(FileHistory):
    """Commands of earlier runs; if the file cannot be read or written, only those of this run."""

    def load_history_strings(self) -> Iterable[str]:
        try:
            return list(super().load_history_strings())
        except OSError:
            return []

    def store_string(self, string: str) -> None:
        with contextlib.suppress(OSError):
            super().store_string(string)


class Prompt:
    """Asks for commands until the user leaves or ``stop`` is set.

    One prompt stays on the screen all the time. A line that is entered moves above it with its answer, so
    output of other threads never meets a prompt that is just being drawn.
    """

    def __init__(self, node: Node, screen: Screen, stop: Stop, name: str) -> None:
        self._node = node
        self._screen = screen
        self._stop = stop
        self._name = name
        self._executor = Executor(node, screen, stop)
        self._commands = _Worker("commands")
        self._sender = _Worker("sender")  # hashes; commands go on meanwhile
        self._is_warned = False
        self._has_left = False  # lines behind an exit are ignored
        self._leave: Callable[[], None] = lambda: None

    def run(self, folder: Path, toolbar: Callable[[], str]) -> None:
        """Return when the user leaves (Ctrl-D, Ctrl-C twice, exit) or ``stop`` is set."""
        session: PromptSession[str] = PromptSession(
            history=_History(str(folder / ".history")),
            completer=CommandCompleter(folder, self._node.names),
            complete_while_typing=False,
            complete_style=CompleteStyle.MULTI_COLUMN,
            reserve_space_for_menu=MENU_LINES,
            bottom_toolbar=toolbar,
            refresh_interval=REFRESH,
            key_bindings=self._keys(),
            style=_STYLE,
        )
        self._screen.flush()
        with contextlib.suppress(EOFError):
            session.prompt(
                f"{self._name}> ",
                handle_sigint=False,  # signals set stop
                set_exception_handler=False,
                pre_run=self._started,
            )

    def _started(self) -> None:
        app = get_app()
        asyncio.get_running_loop().set_exception_handler(self._on_exception)
        self._leave = lambda: None if app.is_done else app.exit(exception=EOFError())
        app.create_background_task(self._leave_when_stopped())
        if hasattr(signal, "SIGCONT"):
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGCONT, lambda: _take_terminal_back(app))
        self._screen.say("ENTER YOUR COMMAND!")

    def _on_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._stop.crash(context.get("exception") or RuntimeError(context["message"]), "prompt")

    async def _leave_when_stopped(self) -> None:
        while not self._stop.is_set():
            await asyncio.sleep(POLL)
        self._leave()

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        in_line = has_focus(DEFAULT_BUFFER)  # not in a search (Ctrl-R)

        @keys.add("enter", filter=in_line)
        def enter(event: KeyPressEvent) -> None:
            self._enter(event)

        @keys.add(Keys.BracketedPaste, filter=in_line)
        def paste(event: KeyPressEvent) -> None:
            *lines, rest = event.data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            for line in lines:
                event.current_buffer.insert_text(line)
                self._enter(event)
            event.current_buffer.insert_text(rest)

        @keys.add("c-c", filter=in_line)
        def interrupt(event: KeyPressEvent) -> None:
            if self._is_warned:
                self._leave()
                return
            self._is_warned = True
            self._screen.say(f"{self._name}> {event.current_buffer.text}\n{WARNING}")
            event.current_buffer.reset()

        return keys

    def _enter(self, event: KeyPressEvent) -> None:
        line = event.current_buffer.text
        event.current_buffer.reset(append_to_history=True)
        self._is_warned = False
        loop = asyncio.get_running_loop()
        self._commands.put(lambda: self._obey(line, loop))

    def _obey(self, line: str, loop: asyncio.AbstractEventLoop) -> None:
        if self._has_left:
            return
        self._screen.say(f"{self._name}> {without_prompt(line)}")
        try:
            command = parse_command(line)
            if command.verb == "send":
                self._sender.put(lambda: self._send(command))
            elif not self._executor.run(command):
                self._has_left = True
                with contextlib.suppress(RuntimeError):  # the prompt has ended meanwhile
                    loop.call_soon_threadsafe(self._leave)
        except SwarmError as error:
            self._executor.failed(error)

    def _send(self, command: Command) -> None:
        try:
            self._executor.run(command)
        except SwarmError as error:
            self._executor.failed(error)


def _take_terminal_back(app: Application[Any]) -> None:
    """After a stop (SIGSTOP) and ``fg``: the shell left the terminal in a mode that echoes all codes."""
    app.input.raw_mode().__enter__()  # what it replaced first is restored at the end, by the first one
    app.renderer.reset()
    app.invalidate()


@contextlib.contextmanager
def output_above_prompt() -> Iterator[None]:
    """Print all output above the prompt; the line being typed stays, and colours survive."""
    with StdoutProxy(sleep_between_writes=GATHER, raw=True) as proxy:
        stream = cast(TextIO, proxy)
        with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
            yield


def run_prompt(
    node: Node, screen: Screen, stop: Stop, folder: Path, toolbar: Callable[[], str], name: str
) -> int:
    """Ask for commands on the terminal. The exit code.

    ``folder`` is the node's: names in it are completed, and the history is in its ``.history``. ``toolbar``
    gives the lines below the prompt.
    """
    with output_above_prompt():
        Prompt(node, screen, stop, name).run(folder, toolbar)
        screen.flush()
    return 0
