"""What a storage should hold, as plainly as can be: dictionaries, changed under a lock."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from common.messages import OwnedFile
from tests.tracker.storage.facts import Facts, State
from tracker.model import Change, FilesOwned, NodeChanged, NodeJoined, NodeLeft, NodeRecord, Owners, Pair
from tracker.registry import file_key
from tracker.storage.disk import Disk
from tracker.storage.folder import FolderKeeper
from tracker.storage.reading import Contents

FOLDER = Path("/db")
HASHES = ["ab" * 20, "cd" * 20]


class Swarm(Facts):
    """The source of snapshots, and the model that what is read back is compared with."""

    def __init__(self, contents: Contents | None = None) -> None:
        self._lock = threading.Lock()
        super().__init__()
        if contents is not None:
            self._nodes, self._owned = state_of(contents)

    def apply(self, changes: Iterable[Change], keeper: FolderKeeper | None = None) -> int:
        """Carry changes out as one, and let a keeper take note of them; its ticket."""
        with self._lock:
            changes = list(changes)
            for change in changes:
                self._apply(change)
            return keeper.note(changes) if keeper else 0

    @property
    def state(self) -> State:
        """All of it."""
        with self._lock:
            return dict(self._nodes), dict(self._owned)

    def node_ids(self) -> list[int]:
        with self._lock:
            return list(self._nodes)

    def node_records(self, node_ids: Sequence[int]) -> list[NodeRecord]:
        with self._lock:
            return [self._nodes[node_id] for node_id in node_ids if node_id in self._nodes]

    def file_names(self) -> list[str]:
        with self._lock:
            return list(dict.fromkeys(file.filename for file in self._owned.values()))

    def owners_of(self, names: Sequence[str]) -> list[tuple[str, list[Owners]]]:
        found: list[tuple[str, list[Owners]]] = []
        with self._lock:
            for name in names:
                groups: dict[OwnedFile, list[int]] = {}
                for (node_id, _), file in self._owned.items():
                    if file.filename == name:
                        groups.setdefault(file, []).append(node_id)
                if groups:
                    found.append((name, list(groups.items())))
        return found


def state_of(contents: Contents) -> State:
    """What was read, in the model's form."""
    owned = {
        (node_id, file_key(file.filename, file.info_hash)): file
        for file, node_ids in contents.owned
        for node_id in node_ids
    }
    return {node.node_id: node for node in contents.nodes}, owned


def opened(disk: Disk, folder: Path = FOLDER, durable: bool = True) -> tuple[FolderKeeper, Swarm, Contents]:
    """A keeper without a thread of its own at work: ``save`` is called by the test."""
    keeper = FolderKeeper(folder, 3600.0, durable, disk)
    contents = keeper.load()
    return keeper, Swarm(contents), contents


def node(node_id: int, uploads: int = 0, **more: object) -> NodeRecord:
    """A node's record."""
    return NodeRecord(node_id, ("127.0.0.1", 4000 + node_id), uploads, float(uploads), **more)  # type: ignore[arg-type]


def needed_by(changes: Iterable[Change]) -> set[int]:
    """The nodes that must be in before these changes."""
    nodes = {change.node.node_id for change in changes if isinstance(change, NodeChanged)}
    return nodes | {change.node_id for change in changes if isinstance(change, (FilesOwned, NodeLeft))}


def history(length: int, seed: int = 0) -> list[list[Change]]:
    """What happens to a few nodes and files: every kind of change, again and again."""
    import random

    rng = random.Random(seed)
    inside: set[int] = set()
    happened: list[list[Change]] = []
    for number in range(length):
        node_id = rng.randrange(4)
        if node_id not in inside:
            inside.add(node_id)
            happened.append([NodeJoined(node(node_id, number, secret=None if number % 2 else "5e" * 32))])
        elif rng.random() < 0.15:
            inside.remove(node_id)
            happened.append([NodeLeft(node_id)])
        elif rng.random() < 0.5:
            name = rng.choice(["f", "g", 'Ünïcode {"\\'])
            file = OwnedFile(
                name, rng.choice([None, *HASHES]), rng.choice([None, number]), rng.random() < 0.5
            )
            happened.append([FilesOwned(node_id, (file, OwnedFile("h")))])
        else:
            pair = rng.choice([None, Pair(rng.randrange(3), number, 10 * number)])
            changed = NodeChanged(node(node_id, number, receipts=number, credit=7, last_receipt=number), pair)
            happened.append([changed])
    return happened
