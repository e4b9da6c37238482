"""Real trackers and nodes as processes of a test."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.tuned_node import TUNABLE

ROOT = Path(__file__).resolve().parent.parent
START_PATIENCE = 30.0  # seconds; a loaded machine starts slowly
PATIENCE = 60.0  # seconds that anything may take; nothing waits that long unless something is wrong
Event = dict[str, Any]


class TrackerProcess:
    """A real tracker with folders of its own; ``restart`` keeps its port and its records."""

    def __init__(self, folder: Path, settings: dict[str, str], words: Sequence[str] = ()) -> None:
        """``words``: more options."""
        self._words = words
        self.db = folder / "tracker_db"
        self.logs = folder / "logs"
        self.url = ""
        self.stderr = folder / "tracker.stderr"
        self._folder = folder
        self._env = {**os.environ, "TRACKER_DB_DIR": str(self.db), "LOGS_DIR": str(self.logs), **settings}
        self._start(0)

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return int(self.url.rpartition(":")[2])

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._wait()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self._wait()

    def restart(self) -> None:
        """Again, on the same port and with the same records."""
        self.stop()
        self._start(self.port)

    def log(self) -> str:
        """The log so far."""
        return (self.logs / "_tracker.log").read_text(encoding="utf-8")

    def _start(self, port: int) -> None:
        with self.stderr.open("ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "tracker.py"), "--port", str(port), *self._words],
                cwd=self._folder,
                env=self._env,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                encoding="utf-8",
            )
        line = first_line(self.process)
        prefix = "Tracker program started: "
        if not line.startswith(prefix):
            self.kill()
            raise AssertionError(f"the tracker said {line!r}; {self.stderr.read_text(encoding='utf-8')}")
        self.url = line[len(prefix) :].strip()

    def _wait(self) -> int:
        code = self.process.wait(timeout=10)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


class NodeProcess:
    """A real node driven through a pipe; its output is read as it comes.

    ``lines`` are its standard output, ``errors`` its standard error, ``events`` the objects of ``--json``.
    """

    def __init__(
        self, words: list[str], folder: Path, environment: dict[str, str], before: list[str]
    ) -> None:
        """``before``: words to put before the interpreter, a program that starts programs, for example."""
        self.process = subprocess.Popen(
            [*before, sys.executable, str(node_program(environment)), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=environment,
        )
        self.number = 0  # its node id and its folder, if the starter sets them
        self.folder = folder
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.events: list[Event] = []
        self._more = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, kept), daemon=True)
            for stream, kept in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, kept: list[str]) -> None:
        with stream:
            for raw in stream:
                line = raw.decode("utf-8").rstrip("\n")
                with self._more:
                    kept.append(line)
                    if kept is self.lines and line.startswith('{"event"'):
                        self.events.append(json.loads(line))
                    self._more.notify_all()
        with self._more:
            self._more.notify_all()

    def seen(self, name: str, **fields: object) -> list[Event]:
        """The events so far that are called ``name`` and have these fields."""
        return [e for e in self.events if e["event"] == name and all(e[k] == v for k, v in fields.items())]

    def wait_until(self, what: str, found: Callable[[], Any], limit: float = PATIENCE) -> Any:
        """Whatever ``found`` returns once it is true; fails if the node ends first, or never does it."""
        deadline = time.monotonic() + limit
        with self._more:
            while not (result := found()):
                left = deadline - time.monotonic()
                ended = not any(reader.is_alive() for reader in self._readers)
                assert left > 0 and not ended, f"no {what} in {self.told()}"
                self._more.wait(min(left, 0.5))
            return result

    def wait_for(self, name: str, count: int = 1, limit: float = PATIENCE, **fields: object) -> Event:
        """The ``count``-th event that is called ``name`` and has these fields."""
        found = lambda: self.seen(name, **fields)[count - 1 : count]  # noqa: E731
        return self.wait_until(f"{name} {fields}", found, limit)[0]

    def wait_for_line(self, text: str) -> str:
        """The first line of standard output that contains ``text``."""
        return self.wait_until(repr(text), lambda: [line for line in self.lines if text in line])[0]

    def wait_for_error(self, text: str) -> str:
        """The first line of standard error that contains ``text``."""
        return self.wait_until(repr(text), lambda: [line for line in self.errors if text in line])[0]

    def files(self, folder: Path | None = None) -> list[str]:
        """Names in its folder, in order, without its file of secrets."""
        return sorted(e.name for e in (folder or self.folder).iterdir() if not e.name.startswith(".claims-"))

    def type(self, *commands: str) -> None:
        """Write lines to its input, which stays open."""
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{command}\n" for command in commands).encode())
        self.process.stdin.flush()

    def ask(self, name: str) -> Event:
        """Type ``torrent -NAME`` (status, files, peers) and wait for its answer, an event of that name."""
        count = len(self.seen(name)) + 1
        self.type(f"torrent -{name}")
        return self.wait_for(name, count)

    def end_input(self) -> None:
        """Nothing more is typed."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def freeze(self) -> None:
        """Stop the process; to its peers it becomes silent."""
        self.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.send_signal(signal.SIGCONT)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal; the exit code."""
        self.send_signal(number)
        return self.end()

    def end(self, limit: float = PATIENCE) -> int:
        """Wait for its end and the rest of its output; the exit code."""
        code = self.process.wait(limit)
        for reader in self._readers:
            reader.join(limit)
        return code

    def kill(self) -> int:
        """kill -9, also if it is stopped; the exit code."""
        self.process.kill()
        code = self.end()
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        return code

    def told(self) -> str:
        """The end of its output, for a failing test."""
        return "\n".join([f"exit code {self.process.poll()}", *self.lines[-40:], *self.errors[-40:]])


def node_program(environment: dict[str, str]) -> Path:
    """TorrentClient.py, or the one that lets ``environment`` change constants if it names some."""
    return ROOT / ("tests/tuned_node.py" if TUNABLE & set(environment) else "TorrentClient.py")


def first_line(process: subprocess.Popen[str]) -> str:
    """The first line that a process prints; "" if it ends, or takes too long, without one."""
    lines: queue.Queue[str] = queue.Queue()
    stdout = process.stdout
    assert stdout is not None
    reader = threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True)
    reader.start()
    try:
        line = lines.get(timeout=START_PATIENCE)
    except queue.Empty:
        return ""
    reader.join(timeout=1)
    return line
