"""``GET /torrents``: the torrents that the classroom's tracker knows, for ``torrent -list`` and NAMEs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from common.errors import TrackerRefused, TrackerUnavailable
from common.text import sanitize
from node.discovery.http_client import HttpClient
from node.discovery.http_deadline import garbled
from node.events import ListedTorrent

MAX_LISTED = 200  # torrents of an answer, those with the most owners first
MAX_SHOWN_NAME = 255  # characters of a torrent's name
FORBIDDEN = 403  # HTTP: the swarm key is missing or wrong


def list_torrents(urls: Sequence[str], swarm_key: str, timeout: float) -> list[ListedTorrent]:
    """The torrents that the tracker at ``urls`` knows, from the first address that answers.

    ``timeout``: max seconds for each address. TrackerUnavailable, TrackerRefused.
    """
    fault = TrackerUnavailable("no tracker to ask for its torrents")
    for url in urls:
        try:
            return _ask(HttpClient(url, timeout), swarm_key)
        except TrackerUnavailable as error:
            fault = error
    raise fault


def _ask(http: HttpClient, swarm_key: str) -> list[ListedTorrent]:
    headers = {"X-Swarm-Key": swarm_key} if swarm_key else {}
    response = http.get(f"/torrents?limit={MAX_LISTED}", headers)
    http.close()
    if response.status == FORBIDDEN:
        raise TrackerRefused(f"tracker {http.url} refuses: setting SWARM_KEY is missing or wrong", FORBIDDEN)
    if response.status != 200:
        status = response.status
        raise TrackerRefused(f"tracker {http.url} lists no torrents (HTTP status {status})", status)
    try:
        rows = json.loads(response.content)["torrents"]
        return [_row(fields) for fields in rows[:MAX_LISTED]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise garbled(http.url, f"no list of torrents: {type(error).__name__}") from None


def _row(fields: dict[str, Any]) -> ListedTorrent:
    name, info_hash, size = fields["name"], fields["info_hash"], fields["size"]
    if not isinstance(name, str) or not re.fullmatch(r"(?:[0-9a-f]{40})?", info_hash or ""):
        raise ValueError("a name and an info hash are wanted")
    return ListedTorrent(
        sanitize(name)[:MAX_SHOWN_NAME],
        info_hash or "",
        None if size is None else _count(size),
        _count(fields["owners"]),
        _count(fields["complete"]) + _count(fields.get("complete_peers", 0)),
        _count(fields.get("peers", 0)),
    )


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError("a count is a whole number")
    return value
