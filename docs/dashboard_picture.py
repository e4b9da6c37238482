"""The dashboard of a real swarm in docs/images, for ``make pictures``; needs playwright and Chromium.

A seed and nine nodes with slow uploads share a file over loopback. A standard peer takes part, and one node
is killed. The page is opened in headless Chromium and paused when half of all copies have arrived.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.page.browser import launched  # noqa: E402
from demo import Program, events_until, write_random  # noqa: E402
from docs.smaller_png import smaller  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGE = Path(__file__).resolve().parent / "images" / "dashboard.png"
SIZE = 300 * 65_536  # bytes: 300 pieces
LEECHERS = range(2, 11)
KILLED = 8
SHARE = 50.0  # percent of all copies at which the picture is taken
SEED_RATE, RATE, SLOTS = "600kB", "300kB", "3"
LIMIT = 120.0  # max seconds to wait for that
CHOSEN, PIECE = 3, 121
MAX_BYTES = 200_000


class PictureSwarm:
    """The processes. They end with ``stack``."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        folders = {"LOGS_DIR": "logs", "TRACKER_DB_DIR": "db", "NODE_FILES_DIR": "files"}
        self._environment = {
            **os.environ,
            **{key: str(folder / name) for key, name in folders.items()},
            "TRACKER_TIME_INTERVAL": "8",
            "UPLOAD_SLOTS": SLOTS,
        }
        self.url = self._start(["tracker.py", "--port", "0", "--record", str(folder / "run.jsonl.gz")]).line()
        self.url = self.url.rpartition(" ")[2]

    def _start(self, words: list[str], typed: str = "") -> Program:
        program = Program(words, self._environment, typed)
        self._stack.callback(program.stop)
        return program

    def node(self, number: int, rate: str, command: str) -> Program:
        """Start a node of the classroom with one command."""
        words = ["TorrentClient.py", "-node_id", str(number), "-tracker", self.url, "-up", rate, "--json"]
        return self._start(words, f"torrent -setMode {command}\n")

    def standard_peer(self, torrent: Path) -> Program:
        """Start a peer that takes part without the classroom's API."""
        folder = str(self._folder / "standard")
        return self._start(["TorrentClient.py", str(torrent), "-d", folder, "-up", RATE, "--seed", "--json"])

    def share(self) -> Path:
        """Let node 1 share a file; the path of its torrent."""
        path = self._folder / "files" / "node1" / "lecture.bin"
        write_random(path, SIZE)
        *_, sharing = events_until(self.node(1, SEED_RATE, f"send {path.name}"), "sharing")
        return Path(sharing["torrent"])


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        swarm = PictureSwarm(Path(name), stack)
        torrent = swarm.share()
        nodes = {}
        for number in LEECHERS:
            nodes[number] = swarm.node(number, RATE, f'download "{torrent.as_posix()}"')
            time.sleep(0.3)
        swarm.standard_peer(torrent)
        with launched() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
            page.goto(swarm.url)
            _wait_for(page, SHARE * 0.7)
            nodes[KILLED].kill()
            _wait_for(page, SHARE)
            _choose(page)
            page.wait_for_timeout(700)  # until nothing moves
            _save(page.screenshot())


def _wait_for(page: Page, share: float) -> None:
    shown = page.locator("#pieces [data-part=summary]")
    deadline = time.monotonic() + LIMIT
    while not (words := shown.inner_text().split())[0][0].isdigit() or float(words[0]) < share:
        if time.monotonic() > deadline:
            raise SystemExit(f"after {LIMIT:.0f} s the page says: {' '.join(words)}")
        page.wait_for_timeout(100)


def _choose(page: Page) -> None:
    """Pause, and select a node and a piece with the keyboard."""
    page.keyboard.press("Space")
    page.focus("#pieces canvas")
    for key in ["ArrowDown"] * CHOSEN + ["ArrowRight"] * PIECE + ["Enter"]:
        page.keyboard.press(key)
    page.evaluate("document.activeElement.blur()")


def _save(png: bytes) -> None:
    data = smaller(png)
    if len(data) > MAX_BYTES:
        raise SystemExit(f"{IMAGE.name} would have {len(data):,} bytes, more than {MAX_BYTES:,}")
    IMAGE.write_bytes(data)
    print(f"{IMAGE}: {len(data):,} bytes")


if __name__ == "__main__":
    try:
        main()
    except (ImportError, OSError) as error:
        print(f"{IMAGE.name} is not drawn: {error}")
