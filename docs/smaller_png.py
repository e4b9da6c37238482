"""A screenshot with at most 256 colours: a third of its size, and no difference that an eye sees. Pure."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_COLOURS = 256
TRUE_COLOUR, WITH_ALPHA, PALETTE = 2, 6, 3  # PNG's colour types


def smaller(png: bytes) -> bytes:
    """The picture with its 256 most frequent colours; other colours become the nearest of them.

    ValueError unless ``png`` has 8 bits a channel and is not interlaced.
    """
    chunks = list(_chunks(png))
    head = chunks[0][1]
    width, height = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
    depth, kind, interlaced = head[8], head[9], head[12]
    if depth != 8 or kind not in (TRUE_COLOUR, WITH_ALPHA) or interlaced:
        raise ValueError("only a PNG of 8 bits a channel, not interlaced")
    size = 3 if kind == TRUE_COLOUR else 4
    raw = zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT"))
    rows = list(_rows(raw, width * size, size))
    counted = Counter(row[at : at + 3] for row in rows for at in range(0, len(row), size))
    palette = [colour for colour, _ in counted.most_common(MAX_COLOURS)]
    index = {colour: _nearest(colour, palette) for colour in counted}
    lines = b"".join(
        b"\0" + bytes(index[row[at : at + 3]] for at in range(0, len(row), size)) for row in rows
    )
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, PALETTE, 0, 0, 0])
    parts = [
        (b"IHDR", header),
        (b"PLTE", b"".join(palette)),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    ]
    return SIGNATURE + b"".join(_chunk(name, body) for name, body in parts)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += length + 12


def _chunk(name: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")


def _rows(raw: bytes, length: int, size: int) -> Iterator[bytes]:
    """The lines without their filters (PNG, section 9)."""
    before = bytearray(length)
    for start in range(0, len(raw), length + 1):
        kind, row = raw[start], bytearray(raw[start + 1 : start + 1 + length])
        for at in range(length):
            left = row[at - size] if at >= size else 0
            corner = before[at - size] if at >= size else 0
            row[at] = (row[at] + _predicted(kind, left, before[at], corner)) & 255
        yield bytes(row)
        before = row


def _predicted(kind: int, left: int, up: int, corner: int) -> int:
    if kind < 3:
        return (0, left, up)[kind]
    if kind == 3:
        return (left + up) // 2
    guess = left + up - corner
    return min((left, up, corner), key=lambda each: abs(guess - each))


def _nearest(colour: bytes, palette: list[bytes]) -> int:
    def distance(at: int) -> int:
        return sum((one - other) ** 2 for one, other in zip(colour, palette[at], strict=True))

    return min(range(len(palette)), key=distance)
