"""A durability for tests: plain dictionaries, changed by the writes, that the next storage reads."""

from __future__ import annotations

from collections.abc import Sequence

from common.messages import OwnedFile
from tracker.model import (
    FilesDropped,
    FilesOwned,
    NodeLeft,
    NodeRecord,
    PeerLeft,
    PeerRecord,
    ReporterTotal,
    Write,
    file_key,
)
from tracker.storage.base import Records, RecordSource
from tracker.storage.memory import NoDurability

State = tuple[dict[int, NodeRecord], dict[tuple[int, str], OwnedFile], dict[tuple[int, int], ReporterTotal]]


class Notebook(NoDurability):
    """Keeps everything for as long as it lives itself."""

    def __init__(self) -> None:
        self.nodes: dict[int, NodeRecord] = {}
        self.owned: dict[tuple[int, str], OwnedFile] = {}
        self.totals: dict[tuple[int, int], ReporterTotal] = {}
        self.peers: dict[bytes, PeerRecord] = {}

    def load(self) -> Records:
        owned = [(file, [node_id]) for (node_id, _), file in self.owned.items()]
        peers = list(self.peers.values())
        return Records(list(self.nodes.values()), owned, list(self.totals.values()), peers=peers)

    def append(self, writes: Sequence[Write]) -> int:
        for write in writes:
            self._apply(write)
        return 1

    def _apply(self, write: Write) -> None:
        if isinstance(write, NodeRecord):
            self.nodes[write.node_id] = write
        elif isinstance(write, FilesOwned):
            for file in write.files:
                self.owned[write.node_id, file_key(file.filename, file.info_hash)] = file
        elif isinstance(write, FilesDropped):
            for key in write.keys:
                self.owned.pop((write.node_id, key), None)
        elif isinstance(write, ReporterTotal):
            self.totals[write.owner, write.reporter] = write
        elif isinstance(write, PeerRecord):
            self.peers[write.key] = write
        elif isinstance(write, PeerLeft):
            self.peers.pop(write.key, None)
        else:
            assert isinstance(write, NodeLeft)
            node_id = write.node_id
            self.nodes.pop(node_id, None)
            self.owned = {key: file for key, file in self.owned.items() if key[0] != node_id}
            self.totals = {key: total for key, total in self.totals.items() if key[0] != node_id}

    def state(self) -> State:
        """A copy of the records."""
        return dict(self.nodes), dict(self.owned), dict(self.totals)


def state_of(records: Records) -> State:
    """Records in the notebook's form."""
    owned = {
        (node_id, file_key(file.filename, file.info_hash)): file
        for file, node_ids in records.owned
        for node_id in node_ids
    }
    totals = {(total.owner, total.reporter): total for total in records.totals}
    return {node.node_id: node for node in records.nodes}, owned, totals


def state_in(source: RecordSource) -> State:
    """All that a storage holds, in the same form. Scores are as of now."""
    found = source.node_records(source.node_ids())
    owned = [group for _, groups in source.owners_of(source.file_names()) for group in groups]
    return state_of(
        Records([node for node, _ in found], owned, [total for _, some in found for total in some])
    )
