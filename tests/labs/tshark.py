"""tshark, where it is installed: the fields of a capture, packet by packet."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from node.recorder.capture import Capture

DISSECTOR = Path(__file__).resolve().parents[2] / "labs" / "swarm.lua"
OWNER, FETCHER = ("127.0.0.1", 40001), ("127.0.0.1", 40002)
PATIENCE = 120.0  # seconds
SEPARATOR = "\x1f"
LUA_ERROR = "_ws.lua.error"  # the field of a packet in which a dissector failed

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def captured(path: Path, datagrams: Sequence[bytes]) -> Path:
    """A capture of ``datagrams`` at ``path``."""
    ended: list[str] = []
    capture = Capture(path, ended.append)
    for datagram in datagrams:
        capture.sent(b"", [datagram], 0, OWNER, FETCHER)
    capture.close()
    assert not ended
    return path


def packets_in(path: Path) -> Iterator[bytes]:
    """The IP packets of a capture. It ends after a whole packet."""
    raw = path.read_bytes()
    at = 24
    while at < len(raw):
        size, _ = struct.unpack_from("=II", raw, at + 8)
        assert at + 16 + size <= len(raw), "a packet is cut"
        yield raw[at + 16 : at + 16 + size]
        at += 16 + size


def fields_of(capture: Path, names: Sequence[str], *words: str, lua: bool = True) -> list[list[str]]:
    """The fields ``names`` of each packet; several values in one are separated by commas. "": not there.

    Every error in the Lua code is one in the test.
    """
    command = ["tshark", "-r", str(capture), "-T", "fields", "-E", f"separator={SEPARATOR}", *words]
    command += [word for name in (*names, *([LUA_ERROR] if lua else [])) for word in ("-e", name)]
    if lua:
        command += ["-X", f"lua_script:{DISSECTOR}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    noise = "Running as user"
    errors = [line for line in run.stderr.splitlines() if line and not line.startswith(noise)]
    assert run.returncode == 0 and not errors, errors[:5]
    rows = [line.split(SEPARATOR) for line in run.stdout.splitlines()]
    if lua:
        assert {row.pop() for row in rows} <= {""}, "an error in the Lua code"
    return rows
