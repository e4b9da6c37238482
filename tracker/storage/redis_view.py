"""The records of one request, read from Redis in one round trip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.messages import OwnedFile
from tracker.model import OTHER_REPORTERS, Counts, Keys, NodeRecord, ReporterTotal, Rules
from tracker.storage.redis_client import Command
from tracker.storage.redis_keys import NODE_FIELDS, RedisKeys, node_record, owned_file

Reads = dict[str, Command]
"""Commands that read, by a name for each reply."""


@dataclass(frozen=True)
class RedisView:
    """Implements tracker.view.View."""

    now: float
    silence: float
    rules: Rules
    due: float | None  # the earliest deadline, seconds
    expired_at: float  # seconds; when silent nodes were last removed
    nodes: Mapping[int, NodeRecord | None]
    files: Mapping[tuple[int, str], OwnedFile | None]
    file_counts: Mapping[int, int]
    totals: Mapping[tuple[int, int], ReporterTotal]
    known: Counts
    at_home: int

    def node(self, node_id: int) -> NodeRecord | None:
        return self.nodes[node_id]

    def file(self, node_id: int, key: str) -> OwnedFile | None:
        return self.files[node_id, key]

    def file_count(self, node_id: int) -> int:
        return self.file_counts[node_id]

    def total(self, owner: int, reporter: int) -> ReporterTotal | None:
        return self.totals.get((owner, reporter))

    def counts(self) -> Counts:
        return self.known

    def nodes_from(self, home: str) -> int:
        return self.at_home


def node_ids(keys: Keys) -> list[int]:
    """The nodes that a request names."""
    return list(
        dict.fromkeys([keys.caller.node_id, keys.owner if keys.owner is not None else keys.caller.node_id])
    )


def deadline_reads(names: RedisKeys) -> Reads:
    """The time, the earliest deadline and the totals, which every request needs."""
    return {
        "time": ("TIME",),
        "first": ("ZRANGE", names.deadlines, 0, 0, "WITHSCORES"),
        "meta": ("HMGET", names.meta, "grace_until", "expired_at", "claimed", "owned"),
    }


def record_reads(names: RedisKeys, keys: Keys) -> Reads:
    """The records that ``keys`` name."""
    caller, owner = keys.caller.node_id, keys.owner
    reads: Reads = {**deadline_reads(names), "nodes": ("ZCARD", names.deadlines)}
    if keys.caller.home is not None:
        reads["home"] = ("ZSCORE", names.homes, keys.caller.home)
    for node_id in node_ids(keys):
        reads[f"node {node_id}"] = ("HMGET", names.node(node_id), *NODE_FIELDS)
        reads[f"count {node_id}"] = ("HLEN", names.has(node_id))
    subject = caller if owner is None else owner
    if keys.files:
        reads["files"] = ("HMGET", names.has(subject), *keys.files)
    if owner is not None:
        reads["totals"] = ("HMGET", names.pairs(owner), caller, OTHER_REPORTERS)
    return reads


def earliest_deadline(found: Mapping[str, Any]) -> float | None:
    """The earliest deadline (seconds); None if there is no node."""
    grace_until = float(found["meta"][0] or 0)
    return max(float(found["first"][1]), grace_until) if found["first"] else None


def record_view(found: Mapping[str, Any], keys: Keys, now: float, silence: float, rules: Rules) -> RedisView:
    """The view of the replies to ``record_reads``."""
    caller, owner = keys.caller.node_id, keys.owner
    subject = caller if owner is None else owner
    ids = node_ids(keys)
    files = {
        (subject, key): None if text is None else owned_file(key, text)
        for key, text in zip(keys.files, found.get("files", ()), strict=True)
    }
    totals = {}
    for reporter, text in zip((caller, OTHER_REPORTERS), found.get("totals", (None, None)), strict=True):
        if owner is not None and text is not None:
            receipts, credit = map(int, text.split())
            totals[owner, reporter] = ReporterTotal(owner, reporter, receipts, credit)
    _, expired_at, claimed, owned = found["meta"]
    return RedisView(
        now,
        silence,
        rules,
        earliest_deadline(found),
        float(expired_at or 0),
        {node_id: node_record(node_id, found[f"node {node_id}"]) for node_id in ids},
        files,
        {node_id: found[f"count {node_id}"] for node_id in ids},
        totals,
        Counts(found["nodes"], int(claimed or 0), 0, int(owned or 0)),
        int(float(found.get("home") or 0)),
    )
