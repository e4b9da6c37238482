"""Shapes of JSON values, written as JSON: Python and the page's JavaScript read the same table. Pure.

A shape is one of

    "count"                          a plain shape: a key of ``PLAIN``
    ["list", SHAPE, MOST]            at most MOST values of SHAPE
    ["tuple", SHAPE, ...]            exactly these values
    ["record", {NAME: SHAPE, ...}]   an object with these fields; "NAME?" may be absent; more are dropped
    ["map", KEY, SHAPE, MOST]        an object with at most MOST keys of the plain shape KEY
    ["one", TEXT, ...]               one of these texts
    ["null", SHAPE]                  null, or a value of SHAPE

Both languages must accept the same values. So 1.0 is the whole number 1, as JavaScript cannot tell them
apart; whole numbers end at 2⁵³ - 1; and texts that become keys are ASCII.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

MAX_WHOLE = 2**53 - 1  # the largest whole number that JavaScript keeps exactly
MAX_MS = 10**13  # 317 years

Shape = Any  # str, or a list as above
PATTERNS = {
    "address": r"[0-9A-Za-z.:%_\[\]-]{1,64}:[0-9]{1,5}",
    "torrent": r"[0-9a-f]{12}",
    "info_hash": r"[0-9a-f]{40}",
    "letters": r"[.rcvx]*",
    "name": r"[a-z][a-z0-9_]{0,31}",
    "whole": r"0|[1-9][0-9]{0,9}",
    "link": r"[0-9A-Za-z.:%_\[\]-]{1,70}>[0-9A-Za-z.:%_\[\]-]{1,70}",
}
MEANINGS = {
    "node": "a node_id: a whole number from 0 to 2³¹ - 1",
    "count": "a whole number from 0 to 2⁵³ - 1",
    "ms": "milliseconds, at least 0, to a microsecond",
    "number": "any number between -2⁵³ and 2⁵³",
    "flag": "true or false",
    "text": "a text",
    "peer": "a node_id if known, else an address",
    "address": 'a text "HOST:PORT"',
    "torrent": "the first 12 hexadecimal digits of an info hash",
    "info_hash": "40 hexadecimal digits",
    "letters": "a letter a piece: . missing, r requested, c received, v verified, x bad",
    "name": "a word of small letters, digits and _",
    "whole": "a whole number as a text",
    "link": 'a text "FROM>TO" of two peers',
    "scalar": "a number, a text, true, false or null",
}


class ShapeError(ValueError):
    """A value does not have its shape. The message begins with the place: ``in[2]: ...``."""


def cleaned(shape: Shape, value: Any, place: str = "") -> Any:
    """A copy of ``value`` without fields that ``shape`` does not know; ShapeError if it has another shape."""
    if isinstance(shape, str):
        found = _PLAIN[shape](value)
        if found is None:
            raise ShapeError(f"{place}: not {MEANINGS[shape]}")
        return found[0]
    return _COMPOUND[shape[0]](shape, value, place)


def text_of(shape: Shape) -> str:
    """The shape as documents show it: ``[[peer, count], ...]``."""
    if isinstance(shape, str):
        return shape
    kind, *parts = shape
    if kind == "list":
        return f"[{text_of(parts[0])}, ...]"
    if kind == "tuple":
        return f"[{', '.join(map(text_of, parts))}]"
    if kind == "record":
        return "{" + ", ".join(f"{name}: {text_of(part)}" for name, part in parts[0].items()) + "}"
    if kind == "map":
        return f"{{{parts[0]}: {text_of(parts[1])}, ...}}"
    return f"{text_of(parts[0])} or null" if kind == "null" else ", ".join(f'"{word}"' for word in parts)


# ---- plain shapes: a function gives None, or a tuple with the value


def _whole(most: int) -> Callable[[Any], tuple[int] | None]:
    def check(value: Any) -> tuple[int] | None:
        if type(value) is float and value.is_integer():
            value = int(value)
        return (value,) if type(value) is int and 0 <= value <= most else None

    return check


def _number(least: float, most: float) -> Callable[[Any], tuple[int | float] | None]:
    def check(value: Any) -> tuple[int | float] | None:
        if type(value) not in (int, float) or not least <= value <= most or math.isnan(value):
            return None
        return (int(value) if value == int(value) else value,)

    return check


def _pattern(pattern: str) -> Callable[[Any], tuple[str] | None]:
    fits = re.compile(pattern).fullmatch
    return lambda value: (value,) if isinstance(value, str) and fits(value) else None


_node, _address = _whole(2**31 - 1), _pattern(PATTERNS["address"])
_any_number = _number(-MAX_WHOLE, MAX_WHOLE)


def _scalar(value: Any) -> tuple[Any] | None:
    return (value,) if value is None or isinstance(value, (str, bool)) else _any_number(value)


_PLAIN: Mapping[str, Callable[[Any], tuple[Any] | None]] = {
    "node": _node,
    "count": _whole(MAX_WHOLE),
    "ms": _number(0, MAX_MS),
    "number": _any_number,
    "flag": lambda value: (value,) if isinstance(value, bool) else None,
    "text": lambda value: (value,) if isinstance(value, str) else None,
    "peer": lambda value: _address(value) if isinstance(value, str) else _node(value),
    "scalar": _scalar,
    **{name: _pattern(pattern) for name, pattern in PATTERNS.items()},
}


# ---- compound shapes


def _list(shape: Shape, value: Any, place: str) -> list[Any]:
    if not isinstance(value, (list, tuple)) or len(value) > shape[2]:
        raise ShapeError(f"{place}: not a list of at most {shape[2]} values")
    return [cleaned(shape[1], each, f"{place}[{at}]") for at, each in enumerate(value)]


def _tuple(shape: Shape, value: Any, place: str) -> list[Any]:
    if not isinstance(value, (list, tuple)) or len(value) != len(shape) - 1:
        raise ShapeError(f"{place}: not a list of {len(shape) - 1} values")
    return [cleaned(part, each, place) for part, each in zip(shape[1:], value, strict=True)]


def _record(shape: Shape, value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ShapeError(f"{place}: not an object")
    found: dict[str, Any] = {}
    for name, part in shape[1].items():
        field = name.rstrip("?")
        if field in value:
            found[field] = cleaned(part, value[field], f"{place}.{field}" if place else field)
        elif field == name:
            raise ShapeError(f"{place}.{field} is missing" if place else f"{field} is missing")
    return found


def _map(shape: Shape, value: Any, place: str) -> dict[str, Any]:
    _, key, part, most = shape
    if not isinstance(value, Mapping) or len(value) > most:
        raise ShapeError(f"{place}: not an object of at most {most} keys")
    return {cleaned(key, name, place): cleaned(part, each, f"{place}.{name}") for name, each in value.items()}


def _one(shape: Shape, value: Any, place: str) -> str:
    if not isinstance(value, str) or value not in _after_kind(shape):
        raise ShapeError(f"{place}: not one of {', '.join(_after_kind(shape))}")
    return value


def _after_kind(shape: Shape) -> Iterable[str]:
    return tuple(shape[1:])


def _null(shape: Shape, value: Any, place: str) -> Any:
    return None if value is None else cleaned(shape[1], value, place)


_COMPOUND: Mapping[str, Callable[[Shape, Any, str], Any]] = {
    "list": _list,
    "tuple": _tuple,
    "record": _record,
    "map": _map,
    "one": _one,
    "null": _null,
}
