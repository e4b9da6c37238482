"""Reading the fields of a torrent's dictionaries. A field of the wrong type or value is a MetainfoError."""

from __future__ import annotations

import re
from collections.abc import Mapping

from common import bencode
from common.errors import MetainfoError

MAX_ANNOUNCE_BYTES = 2048  # length of a tracker's URL
MAX_NOTE_BYTES = 1 << 16  # of a comment or of the creator's name; the rest is cut off
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]")


def utf8_key(source: Mapping[bytes, bencode.Value], key: bytes) -> bytes:
    """The key of the UTF-8 version of ``key`` if there is one, else ``key``."""
    return key + b".utf-8" if key + b".utf-8" in source else key


def read_value(source: Mapping[bytes, bencode.Value], key: bytes) -> bencode.Value:
    if key not in source:
        raise MetainfoError(f"{key.decode()} is missing")
    return source[key]


def read_integer(source: Mapping[bytes, bencode.Value], key: bytes, low: int, high: int) -> int:
    value = read_value(source, key)
    if not isinstance(value, int):
        raise MetainfoError(f"{key.decode()} is not an integer")
    if not low <= value <= high:
        raise MetainfoError(f"{key.decode()} {value} is not from {low} to {high}")
    return value


def read_note(torrent: Mapping[bytes, bencode.Value], key: bytes) -> str:
    """A text for people outside ``info``, "" if it is missing. Bytes that are not UTF-8 are replaced."""
    value = torrent.get(utf8_key(torrent, key))
    return value[:MAX_NOTE_BYTES].decode("utf-8", "replace") if isinstance(value, bytes) else ""


def as_text(value: bencode.Value, what: str) -> str:
    if not isinstance(value, bytes):
        raise MetainfoError(f"{what} is not a byte string")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise MetainfoError(f"{what} is not UTF-8") from None


def as_name(value: bencode.Value, what: str) -> str:
    """A file's name. Bytes that are not UTF-8 become lone surrogates, as Python decodes names on disk."""
    if not isinstance(value, bytes):
        raise MetainfoError(f"{what} is not a byte string")
    return value.decode("utf-8", "surrogateescape")


def as_list(value: bencode.Value | None) -> list[bencode.Value]:
    return value if isinstance(value, list) else []


def as_url(value: bencode.Value) -> str | None:
    """The URL in ``value`` without blanks around it; None if it cannot be one."""
    try:
        url = as_text(value, "URL").strip()
    except MetainfoError:
        return None
    return None if len(url) > MAX_ANNOUNCE_BYTES or _NOT_IN_A_URL.search(url) else url
