"""The address of a tracker, in the one spelling that every part of the node compares. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from common.addresses import http_url, split_http_url
from common.errors import MessageError
from common.text import sanitize

_SHOWN = 200  # characters of a wrong URL that a message repeats


def tracker_url(url: str) -> str:
    """``http://HOST:PORT`` of a tracker's URL, without its path. MessageError for any other kind of URL."""
    try:
        host, port, _ = split_http_url(url)
        if port == 0:
            raise ValueError
    except ValueError:
        shown = sanitize(url)[:_SHOWN]
        raise MessageError(f"tracker {shown!r} is no http://HOST:PORT address", "announce") from None
    return http_url(host, 80 if port is None else port)


def classroom_urls(urls: Sequence[str]) -> Iterator[str]:
    """The tracker URLs among ``urls`` that this node can ask; others (udp, https) are left out."""
    for url in urls:
        try:
            yield tracker_url(url)
        except MessageError:
            continue
