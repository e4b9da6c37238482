"""Bencoding (BEP 3), the format of torrents, tracker answers and DHT messages.

There are four kinds of value:

    integer     i42e        no leading zeros, no -0
    bytes       5:hello     a length without leading zeros, then that many bytes
    list        l...e       any values
    dictionary  d...e       keys are bytes, in ascending order, each once

``encode`` and ``decode`` are strict: every value has exactly one encoding, so
``encode(decode(data)) == data``. A lenient parser would read the same torrent from different bytes, and
the info hash is a hash of the bytes. ``decode_with_spans`` is lenient in two points, and reports them.

Parsing hostile input stays cheap. ``decode`` recurses at most MAX_DEPTH levels. It makes at most
MAX_VALUES values, because ``le`` is 2 bytes of input and 64 of memory. It converts at most MAX_DIGITS
digits, because conversion takes quadratic time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from common.errors import BencodeError

Value: TypeAlias = int | bytes | list["Value"] | dict[bytes, "Value"]

TRUNCATED = "truncated"  # the message about bytes that end too early begins with this
MAX_DEPTH = 64  # nested lists and dictionaries
MAX_DIGITS = 40  # digits of an integer or of a length
MAX_VALUES = 1_000_000  # values and keys in one message; a torrent of 150,000 files has fewer


class SpannedDictionary(NamedTuple):
    """The dictionary at the start of some bytes, and where its parts are."""

    values: dict[bytes, Value]
    spans: dict[bytes, tuple[int, int]]  # each value's offsets, [start, end)
    unsorted: tuple[int, ...]  # offsets of keys that are out of order, on any level
    end: int  # offset after the dictionary


def encode(value: Value) -> bytes:
    """The encoding of ``value``. TypeError unless it is int, bytes, list, or dict with bytes keys."""
    encoded = bytearray()  # ``join`` would first make a list of a million parts
    for part in _encoded(value, MAX_DEPTH):
        encoded += part
    return bytes(encoded)


def decode(data: bytes) -> Value:
    """The value that the whole of ``data`` encodes. BencodeError names the offset of the error."""
    value, end = decode_prefix(data)
    if end != len(data):
        raise BencodeError(f"bytes after the end of the value at offset {end}")
    return value


def decode_prefix(data: bytes) -> tuple[Value, int]:
    """The value at the start of ``data`` and the offset after it (in BEP 9, raw bytes follow a value)."""
    reader = _Reader(data)
    return reader.value(MAX_DEPTH), reader.position


def decode_with_spans(data: bytes) -> SpannedDictionary:
    """The dictionary at the start of ``data``, with the offsets of its values.

    Keys out of order and bytes after the dictionary are accepted and reported. The info hash is the SHA-1 of
    a span. To encode the parsed value again would hash the parser's result instead of the author's bytes.
    BencodeError if no dictionary is there.
    """
    if data[:1] != b"d":
        raise BencodeError("expected a dictionary at offset 0")
    reader = _Reader(data, sorted_keys=False)
    values, spans = reader.dictionary(MAX_DEPTH)
    return SpannedDictionary(values, spans, tuple(reader.unsorted), reader.position)


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
    """Reads values in sequence. ``position`` is the offset in ``data`` of the next value."""

    def __init__(self, data: bytes, sorted_keys: bool = True) -> None:
        """``sorted_keys``: a key out of order is an error. If not, ``unsorted`` collects the offsets."""
        self.data = data
        self.position = 0
        self.unsorted: list[int] = []
        self._sorted_keys = sorted_keys
        self._values_left = MAX_VALUES

    def value(self, depth: int) -> Value:
        """Read the value at ``position``, with at most ``depth`` nested levels."""
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
        start = self.position + 1
        text = self._up_to(b"e", start)
        digits = text[1:] if text[:1] == b"-" else text
        zero_badly = digits[:1] == b"0" and text != b"0"  # i007e, i-0e, i-07e
        if not digits.isdigit() or zero_badly:
            raise BencodeError(f"not a canonical integer at offset {start - 1}")
        return int(text)

    def byte_string(self) -> bytes:
        start = self.position
        digits = self._up_to(b":", start)
        if not digits.isdigit() or (digits[:1] == b"0" and digits != b"0"):
            raise BencodeError(f"not a canonical length at offset {start}")
        end = self.position + int(digits)
        if end > len(self.data):
            raise BencodeError(f"{TRUNCATED}: a string of {int(digits)} bytes at offset {start}")
        content = self.data[self.position : end]
        self.position = end
        return content

    def list(self, depth: int) -> list[Value]:
        self._open(depth)
        items: list[Value] = []
        while not self._closed():
            items.append(self.value(depth - 1))
        return items

    def dictionary(self, depth: int) -> tuple[dict[bytes, Value], dict[bytes, tuple[int, int]]]:
        """Read a dictionary; returns its items and the span of each value."""
        self._open(depth)
        items: dict[bytes, Value] = {}
        spans: dict[bytes, tuple[int, int]] = {}
        last: bytes | None = None
        while not self._closed():
            key_at = self.position
            if not self.data[key_at : key_at + 1].isdigit():
                raise self._unexpected("a dictionary key")
            key = self.byte_string()
            if last is not None and (key < last or key in items):
                self._check_out_of_order(key in items, key_at)
            start = self.position
            items[key] = self.value(depth - 1)
            spans[key] = (start, self.position)
            last = key
        return items, spans

    def _check_out_of_order(self, twice: bool, key_at: int) -> None:
        if twice or self._sorted_keys:
            raise BencodeError(f"dictionary key out of order or twice at offset {key_at}")
        self.unsorted.append(key_at)

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
        """The bytes from ``start`` to the next ``mark``; moves behind the mark. A far mark is an error."""
        end = self.data.find(mark, start, start + MAX_DIGITS + 2)
        if end < 0:
            far = len(self.data) - start > MAX_DIGITS
            raise BencodeError(f"{'number too long or broken' if far else TRUNCATED} at offset {start}")
        self.position = end + 1
        return self.data[start:end]

    def _unexpected(self, wanted: str) -> BencodeError:
        if self.position >= len(self.data):
            return BencodeError(f"{TRUNCATED}: {wanted} is missing at offset {self.position}")
        return BencodeError(
            f"expected {wanted}, not byte {self.data[self.position]:#04x}, at offset {self.position}"
        )
