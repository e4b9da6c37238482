"""Rows of ``-peers`` about the nodes that are served: one row for a node and a file. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from node.events import PeerStatus
from node.transport import UploadStatus


def upload_rows(
    uploads: Sequence[UploadStatus], names: Mapping[bytes, str], known: Sequence[PeerStatus]
) -> list[PeerStatus]:
    """One row for each served node and file, the latest last; then the queue, in order.

    A node has a connection, and an address, for each source that it fetches from: its rows are added up. If
    the node number is not known, and ``known`` has exactly one node at that host, it is that node.
    """
    by_host: dict[str, set[int]] = {}
    for row in known:
        if row.node_id is not None:
            by_host.setdefault(row.addr[0], set()).add(row.node_id)
    rows: dict[object, PeerStatus] = {}
    for upload in uploads:
        if upload.info_hash not in names:
            continue
        host, port = upload.peer.addr
        at_host = by_host.get(host, set())
        node_id = upload.peer.node_id
        if node_id is None and len(at_host) == 1:
            (node_id,) = at_host
        waiting = upload.queue_position is not None
        key = (node_id if node_id is not None else upload.peer, upload.info_hash, waiting)
        before = rows.pop(key, None)
        rows[key] = PeerStatus(
            node_id,
            (host, port),
            names[upload.info_hash],
            "to",
            upload.uploaded + (before.amount if before else 0),
            upload.rate + (before.rate if before else 0.0),
            "waiting" if waiting else "served",
            upload.reason,
            transport=upload.peer.transport,
            client=upload.client,
        )
    return list(rows.values())
