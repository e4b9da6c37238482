"""A decision's writes as commands to Redis; and the removal of nodes, a part at a time.

A node with many files leaves in several transactions, its files first and itself last. So no transaction
keeps Redis busy for long. A process that dies in between leaves a node with fewer files, which it can leave
again with, or which falls silent.
"""

from __future__ import annotations

from collections.abc import Sequence

from common.messages import OwnedFile
from tracker.model import (
    ExpiredNode,
    FilesDropped,
    FilesOwned,
    NodeLeft,
    NodeRecord,
    ReporterTotal,
    Write,
    file_key,
)
from tracker.ranking import Strategy
from tracker.storage.redis_client import Command, Session
from tracker.storage.redis_keys import NODE_FIELDS, RedisKeys, node_record, owned_file
from tracker.storage.redis_peers import node_contact
from tracker.storage.redis_view import RedisView

EXPIRE_NODES = 24  # max nodes that one transaction removes
REMOVE_FILES = 200  # max files of a node that one transaction removes


class Writer:
    """Makes commands, for the records under the names of one tracker."""

    def __init__(self, names: RedisKeys, strategy: Strategy, half_life: float) -> None:
        self._names = names
        self._strategy = strategy
        self._half_life = half_life  # seconds

    def commands(
        self, session: Session, view: RedisView, writes: Sequence[Write]
    ) -> tuple[list[Command], bool]:
        """The commands of one transaction, and whether these are all that ``writes`` need."""
        commands: list[Command] = []
        nodes = dict(view.nodes)
        for write in writes:
            if isinstance(write, NodeLeft):
                removal, is_whole = self._remove(session, view.nodes[write.node_id])
                return removal, is_whole
            if isinstance(write, NodeRecord):
                commands += self._put(session, view.nodes[write.node_id], write)
                nodes[write.node_id] = write
            elif isinstance(write, FilesOwned):
                commands += self._own(view, nodes[write.node_id], write)
            elif isinstance(write, FilesDropped):
                files = [view.file(write.node_id, key) for key in write.keys]
                commands += self._drop(nodes[write.node_id], [file for file in files if file is not None])
            elif isinstance(write, ReporterTotal):
                commands.append(self._put_total(write))
        return commands, True

    def _put(self, session: Session, before: NodeRecord | None, node: NodeRecord) -> list[Command]:
        names, claims = self._names, int(node.secret is not None)
        commands = [names.put(node)]
        if before is None:
            if node.home is not None:
                commands.append(("ZINCRBY", names.homes, 1, node.home))
        else:
            claims -= int(before.secret is not None)
            if self._rank(node) != self._rank(before):
                commands += names.rerank(node.node_id, self._rank(node), self._files(session, node.node_id))
            if (node.addr, node.tcp_port) != (before.addr, before.tcp_port):
                for file in self._files(session, node.node_id):
                    commands += [*self._on_tcp("SREM", before, file), *self._on_tcp("SADD", node, file)]
                if node.tcp_port is None:
                    commands.append(("HDEL", names.node(node.node_id), "tcp_port"))
        if claims:
            commands.append(("HINCRBY", names.meta, "claimed", claims))
        return commands

    def _own(self, view: RedisView, node: NodeRecord | None, write: FilesOwned) -> list[Command]:
        assert node is not None
        commands: list[Command] = []
        more = 0
        for file in write.files:
            before = view.file(write.node_id, file_key(file.filename, file.info_hash))
            commands += self._names.own(write.node_id, self._rank(node), file, before)
            if before is not None:
                commands += self._on_tcp("SREM", node, before)
            commands += self._on_tcp("SADD", node, file)
            more += before is None
        if more:
            commands.append(("HINCRBY", self._names.meta, "owned", more))
        return [*commands, *self._names.drop_zeros()]

    def _on_tcp(self, command: str, node: NodeRecord, file: OwnedFile) -> list[Command]:
        """List the node among the TCP peers of a file, or no longer."""
        found = node_contact(self._names, node, file)
        return [] if found is None else [(command, *found)]

    def _put_total(self, total: ReporterTotal) -> Command:
        return ("HSET", self._names.pairs(total.owner), total.reporter, f"{total.receipts} {total.credit}")

    # ---- removal

    def expire(self, session: Session, now: float) -> list[ExpiredNode]:
        """Remove some nodes past their deadline, or a part of their files; the nodes that are gone now.

        StorageFull, StorageReadOnly if Redis refuses to write.
        """
        names = self._names
        (ids,) = session.run(
            ("ZRANGE", names.deadlines, "-inf", repr(now), "BYSCORE", "LIMIT", 0, EXPIRE_NODES)
        )
        if not ids:
            return []
        watched = [name for node_id in ids for name in (names.node(node_id), names.has(node_id))]
        replies = session.run(
            ("WATCH", *watched), *(("HMGET", names.node(node_id), *NODE_FIELDS) for node_id in ids)
        )
        commands: list[Command] = [("HSET", names.meta, "expired_at", repr(now))]
        gone: list[ExpiredNode] = []
        files = 0
        for node_id, values in zip(map(int, ids), replies[1:], strict=True):
            node = node_record(node_id, values)
            if node is None:  # another process has just removed it
                commands.append(("ZREM", names.deadlines, node_id))
                continue
            removal, is_whole = self._remove(session, node)
            commands += removal
            if is_whole:
                gone.append(ExpiredNode(node_id, node.addr))
            files += len(removal)
            if files > REMOVE_FILES:
                break
        return gone if session.commit(*commands) else []

    def _remove(self, session: Session, node: NodeRecord | None) -> tuple[list[Command], bool]:
        """The commands that remove a node, or some of its files if they are many; and whether it is all."""
        assert node is not None
        names, node_id = self._names, node.node_id
        found, count = session.run(
            ("HRANDFIELD", names.has(node_id), REMOVE_FILES, "WITHVALUES"), ("HLEN", names.has(node_id))
        )
        files = [owned_file(key, about) for key, about in zip(found[::2], found[1::2], strict=True)]
        is_whole = len(files) == count
        commands: list[Command] = []
        if is_whole:
            commands.append(("ZREM", names.deadlines, node_id))
            commands.append(("UNLINK", names.node(node_id), names.pairs(node_id)))
            if node.secret is not None:
                commands.append(("HINCRBY", names.meta, "claimed", -1))
            if node.home is not None:
                commands.append(("ZINCRBY", names.homes, -1, node.home))
        return [*commands, *self._drop(node, files)], is_whole

    def _drop(self, node: NodeRecord | None, files: Sequence[OwnedFile]) -> list[Command]:
        """The commands that list the node as an owner of these files no longer."""
        assert node is not None
        names, commands = self._names, list[Command]()
        for file in files:
            commands += [*names.disown(node.node_id, file), *self._on_tcp("SREM", node, file)]
        if files:
            commands.append(("HINCRBY", names.meta, "owned", -len(files)))
        return [*commands, *names.drop_zeros()]

    # ---- ranks

    def rank_all(self, session: Session, ranking: str) -> None:
        """Give all owners their places in the order of another strategy."""
        cursor = "0"
        while True:
            ((cursor, found),) = session.run(("ZSCAN", self._names.deadlines, cursor, "COUNT", 64))
            for node_id in map(int, found[::2]):
                (values,) = session.run(("HMGET", self._names.node(node_id), *NODE_FIELDS))
                node = node_record(node_id, values)
                files = self._files(session, node_id)
                if node is not None and files:
                    session.run(*self._names.rerank(node_id, self._rank(node), files))
            if cursor == "0":
                break
        self.try_write(
            session, ("HSET", self._names.meta, "ranking", ranking, "half_life", repr(self._half_life))
        )

    def try_write(self, session: Session, command: Command) -> None:
        """Carry out a command that a Redis without room, or a replica, may refuse."""
        session.try_run(command)

    def _rank(self, node: NodeRecord) -> float:
        return self._strategy.rank(node, self._half_life)

    def _files(self, session: Session, node_id: int) -> list[OwnedFile]:
        (found,) = session.run(("HGETALL", self._names.has(node_id)))
        return [owned_file(key, about) for key, about in zip(found[::2], found[1::2], strict=True)]
