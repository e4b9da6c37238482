"""Seeded mutation of byte strings: common damage, and values at the limits of integer fields. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

Repair = Callable[[bytes], bytes]
Mutation = Callable[[random.Random, bytearray, Sequence[bytes]], None]

EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)
DIGITS = b"0123456789"
MAX_STEPS = 4  # mutations of one input
MAX_LENGTH = 4096  # bytes of an input
REPAIRED = 0.8  # of the inputs, if the target has a ``repair``


def mutated(
    rng: random.Random, base: bytes, others: Sequence[bytes], words: Sequence[bytes], repair: Repair | None
) -> bytes:
    """``base`` after a few random mutations; ``others`` are spliced in, ``words`` inserted."""
    data = bytearray(base)
    for _ in range(1 + int(rng.random() * MAX_STEPS)):
        rng.choice(MUTATIONS)(rng, data, words if words and rng.random() < 0.5 else others)
    del data[MAX_LENGTH:]
    if repair is not None and rng.random() < REPAIRED:
        return repair(bytes(data))
    return bytes(data)


def _at(rng: random.Random, data: bytearray) -> int:
    return int(rng.random() * (len(data) + 1))


def _flip(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    if data:
        data[int(rng.random() * len(data))] ^= 1 << int(rng.random() * 8)


def _set(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    if data:
        data[int(rng.random() * len(data))] = int(rng.random() * 256)


def _edge(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    width = rng.choice((1, 2, 4, 8))
    at = _at(rng, data)
    data[at : at + width] = (rng.choice(EDGES) & (1 << 8 * width) - 1).to_bytes(width, "big")


def _number(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    """Another digit in a number that is written in digits, or one more, or a minus."""
    places = [at for at, byte in enumerate(data[:256]) if byte in DIGITS]
    if places:
        at = rng.choice(places)
        data[at : at + int(rng.random() * 2)] = rng.choice((b"9", b"0", b"-", b"1", b"99999999999", b"e1"))


def _remove(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    at = _at(rng, data)
    del data[at : at + 1 + int(rng.random() ** 3 * 40)]


def _truncate(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    del data[_at(rng, data) :]


def _repeat(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    at = _at(rng, data)
    part = data[at : at + 1 + int(rng.random() ** 3 * 60)]
    data[at:at] = part * (1 + int(rng.random() ** 4 * 20))


def _insert(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    at = _at(rng, data)
    data[at:at] = rng.randbytes(1 + int(rng.random() ** 3 * 16))


def _splice(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    """A part of another input, or a word that the format knows."""
    if others:
        other = rng.choice(others)
        start = int(rng.random() ** 2 * len(other))
        at = _at(rng, data)
        data[at : at + int(rng.random() * 4)] = other[start : start + 1 + int(rng.random() * 64)]


def _move(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    start, to = _at(rng, data), _at(rng, data)
    part = data[start : start + 1 + int(rng.random() * 24)]
    del data[start : start + len(part)]
    data[to:to] = part


MUTATIONS: tuple[Mutation, ...] = (
    _flip,
    _set,
    _edge,
    _number,
    _remove,
    _truncate,
    _repeat,
    _insert,
    _splice,
    _move,
)
