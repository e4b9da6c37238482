"""Sends a report to the node's tracker, and derives the fate of its batch from the answer."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from common.errors import TrackerUnavailable
from node.discovery.classroom import TrackerClient
from node.discovery.http_client import HttpClient, HttpResponse

REPORT = "/report"
MAX_INTERVAL = 60.0  # seconds between two reports that a tracker may ask for
RETRY_AFTER = 1.0  # seconds until the next try if the tracker gives no time


class Fate(enum.Enum):
    """The fate of a batch."""

    TAKEN = "taken"
    LATER = "later"  # send it again
    UNKNOWN_NODE = "unknown node"  # the same, after REGISTER
    REFUSED = "refused"  # it would be refused again
    NEVER = "never"  # this tracker takes no reports


class PostAnswer(NamedTuple):
    """The tracker's answer. ``wait``: min seconds until the next report."""

    fate: Fate
    wait: float = 0.0
    next_seq: int | None = None  # that it expects; None: all after the batch
    epoch: str | None = None  # names its log
    reason: str = ""


class ReportClient:
    """Posts to the address of ``tracker`` that answered last. Not thread-safe."""

    def __init__(self, tracker: TrackerClient) -> None:
        self._tracker = tracker
        self._clients: dict[tuple[str, float], HttpClient] = {}

    def post(self, body: bytes, timeout: float) -> PostAnswer:
        """Send one report; at most ``timeout`` seconds for each step."""
        where = self._tracker.name, timeout
        client = self._clients.get(where)
        if client is None:
            client = self._clients[where] = HttpClient(*where)
        try:
            return answer_of(client.post(body, self._tracker.headers(), again=True, path=REPORT))
        except TrackerUnavailable as error:
            return PostAnswer(Fate.LATER, RETRY_AFTER, reason=str(error))

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()


def answer_of(response: HttpResponse) -> PostAnswer:
    """The meaning of an answer. A server that is no classroom tracker takes no reports."""
    status, fields = response.status, _fields(response.content)
    reason = str(fields.get("error", f"HTTP status {status}"))
    if status == 200 and "next" in fields:
        return _taken(fields)
    if status in (404, 405) or status < 400:
        return PostAnswer(Fate.NEVER)
    if status == 400 and fields.get("field") == "node_id":
        return PostAnswer(Fate.UNKNOWN_NODE, RETRY_AFTER, reason=reason)
    if status in (400, 413):
        return PostAnswer(Fate.REFUSED, reason=reason)
    wait = min(response.retry_after or RETRY_AFTER, MAX_INTERVAL)
    return PostAnswer(Fate.LATER, wait, reason=reason)


def _taken(fields: Mapping[str, Any]) -> PostAnswer:
    next_seq, interval, epoch = fields["next"], fields.get("interval_ms"), fields.get("epoch")
    return PostAnswer(
        Fate.TAKEN,
        min(max(interval / 1000, 0.0), MAX_INTERVAL) if isinstance(interval, (int, float)) else 0.0,
        next_seq if type(next_seq) is int and next_seq > 0 else None,
        epoch if isinstance(epoch, str) else None,
    )


def _fields(content: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
