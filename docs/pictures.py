"""``make pictures``: draw the terminals in docs/images from real runs (Linux, macOS; some seconds each)."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
COLUMNS = 100
SIZE = 400_000_000  # bytes of the file that is fetched
LIMIT = 60.0  # max seconds to wait for a text
COLORS = {"brown": "yellow", "brightbrown": "bright_yellow"}  # names of pyte: names of rich


class Terminal:
    """A program at a pseudo-terminal, with the screen that it draws."""

    def __init__(self, words: list[str], folder: Path, columns: int = COLUMNS, lines: int = 60) -> None:
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "LOGS_DIR": "logs",
            "TRACKER_ADDR": "127.0.0.1:12399",
        }
        self.child = pexpect.spawn(
            words[0], words[1:], cwd=str(folder), env=environment, dimensions=(lines, columns)
        )
        self.screen = pyte.Screen(columns, lines)
        self.screen.write_process_input = self.child.send  # type: ignore[method-assign]
        self._stream = pyte.ByteStream(self.screen)

    def read(self) -> bool:
        """Take in the output of a tenth of a second; False at its end."""
        try:
            self._stream.feed(self.child.read_nonblocking(65_536, 0.1))
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        return True

    def until(self, condition: Callable[[str], bool]) -> None:
        """Read until ``condition`` holds for the text on the screen."""
        deadline = time.monotonic() + LIMIT
        while not condition("\n".join(self.screen.display)):
            if not self.read() or time.monotonic() > deadline:
                raise SystemExit("this is not expected:\n" + "\n".join(self.screen.display))

    def see(self, text: str) -> None:
        """Read until ``text`` is on the screen."""
        self.until(lambda screen: text in screen)

    def type(self, line: str) -> None:
        """Type ``line`` and the return key."""
        self.child.send(line + "\r")

    def picture(self, name: str, title: str) -> None:
        """Write the screen to docs/images."""
        rows = [self._row(y) for y in range(self.screen.lines)]
        rows = [row for row in rows if row.plain.strip()]  # a toolbar stands below empty rows
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            console = Console(record=True, width=self.screen.columns, file=nowhere, force_terminal=True)
            for row in rows:
                row.rstrip()
                console.print(row, soft_wrap=True)
            svg = console.export_svg(title=title, unique_id=f"terminal-{name}")
        (IMAGES / f"{name}.svg").write_text(_without_fonts(svg) + "\n", encoding="utf-8")

    def _row(self, y: int) -> Text:
        row = Text()
        cells = (self.screen.buffer[y][x] for x in range(self.screen.columns))
        for style, alike in itertools.groupby(cells, _style):
            row.append("".join(cell.data for cell in alike), style)
        return row


def _style(cell: pyte.screens.Char) -> Style:
    return Style(color=_color(cell.fg), bold=cell.bold, italic=cell.italics)


def _color(name: str) -> str | None:
    if name == "default":
        return None
    if len(name) == 6 and all(digit in "0123456789abcdef" for digit in name):
        return f"#{name}"
    return COLORS.get(name, name.replace("bright", "bright_"))


def _without_fonts(svg: str) -> str:
    """``svg`` without fonts from elsewhere; any monospaced font will do."""
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace")


def node(number: int, folder: Path, *options: str) -> Terminal:
    """A node at a terminal."""
    program = str(ROOT / "TorrentClient.py")
    return Terminal([sys.executable, program, "-node_id", str(number), *options], folder)


@contextlib.contextmanager
def swarm(folder: Path) -> Iterator[str]:
    """A tracker and three nodes that share one file; the path of its torrent, seen from ``folder``."""
    running = [Terminal([sys.executable, str(ROOT / "tracker.py")], folder)]
    running[0].see("Tracker program started")
    (folder / "big.bin").write_bytes(os.urandom(SIZE))
    for number in (1, 2, 3):
        running.append(node(number, folder, "-up", "60MB"))
        running[-1].see("ENTER YOUR COMMAND!")
        running[-1].type("torrent -setMode send big.bin")
        running[-1].see("sharing big.bin")
    try:
        yield "node_files/node1/big.bin.torrent"
    finally:
        for terminal in reversed(running):
            terminal.child.close(force=True)


def prompt(folder: Path, torrent: str) -> None:
    """A node that fetches from two of three owners."""
    os.environ["MAX_SPLITTNES_RATE"] = "2"
    terminal = node(4, folder)
    del os.environ["MAX_SPLITTNES_RATE"]
    terminal.see("ENTER YOUR COMMAND!")
    terminal.type(f"torrent -setMode download {torrent}")
    terminal.until(lambda screen: bool(re.search(r" [3-5]\d\.\d%.*left", screen)))
    for command, shown in (("torrent -status", "owners"), ("torrent -peers", "tracker http")):
        terminal.type(command)
        terminal.see(shown)
    for _ in range(5):
        terminal.read()
    terminal.picture("prompt", "a node with three owners, two in use")
    terminal.child.close(force=True)


def bars(folder: Path, torrent: str) -> None:
    """A one-shot download from three owners."""
    terminal = node(5, folder, "-setMode", "download", torrent)
    terminal.until(lambda screen: bool(re.search(r" [5-7]\d\.\d%", screen)))
    terminal.picture("bars", "one download from three owners")
    terminal.child.close(force=True)


def demo(folder: Path) -> None:
    """The demo, after its end."""
    terminal = Terminal([sys.executable, str(ROOT / "demo.py")], folder, columns=80)
    while terminal.read():
        pass
    terminal.picture("demo", "make demo")


def main() -> None:
    """Draw all of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        demo(folder)
        with swarm(folder) as torrent:
            prompt(folder, torrent)
            bars(folder, torrent)


if __name__ == "__main__":
    main()
