"""A keeper for tests: plain dictionaries, changed as the changes say, that the next storage reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from common.messages import OwnedFile
from tests.tracker.storage.facts import Facts, State
from tracker.model import Change, FileKey, file_key
from tracker.storage.base import Records, SnapshotSource
from tracker.storage.memory import Forgetful, NoRecords


class Notebook(Facts, Forgetful):
    """Keeps all for as long as it lives itself."""

    def load(self) -> Records:
        return NoRecords(
            list(self._nodes.values()), [(file, [node_id]) for (node_id, _), file in self._owned.items()]
        )

    def note(self, changes: Sequence[Change]) -> int:
        for change in changes:
            self._apply(change)
        return 1

    def state(self) -> State:
        """A copy of what is kept: nodes without their scores, which change with time, and who owns what."""
        nodes = {node_id: node._replace(score=0.0) for node_id, node in self._nodes.items()}
        return nodes, dict(self._owned)


def snapshot(source: SnapshotSource) -> State:
    """All that a storage holds, as it tells its keeper, in the same form."""
    nodes = {node.node_id: node._replace(score=0.0) for node in source.node_records(source.node_ids())}
    owned = owned_by(
        (file, node_ids) for _, groups in source.owners_of(source.file_names()) for file, node_ids in groups
    )
    return nodes, owned


def owned_by(groups: Iterable[tuple[OwnedFile, Sequence[int]]]) -> dict[tuple[int, FileKey], OwnedFile]:
    """Who owns what, from those who own the same."""
    return {
        (node_id, file_key(file.filename, file.info_hash)): file
        for file, node_ids in groups
        for node_id in node_ids
    }
