"""The address of a tracker, in the one spelling that every part of the node compares. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from common.errors import MessageError
from common.text import sanitize

_SHOWN = 200  # characters of a wrong URL that a message repeats
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?\Z")


def tracker_url(url: str) -> str:
    """``http://HOST:PORT`` of a tracker's URL, without its path. MessageError for any other kind of URL."""
    wrong = MessageError(f"tracker {sanitize(url)[:_SHOWN]!r} is no http://HOST:PORT address", "announce")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", 80 if parts.port is None else parts.port
        numeric = f"[{ipaddress.IPv6Address(host)}]" if "[" in parts.netloc else ""
    except ValueError:
        raise wrong from None
    if parts.scheme != "http" or parts.username is not None or port == 0:
        raise wrong
    if not (numeric or _HOST_NAME.match(host)):
        raise wrong
    return f"http://{numeric or ('127.0.0.1' if host == 'localhost' else host)}:{port}"


def classroom_urls(urls: Sequence[str]) -> Iterator[str]:
    """The tracker URLs among ``urls`` that this node can ask; others (udp, https) are left out."""
    for url in urls:
        try:
            yield tracker_url(url)
        except MessageError:
            continue
