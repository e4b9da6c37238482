"""How arguments and results cross the pipe between the grader and a student's file: JSON with a few tags.

The parent never unpickles anything that the child sends. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

MAX_DEPTH = 20  # of lists in lists
MAX_ITEMS = 100_000  # of one list
MAX_BITS = 512  # of a whole number: it can still become a float


class BadValue(Exception):
    """A value that cannot cross the pipe."""


@dataclass(frozen=True)
class Rng:
    """A random.Random in the child; the same object for the same seed."""

    seed: int


def encode(value: Any, depth: int = 0) -> Any:
    """``value`` for json.dumps. Dataclasses arrive as objects with the same attributes."""
    if depth > MAX_DEPTH:
        raise BadValue("lists are nested too deep")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Rng):
        return {"$": "rng", "seed": value.seed}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value) if isinstance(value, (set, frozenset)) else value
        encoded = [encode(item, depth + 1) for item in items]
        if isinstance(value, list):
            return encoded
        return {"$": "tuple" if isinstance(value, tuple) else "set", "items": encoded}
    if isinstance(value, bytes):
        return {"$": "bytes", "hex": value.hex()}
    if is_dataclass(value) and not isinstance(value, type):
        named = {field.name: encode(getattr(value, field.name), depth + 1) for field in fields(value)}
        return {"$": "object", "class": type(value).__name__, "fields": named}
    if isinstance(value, Mapping):
        pairs = [[encode(key, depth + 1), encode(item, depth + 1)] for key, item in value.items()]
        return {"$": "dict", "items": pairs}
    raise BadValue(f"{type(value).__name__} is none of int, float, str, bool, None, list, tuple, set, dict")


def decode(value: Any, depth: int = 0) -> Any:
    """A result from the child. BadValue for whatever ``encode`` does not make."""
    if depth > MAX_DEPTH:
        raise BadValue("lists are nested too deep")
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise BadValue("a whole number of more than 150 digits")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [decode(item, depth + 1) for item in _few(value)]
    if not isinstance(value, dict):
        raise BadValue("no value")
    kind, items = value.get("$"), value.get("items")
    if kind in ("tuple", "set") and isinstance(items, list):
        decoded = [decode(item, depth + 1) for item in _few(items)]
        return tuple(decoded) if kind == "tuple" else _set_of(decoded)
    if kind == "bytes" and isinstance(value.get("hex"), str):
        return bytes.fromhex(value["hex"])
    if kind == "dict" and isinstance(items, list):
        return {_key(pair[0]): decode(pair[1], depth + 1) for pair in _few(items)}
    if kind == "reference" and isinstance(value.get("number"), int):
        return Reference(value["number"])
    if kind == "unknown":
        raise BadValue(str(value.get("text", ""))[:200])
    raise BadValue("no value")


@dataclass(frozen=True)
class Reference:
    """An object that stays in the child and was an argument of a call: argument ``number``."""

    number: int


def _few(items: list[Any]) -> list[Any]:
    if len(items) > MAX_ITEMS:
        raise BadValue(f"more than {MAX_ITEMS:,} values")
    return items


def _set_of(items: list[Any]) -> set[Any]:
    try:
        return set(items)
    except TypeError:
        raise BadValue("a set of lists") from None


def _key(value: Any) -> Any:
    key = decode(value)
    if isinstance(key, (list, dict, set)):
        raise BadValue("a dict with a list as its key")
    return key
