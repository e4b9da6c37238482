"""Bencoding (BEP 3), the format of torrents, tracker answers and DHT messages. Strict both ways.

Four kinds of value and nothing else:

    integer     i42e        no leading zeros, no -0
    bytes       5:hello     a length without leading zeros, then exactly so many bytes
    list        l...e       any values
    dictionary  d...e       keys are bytes, in ascending order, each once

Strict means that every value has exactly one encoding, so ``encode(decode(data)) == data``. A lenient
parser would read the same torrent out of different bytes, and the info hash is a hash of the bytes.

``decode`` recurses no deeper than MAX_DEPTH, makes no more than MAX_VALUES values (``le`` is 2 bytes of
input and 64 of memory) and converts no number of more than MAX_DIGITS digits (conversion is quadratic).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from common.errors import BencodeError

Value: TypeAlias = int | bytes | list["Value"] | dict[bytes, "Value"]

MAX_DEPTH = 64  # lists and dictionaries inside each other
MAX_DIGITS = 40  # of an integer, or of a length
MAX_VALUES = 1_000_000  # values, and keys, in one message; a torrent of 150,000 files stays below


def encode(value: Value) -> bytes:
    """The one encoding of ``value``; TypeError for anything but int, bytes, list and dict with bytes keys."""
    return b"".join(_encoded(value, MAX_DEPTH))


def decode(data: bytes) -> Value:
    """The value that ``data`` encodes, all of it; BencodeError names the offset of what is wrong."""
    value, end = decode_prefix(data)
    if end != len(data):
        raise BencodeError(f"bytes after the end of the value at offset {end}")
    return value


def decode_prefix(data: bytes) -> tuple[Value, int]:
    """The value at the start of ``data`` and the offset of its end (BEP 9 puts raw bytes behind one)."""
    reader = _Reader(data)
    return reader.value(MAX_DEPTH), reader.position


def decode_with_spans(data: bytes) -> tuple[dict[bytes, Value], dict[bytes, tuple[int, int]]]:
    """A dictionary, and for each key where its value lies in ``data`` as ``[start, end)``.

    The info hash is the SHA-1 of such a span. Encoding the parsed value again would hash what this
    parser understood, not what the torrent's author wrote.
    """
    reader = _Reader(data)
    if data[:1] != b"d":
        raise BencodeError("a dictionary is wanted at offset 0")
    values, spans = reader.dictionary(MAX_DEPTH)
    if reader.position != len(data):
        raise BencodeError(f"bytes after the end of the value at offset {reader.position}")
    return values, spans


def _encoded(value: Value, depth: int) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield b"%d:" % len(value)
        yield value
    elif isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 10**MAX_DIGITS:
            raise ValueError(f"an integer of more than {MAX_DIGITS} digits cannot be encoded")
        yield b"i%de" % value
    elif isinstance(value, (list, dict)):
        if depth == 0:
            raise ValueError(f"a value nested more than {MAX_DEPTH} deep cannot be encoded")
        yield from _encoded_items(value, depth - 1)
    else:
        raise TypeError(f"{type(value).__name__} cannot be bencoded")


def _encoded_items(value: list[Value] | dict[bytes, Value], depth: int) -> Iterator[bytes]:
    if isinstance(value, list):
        yield b"l"
        for item in value:
            yield from _encoded(item, depth)
    else:
        yield b"d"
        for key in sorted(value):
            if not isinstance(key, bytes):
                raise TypeError(f"a dictionary key is bytes, not {type(key).__name__}")
            yield from _encoded(key, depth)
            yield from _encoded(value[key], depth)
    yield b"e"


class _Reader:
    """Reads values one after the other from ``data``; ``position`` is where the next one starts."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0
        self._values_left = MAX_VALUES

    def value(self, depth: int) -> Value:
        """The value at ``position``; ``depth`` more levels may open."""
        self._values_left -= 1
        if self._values_left < 0:
            raise BencodeError(f"more than {MAX_VALUES} values at offset {self.position}")
        first = self.data[self.position : self.position + 1]
        if first.isdigit():
            return self.byte_string()
        if first == b"i":
            return self.integer()
        if first == b"l":
            return self.list(depth)
        if first == b"d":
            return self.dictionary(depth)[0]
        raise self._unexpected("a value")

    def integer(self) -> int:
        """``i42e``."""
        start = self.position + 1
        text = self._up_to(b"e", start)
        digits = text[1:] if text[:1] == b"-" else text
        zero_badly = digits[:1] == b"0" and text != b"0"  # i007e, i-0e, i-07e
        if not digits.isdigit() or zero_badly:
            raise BencodeError(f"not a canonical integer at offset {start - 1}")
        return int(text)

    def byte_string(self) -> bytes:
        """``5:hello``."""
        start = self.position
        digits = self._up_to(b":", start)
        if not digits.isdigit() or (digits[:1] == b"0" and digits != b"0"):
            raise BencodeError(f"not a canonical length at offset {start}")
        end = self.position + int(digits)
        if end > len(self.data):
            raise BencodeError(f"truncated: {int(digits)} bytes are announced at offset {start}")
        content = self.data[self.position : end]
        self.position = end
        return content

    def list(self, depth: int) -> list[Value]:
        """``l`` values ``e``."""
        self._open(depth)
        items: list[Value] = []
        while not self._closed():
            items.append(self.value(depth - 1))
        return items

    def dictionary(self, depth: int) -> tuple[dict[bytes, Value], dict[bytes, tuple[int, int]]]:
        """``d`` key value key value ``e``, and where each value lies."""
        self._open(depth)
        items: dict[bytes, Value] = {}
        spans: dict[bytes, tuple[int, int]] = {}
        last: bytes | None = None
        while not self._closed():
            key_at = self.position
            if not self.data[key_at : key_at + 1].isdigit():
                raise self._unexpected("a dictionary key")
            key = self.byte_string()
            if last is not None and key <= last:
                raise BencodeError(f"dictionary key out of order or twice at offset {key_at}")
            start = self.position
            items[key] = self.value(depth - 1)
            spans[key] = (start, self.position)
            last = key
        return items, spans

    def _open(self, depth: int) -> None:
        if depth == 0:
            raise BencodeError(f"nested more than {MAX_DEPTH} deep at offset {self.position}")
        self.position += 1

    def _closed(self) -> bool:
        if self.data[self.position : self.position + 1] != b"e":
            return False
        self.position += 1
        return True

    def _up_to(self, mark: bytes, start: int) -> bytes:
        """The bytes from ``start`` to the next ``mark``, which must be near; moves behind the mark."""
        end = self.data.find(mark, start, start + MAX_DIGITS + 2)
        if end < 0:
            far = len(self.data) - start > MAX_DIGITS
            raise BencodeError(f"{'number too long or broken' if far else 'truncated'} at offset {start}")
        self.position = end + 1
        return self.data[start:end]

    def _unexpected(self, wanted: str) -> BencodeError:
        if self.position >= len(self.data):
            return BencodeError(f"truncated: {wanted} is missing at offset {self.position}")
        return BencodeError(
            f"{wanted} is wanted, not byte {self.data[self.position]:#04x}, at offset {self.position}"
        )
