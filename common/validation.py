"""Types of a message's fields with their limits, and the check of a JSON object against them. Pure.

A description completes the sentence "FIELD must be ...": error messages and JSON Schemas share it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Meta, Struct

from common.addresses import MAX_HOST_LENGTH, Addr, unicast_host
from common.errors import MessageError
from common.filenames import MAX_COMPONENT_BYTES

MAX_NODE_ID = 2**31 - 1  # node ids are 31-bit numbers
MAX_SIZE = 2**63 - 1  # bytes; the largest signed 64-bit file offset

NAME_DESCRIPTION = f"a name of 1 to {MAX_COMPONENT_BYTES} bytes of UTF-8 without control characters"

NodeId = Annotated[int, Meta(ge=0, le=MAX_NODE_ID, description=f"a whole number from 0 to {MAX_NODE_ID}")]
Host = Annotated[
    str,
    Meta(
        max_length=MAX_HOST_LENGTH,
        description="a numeric IPv4 or IPv6 address of one host, or localhost, which means 127.0.0.1",
        extra_json_schema={
            "anyOf": [
                {"const": "localhost"},
                {
                    "format": "ipv4",
                    "pattern": r"^(?!0\.0\.0\.0$|255\.255\.255\.255$|22[4-9]\.|23\d\.)\d+(\.\d+){3}$",
                },
                {"format": "ipv6", "pattern": r"^(?![fF][fF]|[0:]+$)[0-9a-fA-F:]+$"},
            ]
        },
    ),
]
Port = Annotated[int, Meta(ge=1, le=65535)]
TcpPort = Annotated[
    int,
    Meta(
        ge=1,
        le=65535,
        description="a port from 1 to 65535: where the node listens for BitTorrent's peer wire (BEP 3)",
    ),
]
Address = Annotated[
    tuple[Host, Port], Meta(description="[ip, port]: a numeric address and a port from 1 to 65535")
]
Filename = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_COMPONENT_BYTES,
        pattern="^(?![\\s\\S]*[\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029])",
        description=NAME_DESCRIPTION,
    ),
]
InfoHash = Annotated[
    str,
    Meta(max_length=40, pattern="^[0-9a-fA-F]{40}$", description="40 hexadecimal digits, a SHA-1"),
]
PeerId = Annotated[
    str, Meta(max_length=40, pattern="^[0-9a-f]{40}$", description="40 hexadecimal digits, a peer id (BEP 3)")
]
TransportNames = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=32)], ...],
    Meta(min_length=1, max_length=8, description='a list of transports that the node speaks: "udp", "tcp"'),
]
Size = Annotated[int, Meta(ge=0, le=MAX_SIZE, description="a whole number of bytes")]
Count = Annotated[int, Meta(ge=0, le=MAX_SIZE, description="a whole number, at least 0")]
ReceiptNumber = Annotated[int, Meta(ge=1, le=MAX_SIZE, description="a whole number, at least 1")]
Flag = Annotated[bool, Meta(description="true or false")]
Seconds = Annotated[float, Meta(gt=0, le=sys.float_info.max, description="a positive number of seconds")]

T = TypeVar("T", bound=Struct)


def decode_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body, with or without a byte order mark; MessageError if there is no object."""
    try:
        value = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except RecursionError:
        raise MessageError("the body is nested too deeply", "body") from None
    except ValueError as error:  # also msgspec's: malformed, not UTF-8, a number out of range
        raise MessageError(f"the body is not JSON: {error}", "body") from None
    if not isinstance(value, dict):
        raise MessageError("the body must be a JSON object", "body")
    return value


def checked(kind: type[T], fields: Mapping[str, Any]) -> T:
    """The message of ``fields``, where null counts as absent; MessageError names the wrong field."""
    try:
        return msgspec.convert(present(fields), kind)
    except msgspec.ValidationError as error:
        raise _named(str(error), kind) from None


def decoded(kind: type[T], body: bytes) -> T:
    """The message in a JSON body, where null counts as absent; MessageError names the wrong field."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, RecursionError):
        fields = present(decode_object(body))
    try:
        return msgspec.json.decode(msgspec.json.encode(fields), type=kind)
    except msgspec.ValidationError as error:
        raise _named(str(error), kind) from None
    except (ValueError, RecursionError) as error:  # half a character, or nested too deeply
        raise MessageError(f"the body is not JSON: {error}", "body") from None


def _named(text: str, kind: type[Struct]) -> MessageError:
    """msgspec's ``Expected `int`, got `str` - at `$.addr[1]` `` as an error that names the field."""
    text, _, place = text.partition(" - at ")
    missing = _MISSING.search(text)
    path = ".".join(filter(None, [place.strip("`").lstrip("$").lstrip("."), missing[1] if missing else ""]))
    field = re.sub(r"addr\[\d\]$", "addr", path)  # an address is one field
    if missing:
        return MessageError(f"{field} is missing", field)
    description = _descriptions(kind).get(field.rpartition(".")[2])
    if description is None:
        text = text.replace("`", "")
        return MessageError(f"{field}: {text[:1].lower()}{text[1:]}" if field else text, field or "body")
    return MessageError(f"{field} must be {description}", field)


_MISSING = re.compile("missing required field `(.*)`")


def present(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    if None not in fields.values():
        return fields
    return {name: value for name, value in fields.items() if value is not None}


def canonical_addr(addr: Addr) -> Addr:
    """The address with its host in the canonical spelling; MessageError if no single host can have it."""
    host, port = addr
    try:
        return unicast_host(host), port
    except ValueError as error:
        raise MessageError(f"addr: {error}", "addr") from None


def check_name_bytes(name: str, field: str = "filename") -> None:
    """A schema counts characters, but a file system counts bytes; MessageError if there are too many."""
    try:
        if len(name.encode()) <= MAX_COMPONENT_BYTES:
            return
    except UnicodeEncodeError:  # half a character, as JSON can spell it
        pass
    raise MessageError(f"{field} must be {NAME_DESCRIPTION}", field)


@lru_cache
def _descriptions(kind: type[Struct]) -> dict[str, str]:
    """The description of each field's type, by the field's name; those of nested structs too."""
    found: dict[str, str] = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        for part in _parts(hint):
            if isinstance(part, Meta):
                if part.description is not None:
                    found.setdefault(name, part.description)
            elif isinstance(part, type) and issubclass(part, Struct):
                found = {**_descriptions(part), **found}
    return found


def _parts(hint: Any) -> Iterator[Any]:
    """The metadata and the plain types in a type, the outermost first."""
    yield from getattr(hint, "__metadata__", ())
    inner = [part for part in get_args(hint) if not isinstance(part, Meta)]
    for part in inner:
        yield from _parts(part)
    if not inner:
        yield hint
