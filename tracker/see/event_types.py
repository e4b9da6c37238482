"""The data of a node's events, checked by msgspec. Pure.

``common.events.check_event`` decides which data is right. It walks through the shape in Python, and a tracker
with an open dashboard reads hundreds of events a second. So each shape is also built as a type that msgspec
checks while it decodes. A type is at least as strict as its shape: what it refuses goes to ``check_event``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Union

import msgspec
from msgspec import Meta, Raw, Struct

from common.errors import EventError
from common.events import SwarmEvent, check_event
from common.shapes import MAX_MS, MAX_WHOLE, PATTERNS, Shape
from common.vocabulary import ANY, NODE, VOCABULARY

KEYWORDS = {"in": "in_"}  # names of fields that no attribute may have


def checked_event_data(time: float, node: int, seq: int, name: str, raw: Raw) -> Struct:
    """The data of a node's event; EventError if it does not follow the vocabulary."""
    decoder = _DECODERS.get(name)
    if decoder is not None:
        try:
            found: Struct = decoder.decode(raw)
            return found
        except msgspec.MsgspecError:
            pass  # 1.0 is a whole number to ``check_event``, for example
    try:
        data = check_event(SwarmEvent(time, node, seq, name, msgspec.json.decode(raw))).data
        found = _DECODERS[name].decode(msgspec.json.encode(data))
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as error:
        raise EventError(f"{name}: {error}") from None
    return found


def _text(pattern: str) -> Any:
    return Annotated[str, Meta(pattern=rf"\A(?:{pattern})\Z")]


def _number(least: float, most: float) -> Any:
    bounds = Meta(ge=least, le=most)
    return Union[Annotated[int, bounds], Annotated[float, bounds]]  # noqa: UP007  # of two aliases


def _whole(most: int) -> Any:
    return Annotated[int, Meta(ge=0, le=most)]


_NODE, _ANY_NUMBER = _whole(2**31 - 1), _number(-MAX_WHOLE, MAX_WHOLE)
_PLAIN: dict[str, Any] = {
    "node": _NODE,
    "count": _whole(MAX_WHOLE),
    "ms": _number(0, MAX_MS),
    "number": _ANY_NUMBER,
    "flag": bool,
    "text": str,
    "peer": Union[_NODE, _text(PATTERNS["address"])],  # noqa: UP007
    "scalar": Union[None, bool, str, _ANY_NUMBER],  # noqa: UP007
    **{name: _text(pattern) for name, pattern in PATTERNS.items()},
}


def type_of(shape: Shape, name: str = "Data") -> Any:
    """The type of the values of ``shape``. ``name``: of the structs that it needs."""
    if isinstance(shape, str):
        return _PLAIN[shape]
    return _COMPOUND[shape[0]](shape, name)


def _list(shape: Shape, name: str) -> Any:
    return Annotated[list[type_of(shape[1], name)], Meta(max_length=shape[2])]  # type: ignore[misc]


def _tuple(shape: Shape, name: str) -> Any:
    return tuple[tuple(type_of(part, name) for part in shape[1:])]  # type: ignore[misc]


def _record(shape: Shape, name: str) -> Any:
    required, optional = [], []
    for field, part in shape[1].items():
        plain = field.rstrip("?")
        kind = type_of(part, f"{name}_{plain}")
        attribute = KEYWORDS.get(plain, plain)
        if plain == field:
            required.append((attribute, kind))
        else:
            optional.append((attribute, Union[kind, msgspec.UnsetType], msgspec.UNSET))  # noqa: UP007
    rename = {attribute: field for field, attribute in KEYWORDS.items()}
    return msgspec.defstruct(name, [*required, *optional], rename=rename, gc=False)


def _map(shape: Shape, name: str) -> Any:
    _, key, part, most = shape
    return Annotated[dict[type_of(key), type_of(part, name)], Meta(max_length=most)]  # type: ignore[misc]


def _null(shape: Shape, name: str) -> Any:
    return Union[type_of(shape[1], name), None]  # noqa: UP007


_COMPOUND: Mapping[str, Callable[[Shape, str], Any]] = {
    "list": _list,
    "tuple": _tuple,
    "record": _record,
    "map": _map,
    "one": lambda shape, name: Literal[tuple(shape[1:])],
    "null": _null,
}
_DECODERS: Mapping[str, msgspec.json.Decoder[Any]] = {
    kind.name: msgspec.json.Decoder(type_of(kind.shape, kind.name.replace(":", "_")))
    for kind in VOCABULARY
    if kind.writer in (NODE, ANY)
}
