"""The launcher with a Node that pretends, as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

LAUNCHER = Path(__file__).with_name("fake_launcher.py")
LIMIT = 30  # seconds that anything here may take on a busy machine


class Launched:
    """A launched node whose output is collected."""

    def __init__(self, words: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.process = subprocess.Popen(
            [sys.executable, str(LAUNCHER), "-node_id", "7", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=environment,
        )

    def type(self, text: str) -> None:
        """Write to its input, which stays open."""
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode("utf-8", "surrogateescape"))
        self.process.stdin.flush()

    def read_until(self, text: str) -> str:
        """Lines of its output up to one that contains ``text``."""
        assert self.process.stdout is not None
        lines = ""
        while text not in lines:
            line = self.process.stdout.readline().decode()
            assert line, f"no {text!r} in {lines!r}"
            lines += line
        return lines

    def end(self, text: str = "") -> tuple[int, str, str]:
        """Write ``text``, end the input: exit code, output, errors."""
        out, err = self.process.communicate(text.encode("utf-8", "surrogateescape"), timeout=LIMIT)
        return self.process.returncode, (out or b"").decode(), err.decode()


@pytest.fixture
def fake_env(tmp_path: Path) -> dict[str, str]:
    """The environment of a launched node: its logs and files are in tmp_path."""
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    return {**kept, "LOGS_DIR": str(tmp_path / "logs"), "NODE_FILES_DIR": str(tmp_path / "files")}


@pytest.fixture
def launch(tmp_path: Path, fake_env: dict[str, str]) -> Iterator[Callable[..., Launched]]:
    """``launch(*words)`` starts one; it is ended with the test."""
    running: list[Launched] = []

    def start(*words: str) -> Launched:
        running.append(Launched(list(words), tmp_path, fake_env))
        return running[-1]

    yield start
    for launched in running:
        with launched.process as process:
            process.kill()


@pytest.fixture
def objects() -> Callable[[str], list[dict[str, Any]]]:
    """Every line parsed as JSON; fails if one is something else."""
    return lambda text: [json.loads(line) for line in text.splitlines()]
