"""Small disks that a test fills."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """``mount(size)``: the folder of a real file system of ``size`` bytes; unmounted after the test."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root on Linux can mount a small disk; other tests pretend or limit files")
    with ExitStack() as stack:

        def small_disk(size: int) -> Path:
            folder = tmp_path / "disk"
            folder.mkdir()
            command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
            mounted = subprocess.run(command, capture_output=True, text=True)
            if mounted.returncode:
                pytest.skip(f"this root cannot mount: {mounted.stderr.strip()}")
            stack.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=True)
            return folder

        yield small_disk


def fill(filler: Path) -> None:
    """Write to ``filler`` until its disk is full."""
    with pytest.raises(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
