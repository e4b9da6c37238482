"""The live log of a tracker that starts with records: it begins with their owners.

A node that the tracker knows does not announce its files again, and a node that does not report has no other
way into the log.
"""

from __future__ import annotations

from common.messages import OwnedFile
from common.swarm_shape import MAX_TORRENTS
from common.validation import MAX_NODE_ID
from tracker.log_keeper import LogKeeper
from tracker.model import Caller
from tracker.storage.base import Storage

MAX_OWNERS = 100  # of each torrent


def note_kept_owners(storage: Storage, live: LogKeeper) -> None:
    """Note the best owners of the largest swarms that ``storage`` has."""
    asking = Caller(MAX_NODE_ID)  # it proves nothing, so it extends no deadline
    for swarm in storage.swarms(MAX_TORRENTS):
        if swarm.info_hash is None:
            continue
        for owner in storage.search(asking, None, swarm.info_hash, MAX_OWNERS).owners:
            live.on_register(owner.node_id, owner.addr)
            file = OwnedFile(swarm.filename, swarm.info_hash, owner.size, owner.complete)
            live.on_own(owner.node_id, [file])
        live.publish()
