"""The whole story in a minute: a tracker, four nodes, one real file, real processes, real UDP.

Node 1 shares a file. Nodes 2 and 3 fetch it side by side, from node 1 and from each other. Node 4 fetches it
from all three at the same time. Then the copies are compared byte by byte: exit code 0 only if all are
identical. Everything happens on 127.0.0.1 and in a temporary folder.

With ``--show`` (``make demo SHOW=1``) six nodes with slow uploads and two upload slots each share a smaller
file, and the swarm stays for a look at the tracker's page until Ctrl-C.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn
from rich.table import Table

from node.content.torrent_file import calculate_file_hash

HERE = Path(__file__).resolve().parent
PATIENCE = 120.0  # seconds without output of a process after which the demo gives up
STOP_LIMIT = 5.0  # seconds a process may take to stop
BLOCK = 1 << 20
HEADINGS = ("node", "from", "bytes", "time", "rate", "SHA-1")
ANY_WIDTH = 1000  # columns
STORY_MEBIBYTES, SHOW_MEBIBYTES = 256, 48  # sizes of the file
SHOW_SETTINGS = {"UPLOAD_LIMIT": "1500kB", "UPLOAD_SLOTS": "2"}  # of each node: a queue, and time to look
SHOW_NODES = range(2, 7)  # that fetch
JOIN_SECONDS = 1.5  # between the starts of two of them

Event = dict[str, Any]


class DemoFailed(Exception):
    """The demo cannot go on; the message gives the reason."""


class Program:
    """One of the two programs as a process; a thread reads its standard output."""

    def __init__(self, words: list[str], environment: dict[str, str], typed: str = "") -> None:
        self.name = " ".join(words)
        self._lines: queue.Queue[str] = queue.Queue()
        self._complaints = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115  (stop closes it)
        self._process = subprocess.Popen(
            [sys.executable, *words],
            cwd=HERE,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            encoding="utf-8",
        )
        assert self._process.stdin is not None
        with self._process.stdin as keyboard:
            keyboard.write(typed)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def line(self) -> str:
        """The next line; DemoFailed at the end of the output, or after PATIENCE without a line."""
        try:
            line = self._lines.get(timeout=PATIENCE)
        except queue.Empty:
            raise DemoFailed(f"{self.name}: no output for {PATIENCE:.0f} s") from None
        if not line:
            code = self._process.wait()
            self._complaints.seek(0)
            raise DemoFailed(
                f"{self.name}: ended early, exit code {code}; it said: {self._complaints.read()}"
            )
        return line.strip()

    def events(self) -> Iterator[Event]:
        """A node's events, from its --json output."""
        while True:
            yield json.loads(self.line())

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self._process.kill()

    def stop(self) -> None:
        """End the process: by SIGTERM, after STOP_LIMIT by force."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._complaints.close()


class DemoSwarm:
    """A tracker and nodes in a folder of their own."""

    def __init__(self, folder: Path, stack: ExitStack, settings: Mapping[str, str] | None = None) -> None:
        """``settings``: environment variables of the programs."""
        self.folder = folder
        self._stack = stack
        self._environment = {
            **os.environ,
            "LOGS_DIR": str(folder / "logs"),
            "TRACKER_DB_DIR": str(folder / "tracker_db"),
            "NODE_FILES_DIR": str(folder / "node_files"),
            **(settings or {}),
        }
        self.url = self._start(["tracker.py", "--port", "0"]).line().rpartition(" ")[2]

    def _start(self, words: list[str], typed: str = "") -> Program:
        program = Program(words, self._environment, typed)
        self._stack.callback(program.stop)
        return program

    def node(self, number: int, command: str) -> Program:
        """Start node ``number`` with one command; afterwards it serves the file."""
        words = ["TorrentClient.py", "-node_id", str(number), "-tracker", self.url, "--json"]
        return self._start(words, f"torrent -setMode {command}\n")

    def node_folder(self, number: int) -> Path:
        """The folder of node ``number``."""
        return self.folder / "node_files" / f"node{number}"


def write_random(path: Path, size: int) -> None:
    """A file of ``size`` random bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for start in range(0, size, BLOCK):
            file.write(os.urandom(min(BLOCK, size - start)))


def events_until(program: Program, last: str) -> Iterator[Event]:
    """A node's events up to the one called ``last``; DemoFailed if it reports a failure instead."""
    for event in program.events():
        yield event
        if event["event"] == last:
            return
        if event["event"] in ("failed", "error"):
            raise DemoFailed(f"{program.name}: {event.get('reason') or event.get('error')}")


def share(swarm: DemoSwarm, number: int, path: Path) -> Path:
    """Let node ``number`` share ``path``; the path of the torrent."""
    node = swarm.node(number, f"send {path.name}")
    *_, sharing = events_until(node, "sharing")
    return Path(sharing["torrent"])


class Follower(threading.Thread):
    """Moves the bar of one download until its file is shared."""

    def __init__(self, program: Program, bars: Progress, bar: TaskID) -> None:
        super().__init__(daemon=True)
        self.completed: Event = {}
        self.failure: DemoFailed | None = None
        self._program, self._bars, self._bar = program, bars, bar

    def run(self) -> None:
        """The thread's body."""
        try:
            for event in events_until(self._program, "sharing"):
                if event["event"] == "progress":
                    self._update(event, event["verified"])
                elif event["event"] == "completed":
                    self.completed = event
                    self._update(event, event["size"])
        except DemoFailed as failure:
            self.failure = failure

    def _update(self, event: Event, done: int) -> None:
        rate = f"{decimal(int(event['rate']))}/s"
        self._bars.update(self._bar, total=event["size"], completed=done, rate=rate)


def download(
    swarm: DemoSwarm, numbers: Sequence[int], torrent: Path, console: Console, apart: float = 0.0
) -> dict[int, Event]:
    """Let the nodes ``numbers`` fetch ``torrent`` at the same time; their ``completed`` events.

    ``apart``: seconds between their starts.
    """
    rate = TextColumn("[cyan]{task.fields[rate]}")
    columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn(), rate)
    followers: dict[int, Follower] = {}
    with Progress(*columns, console=console) as bars:
        for number in numbers:
            node = swarm.node(number, f'download "{torrent.as_posix()}"')
            followers[number] = Follower(node, bars, bars.add_task(f"node {number}", total=None, rate=""))
            followers[number].start()
            time.sleep(apart)
        for follower in followers.values():
            follower.join()
    for follower in followers.values():
        if follower.failure is not None:
            raise follower.failure
    return {number: follower.completed for number, follower in followers.items()}


def result_rows(original: Path, results: dict[int, tuple[Path, Event]]) -> tuple[list[list[str]], bool]:
    """Cells by HEADINGS: the bytes that each node got from each other. True if every copy is identical."""
    expected = calculate_file_hash(original)
    rows = [["1", "original", "", "", "", expected[:12] + "…"]]
    good = True
    for number, (copy, event) in results.items():
        identical = calculate_file_hash(copy) == expected and filecmp.cmp(original, copy, shallow=False)
        good = good and identical
        sources = sorted((s for s in event["sources"] if s["received"]), key=lambda s: int(s["node_id"]))
        rows.append(
            [
                str(number),
                "\n".join(f"node {source['node_id']}" for source in sources),
                "\n".join(f"{source['received']:,}" for source in sources),
                f"{event['transfer_seconds']:.2f} s",
                f"{decimal(int(event['rate']))}/s",
                "[green]verified" if identical else "[red]DIFFERS",
            ]
        )
    return rows, good


def result_table(title: str, rows: Sequence[Sequence[str]], console: Console) -> Table:
    """A table with as many columns as fit the terminal: the time leaves first, then the rate."""
    any_width = console.options.update_width(ANY_WIDTH)
    for unshown in ((), ("time",), ("time", "rate")):
        kept = [index for index, heading in enumerate(HEADINGS) if heading not in unshown]
        table = Table(title=title)
        for index in kept:
            left = HEADINGS[index] in ("from", "SHA-1")
            table.add_column(HEADINGS[index], justify="left" if left else "right")
        for row in rows:
            table.add_row(*(row[index] for index in kept), end_section=True)
        if console.measure(table, options=any_width).maximum <= console.width:
            break
    return table


def run(size: int, console: Console) -> bool:
    """Play the story; True if all copies are identical. DemoFailed if a step fails."""
    with ExitStack() as stack:
        swarm, original, torrent = _with_a_file(size, console, stack, {})
        console.print("Nodes 2 and 3 fetch it at the same time, from node 1 and from each other:")
        results = download(swarm, [2, 3], torrent, console)
        console.print("\nNode 4 fetches it from nodes 1, 2 and 3, about a third from each:")
        results.update(download(swarm, [4], torrent, console))
        return _compared(swarm, original, results, console)


def show(size: int, console: Console) -> bool:
    """Six slow nodes that stay until Ctrl-C; True if all copies are identical. DemoFailed if a step fails."""
    with ExitStack() as stack:
        swarm, original, torrent = _with_a_file(size, console, stack, SHOW_SETTINGS)
        console.print(
            f"Nodes {SHOW_NODES[0]} to {SHOW_NODES[-1]} fetch it. Each node sends at most "
            f"{SHOW_SETTINGS['UPLOAD_LIMIT']}/s, to {SHOW_SETTINGS['UPLOAD_SLOTS']} nodes at a time:"
        )
        results = download(swarm, SHOW_NODES, torrent, console, JOIN_SECONDS)
        good = _compared(swarm, original, results, console)
        with suppress(KeyboardInterrupt):
            console.print(f"\nThe swarm stays for a look: [bold]{swarm.url}[/]. Ctrl-C ends it.")
            while True:
                time.sleep(1)
        return good


def _with_a_file(
    size: int, console: Console, stack: ExitStack, settings: Mapping[str, str]
) -> tuple[DemoSwarm, Path, Path]:
    """A swarm whose node 1 shares a file; the file and its torrent."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="swarm-demo-")))
    swarm = DemoSwarm(folder, stack, settings)
    original = swarm.node_folder(1) / "lecture.bin"
    console.print(f"The tracker runs at {swarm.url}. Open this address in a browser to see the swarm.")
    console.print(f"Node 1 gets a file, {original.name}: {decimal(size)} of random bytes.")
    write_random(original, size)
    torrent = share(swarm, 1, original)
    console.print("Node 1 has written its torrent, told the tracker, and serves the file.\n")
    return swarm, original, torrent


def _compared(swarm: DemoSwarm, original: Path, results: dict[int, Event], console: Console) -> bool:
    """Print the table of results; True if all copies are identical."""
    copies = {n: (swarm.node_folder(n) / original.name, event) for n, event in sorted(results.items())}
    rows, good = result_rows(original, copies)
    title = f"{original.name}, {decimal(original.stat().st_size)}, SHA-1 {rows[0][-1]}"
    console.print()
    console.print(result_table(title, rows, console))
    return good


def main() -> int:
    """Run the demo. The exit code: 0 if all copies are identical, else 1 with the reason."""
    parser = argparse.ArgumentParser(description="A tracker and four nodes move a real file.")
    parser.add_argument("--show", action="store_true", help="six slow nodes that stay until Ctrl-C")
    parser.add_argument(
        "--mebibytes", type=int, metavar="N",
        help=f"size of the file ({STORY_MEBIBYTES}; with --show {SHOW_MEBIBYTES})",
    )  # fmt: skip
    options = parser.parse_args()
    play, default = (show, SHOW_MEBIBYTES) if options.show else (run, STORY_MEBIBYTES)
    size = max(1, options.mebibytes or default) << 20
    console = Console(highlight=False)
    started = time.monotonic()
    if shutil.disk_usage(tempfile.gettempdir()).free < 8 * size:
        console.print(f"[red]The demo needs {decimal(8 * size)} free in {tempfile.gettempdir()}.")
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the programs are stopped, too
    try:
        good = play(size, console)
    except DemoFailed as failure:
        console.print(f"[red]The demo failed:[/] {escape(str(failure))}")
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped.")
        return 1
    seconds = time.monotonic() - started
    if good:
        console.print(
            f"[green]All copies are byte-identical.[/] Everything is stopped again ({seconds:.0f} s)."
        )
    else:
        console.print("[red]A copy differs from the original.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
