"""What changes say, carried out on plain dictionaries."""

from __future__ import annotations

from common.messages import OwnedFile
from tracker.model import Change, FileKey, FilesOwned, NodeChanged, NodeJoined, NodeRecord, file_key

State = tuple[dict[int, NodeRecord], dict[tuple[int, FileKey], OwnedFile]]


class Facts:
    """Nodes, and who owns what."""

    def __init__(self) -> None:
        self._nodes: dict[int, NodeRecord] = {}
        self._owned: dict[tuple[int, FileKey], OwnedFile] = {}

    def _apply(self, change: Change) -> None:
        if isinstance(change, FilesOwned):
            for file in change.files:
                self._owned[change.node_id, file_key(file.filename, file.info_hash)] = file
        elif isinstance(change, NodeChanged):
            pairs = {pair.reporter: pair for pair in self._nodes[change.node.node_id].pairs}
            if change.pair:
                pairs[change.pair.reporter] = change.pair
            self._nodes[change.node.node_id] = change.node._replace(pairs=tuple(pairs.values()))
        else:
            node_id = change.node.node_id if isinstance(change, NodeJoined) else change.node_id
            self._nodes.pop(node_id, None)
            self._owned = {key: file for key, file in self._owned.items() if key[0] != node_id}
            if isinstance(change, NodeJoined):
                self._nodes[node_id] = change.node
