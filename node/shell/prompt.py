"""The prompt: history, completion, and a toolbar that shows what moves; other output goes above it."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO, cast

from prompt_toolkit import PromptSession
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.patch_stdout import StdoutProxy
from prompt_toolkit.shortcuts import CompleteStyle
from prompt_toolkit.styles import Style

from common.errors import SwarmError
from node.commands import Nothing, Send, parse_command
from node.shell.actions import carry_out
from node.shell.completion import CommandCompleter
from node.shell.history import CommandHistory
from node.shell.interfaces import DrivenNode, Screen
from node.shell.stop import POLL

REFRESH = 0.25  # seconds between two looks of the toolbar
MENU_LINES = 6  # made room for while completions are offered
GATHER = 0.03  # seconds in which output is gathered before the prompt is drawn anew
WAITING_SENDS = 64  # files that may wait to be hashed

_STYLE = Style.from_dict({"bottom-toolbar": "noreverse fg:ansibrightblack", "prompt": "bold"})


class _Interrupt(Exception):
    """Ctrl-C was typed. (A KeyboardInterrupt out of a task would end the event loop.)"""


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("c-c")
    def interrupt(event: KeyPressEvent) -> None:
        event.app.exit(exception=_Interrupt(), style="class:aborting")

    return keys


class _Sender:
    """Carries out Send commands one after the other in a thread, so that the prompt stays usable."""

    def __init__(self, node: DrivenNode, screen: Screen) -> None:
        self._node = node
        self._screen = screen
        self._waiting: queue.Queue[Send] = queue.Queue(WAITING_SENDS)
        threading.Thread(target=self._run, name="sender", daemon=True).start()

    def send(self, command: Send) -> None:
        """Queue ``command``."""
        try:
            self._waiting.put_nowait(command)
        except queue.Full:
            self._screen.error(f"{WAITING_SENDS} files wait to be hashed; send {command.file} later")

    def _run(self) -> None:
        while True:
            try:
                carry_out(self._waiting.get(), self._node, self._screen)
            except SwarmError as error:
                self._screen.error(str(error))


class Prompt:
    """Asks for commands until the user leaves or ``stop`` is set."""

    def __init__(
        self,
        node: DrivenNode,
        screen: Screen,
        stop: threading.Event,
        folder: Path,
        toolbar: Callable[[], str],
        name: str,
    ) -> None:
        self._node = node
        self._screen = screen
        self._stop = stop
        self._name = name
        self._sender = _Sender(node, screen)
        self._session: PromptSession[str] = PromptSession(
            history=CommandHistory(folder / ".history"),
            completer=CommandCompleter(folder),
            complete_while_typing=False,
            complete_style=CompleteStyle.MULTI_COLUMN,
            reserve_space_for_menu=MENU_LINES,
            bottom_toolbar=toolbar,
            refresh_interval=REFRESH,
            key_bindings=_keys(),
            style=_STYLE,
        )

    async def run(self) -> None:
        """One event loop for all prompts: what others print between two of them is printed, too."""
        warned = False
        while not self._stop.is_set():
            try:
                line = await self._ask()
            except _Interrupt:
                if warned:
                    return
                self._screen.say("Ctrl-C once more leaves the torrent (so do Ctrl-D and exit)")
                warned = True
                continue
            except EOFError:
                return
            warned = False
            if not all(self._obey(part) for part in line.split("\n")):  # several if they were pasted
                return
            self._screen.flush()

    async def _ask(self) -> str:
        """A line; EOFError at the end of input or when ``stop`` is set, _Interrupt for Ctrl-C."""
        asked = asyncio.ensure_future(
            self._session.prompt_async(f"{self._name}> ", handle_sigint=False)  # signals set stop
        )
        while not self._stop.is_set():
            done, _ = await asyncio.wait([asked], timeout=POLL)
            if done:
                return asked.result()
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked
        raise EOFError

    def _obey(self, line: str) -> bool:
        try:
            command = parse_command(line)
            if isinstance(command, Nothing):
                return True
            if isinstance(command, Send):
                self._sender.send(command)
                return True
            return carry_out(command, self._node, self._screen)
        except SwarmError as error:
            self._screen.error(str(error))
            return True


class _Above(StdoutProxy):
    """Prints in the event loop of the prompts, also between two of them: from another thread it would
    print into one that is just being drawn."""

    loop: asyncio.AbstractEventLoop | None = None  # None: there is no prompt any more, or not yet

    def _get_app_loop(self) -> asyncio.AbstractEventLoop | None:
        return self.loop


@contextlib.contextmanager
def output_above_prompt() -> Iterator[_Above]:
    """What anybody prints goes above the prompt and leaves what is being typed alone; colours survive."""
    proxy = _Above(sleep_between_writes=GATHER, raw=True)
    with (
        proxy,
        contextlib.redirect_stdout(cast(TextIO, proxy)),
        contextlib.redirect_stderr(cast(TextIO, proxy)),
    ):
        yield proxy


def run_prompt(
    node: DrivenNode,
    screen: Screen,
    stop: threading.Event,
    folder: Path,
    toolbar: Callable[[], str],
    name: str,
) -> int:
    """Ask for commands on the terminal until the user leaves (Ctrl-D, Ctrl-C twice, exit) or ``stop`` is set.

    ``folder`` is the node's: names in it are completed, and the history is in its ``.history``. ``toolbar``
    gives the line below the prompt. The exit code.
    """

    async def ask_until_left() -> None:
        above.loop = asyncio.get_running_loop()
        try:
            screen.say("ENTER YOUR COMMAND!")
            await Prompt(node, screen, stop, folder, toolbar, name).run()
            await asyncio.sleep(2 * GATHER)  # what is on its way is printed
        finally:
            above.loop = None

    with output_above_prompt() as above:
        asyncio.run(ask_until_left())
    return 0
