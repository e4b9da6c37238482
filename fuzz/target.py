"""A fuzz target as one value, and bytes as a script of operations. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_PARTICULAR = re.compile(r"\d+|'[^']*'|\"[^\"]*\"|0x[0-9a-f]+")


@dataclass(frozen=True)
class Target:
    """``run`` takes any bytes and returns a short outcome. An exception is an escape."""

    name: str
    run: Callable[[bytes], str]
    seeds: Sequence[bytes]
    share: int = 10  # weight among the targets: how many of all inputs it gets
    repair: Callable[[bytes], bytes] | None = None  # makes a mutated input plausible again
    words: Sequence[bytes] = ()  # keywords of the format


class Script:
    """Numbers read out of bytes in sequence; zeros at the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def ended(self) -> bool:
        """True once all bytes are used."""
        return self._at >= len(self._data)

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes, fewer at the end."""
        part = self._data[self._at : self._at + count]
        self._at += count
        return part

    def byte(self) -> int:
        """The next byte."""
        part = self.take(1)
        return part[0] if part else 0

    def number(self, width: int) -> int:
        """The next ``width`` bytes, big-endian."""
        return int.from_bytes(self.take(width), "big")

    def pick(self, count: int) -> int:
        """A number below ``count``, which is 1 to 256."""
        return self.byte() % count


def outcome(error: Exception) -> str:
    """The error's text without numbers and quotes: similar inputs have the same outcome."""
    return f"{type(error).__name__}: {_PARTICULAR.sub('#', str(error))[:80]}"
