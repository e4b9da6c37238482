"""Questions to the lists of owners in Redis."""

from __future__ import annotations

from collections.abc import Sequence

from common.messages import OwnerEntry
from tracker.model import NodeView, SwarmView
from tracker.storage.redis_client import Command, Session
from tracker.storage.redis_keys import NODE_FIELDS, RedisKeys, node_record, owned_file


def owners(
    session: Session,
    names: RedisKeys,
    members: Sequence[str],
    filename: str | None,
    info_hash: str | None,
) -> tuple[tuple[OwnerEntry, ...], str | None]:
    """The owners that ``members`` of a list stand for, and the file name as the first one calls it."""
    asked: list[tuple[int, str]] = []
    commands: list[Command] = []
    for member in members:
        _, owner, *listed_hash = member.split(":")
        key = info_hash or (listed_hash[0] if listed_hash else "") or f":{filename}"
        node_id = int(owner)
        asked.append((node_id, key))
        commands.append(("HMGET", names.node(node_id), *NODE_FIELDS))
        commands.append(("HGET", names.has(node_id), key))
    replies = session.run(*commands) if commands else []
    entries: list[OwnerEntry] = []
    name: str | None = None
    for (node_id, key), values, about in zip(asked, replies[::2], replies[1::2], strict=True):
        node = node_record(node_id, values)
        if node is not None and about is not None:
            file = owned_file(key, about)
            name = name or file.filename
            entries.append(
                OwnerEntry(
                    node_id,
                    node.addr,
                    node.shown,
                    file.info_hash,
                    file.complete,
                    file.size,
                    node.tcp_port,
                )
            )
    return tuple(entries), name


def node_views(session: Session, names: RedisKeys, ids: Sequence[str]) -> list[NodeView]:
    """These nodes, for people."""
    commands: list[Command] = []
    for node_id in map(int, ids):
        commands += [("HMGET", names.node(node_id), *NODE_FIELDS), ("HLEN", names.has(node_id))]
    replies = session.run(*commands) if commands else []
    views = []
    for node_id, values, files in zip(map(int, ids), replies[::2], replies[1::2], strict=True):
        node = node_record(node_id, values)
        if node is not None:
            views.append(NodeView(node_id, node.addr, node.shown, files, node.secret is not None))
    return views


def largest_swarms(session: Session, names: RedisKeys, limit: int) -> list[SwarmView]:
    """The files with the most owners."""
    (keys,) = session.run(("ZREVRANGE", names.swarms, 0, limit - 1))
    commands: list[Command] = []
    for key in keys:
        for side in ("w", "p"):
            name = names.of(side, "file", key)
            commands += [("ZRANGE", name, 0, 0), ("ZCARD", name)]
    replies = session.run(*commands) if commands else []
    firsts = [(replies[at] or replies[at + 2] or [""])[0] for at in range(0, len(replies), 4)]
    described = [
        (names.has(int(first.split(":")[1])), key) for first, key in zip(firsts, keys, strict=True) if first
    ]
    abouts = session.run(*(("HGET", *one) for one in described)) if described else []
    sizes = {key: (replies[4 * at + 1], replies[4 * at + 3]) for at, key in enumerate(keys)}
    views = []
    for (_, key), about in zip(described, abouts, strict=True):
        if about is not None:
            file = owned_file(key, about)
            views.append(SwarmView(file.filename, file.info_hash, file.size, *sizes[key]))
    return views
