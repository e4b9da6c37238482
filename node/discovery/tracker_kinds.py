"""Which addresses speak the classroom's protocol, and which the standard ones. Pure; the caller locks.

``http://HOST:PORT/announce`` may be either. A node with a node_id asks the classroom API first. Until that is
answered, and afterwards if it is a classroom tracker, the address gets no standard announce: one node says
one thing to one tracker, and is not listed twice. That includes UDP, which a tracker of this project answers
at the same port number.
"""

from __future__ import annotations

from collections.abc import Iterable

from common.addresses import split_http_url
from node.discovery.announce_url import AnnounceUrl


class TrackerKinds:
    """Keyed by host and port."""

    def __init__(self) -> None:
        self._is_classroom: dict[tuple[str, int], bool | None] = {}  # None: it is being asked

    def asked(self, urls: Iterable[str], is_classroom: bool | None = None) -> None:
        """The classroom API of ``urls``, each ``http://HOST:PORT``, is asked, or will be.

        ``is_classroom``: what to believe until it answers.
        """
        for url in urls:
            self._is_classroom.setdefault(_key(url), is_classroom)

    def answered(self, urls: Iterable[str], is_classroom: bool) -> bool:
        """The kind that answered there. False if that was believed before."""
        before = dict(self._is_classroom)
        self._is_classroom.update((_key(url), is_classroom) for url in urls)
        return before != self._is_classroom

    def is_held(self, url: AnnounceUrl) -> bool:
        """True if standard announces are not sent to ``url``, at least not yet."""
        return self._kind(url) is not False

    def is_classroom(self, url: AnnounceUrl) -> bool:
        """True if ``url`` is believed to be an address of a classroom tracker."""
        return self._kind(url) is True

    def _kind(self, url: AnnounceUrl) -> bool | None:
        host = "127.0.0.1" if url.host == "localhost" else url.host
        return False if url.scheme == "https" else self._is_classroom.get((host, url.port), False)


def _key(url: str) -> tuple[str, int]:
    host, port, _ = split_http_url(url)
    return host, 80 if port is None else port
