"""Rows of -peers about served nodes: one for a node and a file."""

from __future__ import annotations

from node.events import PeerStatus
from node.peer import Peer
from node.peer_rows import upload_rows
from node.transport import UploadStatus

A, B = bytes(20), b"b" * 20
NAMES = {A: "a.bin", B: "b.bin"}


def upload(
    port: int,
    amount: int,
    info_hash: bytes = A,
    host: str = "10.0.0.2",
    node: int | None = None,
    place: int = 0,
) -> UploadStatus:
    reason = "place 1 in line" if place else ""
    return UploadStatus(Peer(host, port, node_id=node), info_hash, amount, 2.0, place or None, reason)


def owner(node: int, host: str) -> PeerStatus:
    return PeerStatus(node, (host, 1), "a.bin", "from", 0, 0.0, "active", "")


def test_connections_of_one_node_are_one_row_for_each_file() -> None:
    rows = upload_rows(
        [upload(1, 10, node=7), upload(2, 5, B, node=7), upload(3, 30, node=7), upload(4, 1, node=8)],
        NAMES,
        [],
    )
    assert [(row.node_id, row.filename, row.amount, row.rate, row.addr[1]) for row in rows] == [
        (7, "b.bin", 5, 2.0, 2),
        (7, "a.bin", 40, 4.0, 3),
        (8, "a.bin", 1, 2.0, 4),
    ]
    assert {(row.direction, row.state) for row in rows} == {("to", "served")}


def test_a_standard_peer_is_named_by_its_program() -> None:
    peer = UploadStatus(Peer("10.0.0.2", 1, "tcp"), A, 10, 2.0, client="aria2 1.36.0")
    (row,) = upload_rows([peer], NAMES, [])
    assert (row.transport, row.client) == ("tcp", "aria2 1.36.0")


def test_a_node_without_number_is_named_by_its_host_if_that_is_clear() -> None:
    uploads = [upload(1, 10), upload(2, 20), upload(3, 1, host="10.0.0.3"), upload(4, 1, host="10.0.0.3")]
    known = [owner(7, "10.0.0.2"), owner(8, "10.0.0.3"), owner(9, "10.0.0.3")]
    rows = upload_rows(uploads, NAMES, known)
    assert [(row.node_id, row.amount) for row in rows] == [(7, 30), (None, 1), (None, 1)]


def test_the_queue_has_rows_of_its_own_and_unknown_torrents_none() -> None:
    rows = upload_rows(
        [upload(1, 10, node=7), upload(2, 0, node=7, place=1), upload(3, 1, b"c" * 20)], NAMES, []
    )
    assert [(row.state, row.reason) for row in rows] == [("served", ""), ("waiting", "place 1 in line")]
