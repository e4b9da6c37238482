"""A line of the journal: numbered, checksummed, readable, and telling which lines before it are safe. Pure.

    <number> <safe> <CRC-32> <JSON>\\n
    1234 1230 5f3a9c01 [{"left": 7}]

``number`` counts the records, over all files. ``safe`` is the number of the last record that was known to
survive a power cut when this line was written. That is what tells a torn tail from damage: a broken line
n may be the end of a write that a crash cut off, though lines behind it are whole, for a disk writes in
any order; but where a later line says that n was safe, it was whole once, and somebody was told so.
The checksum is over everything in the line but itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from zlib import crc32

_LINE = re.compile(rb"((\d{1,19}) (\d{1,19}) )([0-9a-f]{8}) ([^\n]*)\n\Z")
MAX_LINE = 4 << 20  # bytes; a request of MAX_REQUEST_BYTES makes less


@dataclass(frozen=True)
class Line:
    """A record as it stands in the file."""

    number: int
    safe: int  # number of the last record known to be on the disk when this one was written
    text: bytes  # JSON


def encode_line(number: int, safe: int, text: str) -> bytes:
    """The bytes of a record; ``text`` holds no line end."""
    head, body = b"%d %d " % (number, safe), text.encode()
    return b"%b%08x %b\n" % (head, crc32(body, crc32(head)), body)


def decode_line(raw: bytes) -> Line | None:
    """The record that a line, its end included, is; None if it is not just as it was written."""
    match = _LINE.match(raw)
    if match is None:
        return None
    head, number, safe, checksum, body = match.groups()
    if int(checksum, 16) != crc32(body, crc32(head)):
        return None
    return Line(int(number), int(safe), body)
