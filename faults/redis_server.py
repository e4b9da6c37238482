"""A real redis-server (or valkey-server) of one's own: on a Unix socket in a folder of its own, on loopback
too if wanted, that can be killed, frozen and started again with what it kept.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import redis
from redis.exceptions import RedisError

PROGRAMS = ("redis-server", "valkey-server")
ONLY_HERE = ("--port", "0", "--bind", "127.0.0.1")
MEMORY = Path("/dev/shm")
PATIENCE = 20.0  # seconds for it to start
POLL = 0.02  # seconds


def program() -> str | None:
    """Where a server is installed; None if nowhere."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


class RedisServer:
    """Runs from ``start`` to ``close``; its socket's path is short, as the system demands."""

    def __init__(self, *options: str) -> None:
        """``options``: as on its command line; without any, nothing is kept. Its folder is in memory where
        there is a place for that: a test that kills it is not about the disk.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="redis-", dir=MEMORY if MEMORY.is_dir() else None))
        self._options = options
        self.url = f"unix://{self._folder / 'socket'}"
        self.client = redis.Redis.from_url(self.url, decode_responses=True)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, again perhaps, and wait until it answers."""
        found = program()
        assert found is not None
        (self._folder / "socket").unlink(missing_ok=True)
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [found, *ONLY_HERE, "--unixsocket", "socket", "--save", "", *self._options],
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.client.ping()
                return
            except RedisError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise AssertionError((self._folder / "log").read_text(encoding="utf-8")) from None
            time.sleep(POLL)

    def listen(self) -> str:
        """Listen on a free port of loopback as well, until it is started again: the URL there."""
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        self.client.config_set("port", port)
        return f"redis://127.0.0.1:{port}/0"

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def freeze(self) -> None:
        """Stop it where it is: connections are taken, and nothing is answered."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it, and remove all it kept."""
        self.kill()
        with contextlib.suppress(RedisError):
            self.client.close()
        shutil.rmtree(self._folder, ignore_errors=True)
