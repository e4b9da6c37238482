"""Swarms: the owners of each file, and the files with the most owners. Pure.

A swarm is all owners of one file key. The owners of all files of one name are listed, too, because NEED may
ask by name. Nearly every name belongs to one key, and every key to one name. Then both lists are one object,
so an owner is added and removed once. A second key of the name, or a second name of the key, splits it for
good. Only that one step takes time that grows with the owners of the file.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import attrgetter

from sortedcontainers import SortedKeyList

from common.messages import OwnedFile, OwnerList
from tracker.model import FilesOwned, Found, NodeRecord, SwarmView, file_key
from tracker.owners import Ownership, RankedOwners, RegisteredNode, by_node, by_node_and_hash
from tracker.peer_swarms import PeerSwarms

LISTED = 2  # owners from which a swarm is listed by its size; most swarms have one
SIZE_STEP = 8  # a swarm moves in that list when its size changes by an eighth
MAX_CACHED = 256  # swarms with a cached answer: about 4 MB with 50 owners each


class Swarm:
    """The owners of a file, or of all files of one name: of all of it, or of a part."""

    __slots__ = ("whole", "partial", "listed_size", "cached", "is_both", "size", "_order")

    def __init__(self, is_both: bool = False, of_name: bool = False) -> None:
        """``is_both``: all files of one name, and all of one key. ``of_name``: files of several keys."""
        self.is_both = is_both
        self._order = by_node_and_hash if of_name else by_node
        self.whole: RankedOwners | None = None
        self.partial: RankedOwners | None = None
        self.size = 0  # owners
        self.listed_size = 0  # owners when it was listed by size last
        self.cached: tuple[int, Found] | None = None  # limit and answer, until the answer may be another

    def side(self, owned: Ownership) -> RankedOwners | None:
        """The owners of the whole file, or those of a part: the list that ``owned`` belongs in."""
        return self.whole if owned.file.complete else self.partial

    def extend(self, entries: Sequence[Ownership]) -> None:
        """Add owners, all of the whole file or all of a part."""
        self.cached = None
        self.size += len(entries)
        side = self.side(entries[0])
        if side is not None:
            side.extend(entries)
        elif entries[0].file.complete:
            self.whole = RankedOwners(entries, self._order)
        else:
            self.partial = RankedOwners(entries, self._order)

    def remove(self, owned: Ownership) -> None:
        """Remove an owner."""
        self.cached = None
        self.size -= 1
        side = self.whole if owned.file.complete else self.partial
        assert side is not None
        side.remove(owned)

    def any_file(self) -> OwnedFile:
        """The file as one of its owners describes it."""
        owned: Ownership = next(iter(chain(self.whole or (), self.partial or ())))
        return owned.file

    def shared(self, file: OwnedFile) -> OwnedFile:
        """``file``, or an equal object that another owner uses already: descriptions need much memory."""
        side = self.whole if file.complete else self.partial
        known = next(iter(side or ()), None)
        return known.file if known is not None and known.file == file else file

    def choose(self, limit: int, drawn: bool, rng: random.Random) -> list[Ownership]:
        """The best ``limit`` owners of the whole file (any, if ``drawn``), then any owners of a part.

        Owners of a part have just begun, so their ranks mean little. And if all clients got the same few
        owners, all would ask these.
        """
        found: list[Ownership] = []
        if self.whole:
            found = self.whole.draw(limit, rng) if drawn else self.whole.best(limit)
        if len(found) < limit and self.partial:
            found = found + self.partial.draw(limit - len(found), rng)
        return found

    def view(self) -> SwarmView:
        """The swarm, for people."""
        file = self.any_file()
        return SwarmView(
            file.filename, file.info_hash, file.size, len(self.whole or ()), len(self.partial or ())
        )


class Swarms:
    """All files and their owners."""

    def __init__(self, drawn: bool, rng: random.Random, on_tcp: PeerSwarms | None = None) -> None:
        """``drawn``: answer with owners at random, instead of the best ones. ``on_tcp``: lists the owners
        that listen there.
        """
        self._on_tcp = on_tcp or PeerSwarms()
        self.by_key: dict[str, Swarm] = {}
        self.by_name: dict[str, Swarm] = {}
        self.owned = 0  # ownerships
        self._drawn = drawn
        self._rng = rng
        self._by_size = SortedKeyList(key=lambda swarm: (-swarm.listed_size, id(swarm)))
        self._cached: deque[Swarm] = deque()

    # ---- changes

    def add(self, node: RegisteredNode, change: FilesOwned) -> None:
        """Note that a node owns files. Earlier descriptions of the same files are replaced."""
        for file in change.files:
            key = file_key(file.filename, file.info_hash)
            before = node.files.pop(key, None)
            if before is not None:
                self._remove(key, before)
            swarm = self.by_key.get(key)
            self._extend(key, [Ownership(node, file if swarm is None else swarm.shared(file))])
            swarm = self.by_key[key]
            self._list_by_size(swarm)

    def restore(self, owned: Iterable[tuple[OwnedFile, list[RegisteredNode]]]) -> None:
        """``add`` for all owners of all files, when a tracker starts."""
        for file, nodes in owned:
            key = file_key(file.filename, file.info_hash)
            entries = []
            for node in nodes:
                if key in node.files:  # twice in a file that people edited
                    self.add(node, FilesOwned(node.record.node_id, (file,)))
                else:
                    entries.append(Ownership(node, file))
            if entries:
                self._extend(key, entries)
        for swarm in self.by_key.values():
            swarm.listed_size = swarm.size
        self._by_size.clear()
        self._by_size.update(swarm for swarm in self.by_key.values() if swarm.size >= LISTED)

    def drop(self, node: RegisteredNode, keys: Iterable[str]) -> None:
        """Remove a node from the swarms of some of its files."""
        for key in keys:
            self._remove(key, node.files.pop(key))

    def forget(self, node: RegisteredNode) -> None:
        """Remove a node from the swarms of all its files."""
        for key, owned in node.files.items():
            self._remove(key, owned)
        node.files.clear()

    def rank(self, node: RegisteredNode, order: int) -> None:
        """Give a node a new place in all its swarms."""
        detached = []
        if order != node.order:
            for swarm, owned in self._swarms_of(node):
                side = swarm.side(owned)
                if side is not None and side.detach(owned):
                    detached.append((side, owned))
        node.order = order
        for side, owned in detached:
            side.add(owned)

    def move(self, node: RegisteredNode, record: NodeRecord) -> None:
        """Give a node another record, whose addresses may be new."""
        before, node.record = node.record, record
        if (before.addr, before.tcp_port) != (record.addr, record.tcp_port):
            for owned in node.files.values():
                self._on_tcp.remove_node(before, owned.file)
                self._on_tcp.add_node(record, owned.file)

    def drop_answers(self, node: RegisteredNode) -> None:
        """The node's entry in the answers to NEED has changed."""
        for swarm, _ in self._swarms_of(node):
            swarm.cached = None

    # ---- questions

    def search(self, filename: str | None, info_hash: str | None, limit: int) -> Found:
        """The best owners of a file, by info hash alone if there is one."""
        swarm = self.by_key.get(info_hash) if info_hash else self.by_name.get(filename or "")
        if swarm is None:
            return Found()
        if swarm.cached is not None and swarm.cached[0] == limit:
            return swarm.cached[1]
        best = swarm.choose(limit, self._drawn, self._rng)
        name = best[0].file.filename if best else None
        found = Found(OwnerList([owned.entry() for owned in best]), swarm.size, name)
        if not self._drawn and (not swarm.partial or len(swarm.whole or ()) >= limit):  # nothing at random
            self._cache(swarm, limit, found)
        return found

    def largest(self, limit: int) -> list[SwarmView]:
        """Up to ``limit`` files, about those with the most owners."""
        most = sorted(islice(self._by_size, limit), key=attrgetter("size"), reverse=True)
        some = islice(self.by_key.values(), len(most) + limit)
        small = (swarm for swarm in some if swarm.listed_size < LISTED)
        return [swarm.view() for swarm in (*most, *islice(small, limit - len(most)))]

    # ---- the steps

    def _extend(self, key: str, entries: Sequence[Ownership]) -> None:
        name = entries[0].file.filename
        self.owned += len(entries)
        for owned in entries:
            owned.node.files[key] = owned
            if owned.node.record.tcp_port is not None:
                self._on_tcp.add_node(owned.node.record, owned.file)
        for swarm in self._swarms_for(key, name):
            swarm.extend(entries)

    def _swarms_for(self, key: str, name: str) -> tuple[Swarm, ...]:
        """The swarms that list owners of this file under this name, made if needed."""
        swarm, named = self.by_key.get(key), self.by_name.get(name)
        if swarm is named:
            if swarm is None:
                swarm = self.by_key[key] = self.by_name[name] = Swarm(is_both=True)
            return (swarm,)
        for both in (swarm, named):
            if both is not None and both.is_both:
                self._split(both)
        swarm = self.by_key.setdefault(key, Swarm())
        named = self.by_name.setdefault(name, Swarm(of_name=True))
        return swarm, named

    def _split(self, swarm: Swarm) -> None:
        """Give the name a list of its own; ``swarm`` remains the key's."""
        named = Swarm(of_name=True)
        for side in (swarm.whole, swarm.partial):
            if side:
                named.extend(list(side))
        self.by_name[swarm.any_file().filename] = named
        swarm.is_both = False

    def _remove(self, key: str, owned: Ownership) -> None:
        name = owned.file.filename
        self.owned -= 1
        if owned.node.record.tcp_port is not None:
            self._on_tcp.remove_node(owned.node.record, owned.file)
        swarm, named = self.by_key[key], self.by_name[name]
        swarm.remove(owned)
        if named is not swarm:
            named.remove(owned)
        self._list_by_size(swarm)
        if not swarm.size:
            del self.by_key[key]
        if not named.size:
            del self.by_name[name]

    def _list_by_size(self, swarm: Swarm) -> None:
        before, now = swarm.listed_size, swarm.size
        if abs(now - before) * SIZE_STEP < before and now >= LISTED:
            return
        if before >= LISTED:
            self._by_size.remove(swarm)
        swarm.listed_size = now
        if now >= LISTED:
            self._by_size.add(swarm)

    def _swarms_of(self, node: RegisteredNode) -> Iterator[tuple[Swarm, Ownership]]:
        for key, owned in node.files.items():
            swarm = self.by_key[key]
            yield swarm, owned
            if not swarm.is_both:
                yield self.by_name[owned.file.filename], owned

    def _cache(self, swarm: Swarm, limit: int, found: Found) -> None:
        if swarm.cached is None:
            self._cached.append(swarm)
        swarm.cached = limit, found
        if len(self._cached) > MAX_CACHED:
            self._cached.popleft().cached = None
