"""The trackers that a torrent names: ``announce`` (BEP 3) and ``announce-list`` (BEP 12).

The list has tiers. A client uses a tracker of the first tier; one of a later tier only if no tracker of the
tiers before it answers. If there is a list, ``announce`` is not part of the tiers (BEP 12). Most
torrents have its URL in both.
"""

from __future__ import annotations

from collections.abc import Mapping

from common import bencode
from common.torrent_fields import as_list, as_url

MAX_TRACKERS = 16  # URLs of an announce-list that are used

Tiers = tuple[tuple[str, ...], ...]
"""URLs of trackers: tiers, none of them empty, in the order in which they are used. No URL is there twice."""


def read_announce(torrent: Mapping[bytes, bencode.Value], warnings: list[str]) -> str:
    """The URL in ``announce``, or "". A value that is no URL adds to ``warnings``."""
    announce = as_url(torrent.get(b"announce", b""))
    if announce is None:
        warnings.append("announce is not a URL; it is ignored")
    return announce or ""


def read_tiers(torrent: Mapping[bytes, bencode.Value]) -> Tiers:
    """The first MAX_TRACKERS URLs of the announce-list. Other values are ignored."""
    tiers: list[tuple[str, ...]] = []
    seen: set[str] = set()
    for listed in as_list(torrent.get(b"announce-list")):
        tier: list[str] = []
        for value in as_list(listed):
            url = as_url(value)
            if url and url not in seen and len(seen) < MAX_TRACKERS:
                seen.add(url)
                tier.append(url)
        if tier:
            tiers.append(tuple(tier))
    return tuple(tiers)
