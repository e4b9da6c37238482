"""Copies that libtorrent makes: it reports all pieces before it has written them."""

from __future__ import annotations

from pathlib import Path

from tests.waiting import until

PATIENCE = 60.0  # seconds


def is_same(copy: Path, original: Path) -> bool:
    """True if ``copy`` is there, and has the bytes of ``original``."""
    return copy.is_file() and copy.read_bytes() == original.read_bytes()


def wait_for_copy(copy: Path, original: Path) -> None:
    """Wait until the bytes on the disk are those of ``original``."""
    until(lambda: is_same(copy, original), PATIENCE)
