"""Strict reading of the fields of a JSON object: the value in its type and range, or MessageError naming
the field.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from common.addresses import MAX_HOST_LENGTH as MAX_IP_TEXT
from common.addresses import Addr
from common.errors import MessageError
from common.messages import MAX_NAME_BYTES, MAX_NODE_ID, MAX_SIZE

_INFO_HASH = re.compile(r"[0-9a-fA-F]{40}\Z")
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # control, line ends, lone surrogates


def integer(fields: Mapping[str, Any], name: str, low: int, high: int) -> int:
    """A whole number in [low, high]; neither a bool nor a string nor 1.0 is one."""
    value = _present(fields, name)
    if type(value) is not int:
        raise MessageError(f"{name} must be a whole number", name)
    if not low <= value <= high:
        raise MessageError(f"{name} must be from {low} to {high}", name)
    return value


def boolean(fields: Mapping[str, Any], name: str, default: bool) -> bool:
    """true or false; ``default`` if absent."""
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise MessageError(f"{name} must be true or false", name)
    return value


def node_id(fields: Mapping[str, Any], name: str = "node_id") -> int:
    """A node's number, in [0, 2**31)."""
    return integer(fields, name, 0, MAX_NODE_ID)


def filename(fields: Mapping[str, Any], name: str = "filename") -> str:
    """A file's name: 1 to 255 bytes of UTF-8 without control characters. The tracker never opens it."""
    value = _present(fields, name)
    if not isinstance(value, str) or not value:
        raise MessageError(f"{name} must be a name", name)
    if _UNSAFE.search(value):
        raise MessageError(f"{name} has a control character or half a character in it", name)
    if len(value.encode("utf-8")) > MAX_NAME_BYTES:
        raise MessageError(f"{name} is longer than {MAX_NAME_BYTES} bytes", name)
    return value


def info_hash(fields: Mapping[str, Any], name: str = "info_hash") -> str | None:
    """40 hexadecimal digits, in lower case; None if absent."""
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not _INFO_HASH.match(value):
        raise MessageError(f"{name} must be 40 hexadecimal digits", name)
    return value.lower()


def size(fields: Mapping[str, Any], name: str) -> int | None:
    """A number of bytes; None if absent."""
    return None if fields.get(name) is None else integer(fields, name, 0, MAX_SIZE)


def addr(fields: Mapping[str, Any], name: str = "addr") -> Addr:
    """``[ip, port]`` as others can send to it; "localhost" means 127.0.0.1."""
    value = _present(fields, name)
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise MessageError(f"{name} must be [ip, port]", name)
    host, port = value
    if type(port) is not int or not 1 <= port <= 65535:
        raise MessageError(f"{name}: the port must be a whole number from 1 to 65535", name)
    return _ip(host, name), port


def _ip(host: object, name: str) -> str:
    if host == "localhost":
        return "127.0.0.1"
    try:
        if not isinstance(host, str) or "%" in host:
            raise ValueError
        ip, is_one_nodes = _parsed(host[:MAX_IP_TEXT])
    except ValueError:
        raise MessageError(f"{name}: the host must be a numeric IP address or localhost", name) from None
    if not is_one_nodes:
        raise MessageError(f"{name}: {ip} is not the address of one node", name)
    return ip


@lru_cache(8192)  # parsing takes as long as all else that a heartbeat costs the tracker
def _parsed(host: str) -> tuple[str, bool]:
    """An IP address as it is written everywhere, and whether one node may have it; or ValueError."""
    ip = ipaddress.ip_address(host)
    ip = getattr(ip, "ipv4_mapped", None) or ip  # ::ffff:1.2.3.4 and 1.2.3.4 are one address
    return str(ip), not (ip.is_unspecified or ip.is_multicast or str(ip) == "255.255.255.255")


def _present(fields: Mapping[str, Any], name: str) -> Any:
    value = fields.get(name)
    if value is None:
        raise MessageError(f"{name} is missing", name)
    return value
