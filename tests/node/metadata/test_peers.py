"""The next peer to ask for metadata, and the user's messages meanwhile."""

from __future__ import annotations

import hashlib

from common.magnet import Magnet
from common.metainfo import decode_metainfo, encode_metainfo
from node.metadata.known import known_of, torrent_bytes
from node.metadata.peers import AT_A_TIME, MAX_PEERS, RETRY, MetadataPeers
from node.peer import Peer

PEERS = [Peer("127.0.0.1", port, "tcp") for port in range(1, 6)]


def test_a_few_are_asked_at_a_time_and_failed_ones_later() -> None:
    peers = MetadataPeers()
    peers.add(PEERS)
    first = peers.choose(0.0)
    assert [each.peer for each in first] == PEERS[:AT_A_TIME]
    assert peers.choose(0.0) == []
    peers.failed(first[0], "has none", 1.0)
    assert [each.peer for each in peers.choose(1.0)] == [PEERS[3]]
    peers.failed(first[1], "has none", 1.0)
    peers.failed(first[2], "has none", 1.0)
    assert [each.peer for each in peers.choose(1.0)] == [PEERS[4]]
    assert [each.peer for each in peers.choose(1.0 + RETRY.bound(0))] == [PEERS[0]]


def test_the_number_of_peers_is_bounded() -> None:
    peers = MetadataPeers()
    peers.add(Peer("127.0.0.1", port, "tcp") for port in range(1, 2 * MAX_PEERS))
    peers.add(PEERS)  # known already
    assert len(list(peers)) == MAX_PEERS


def test_what_is_awaited_is_said_in_words() -> None:
    peers = MetadataPeers()
    assert peers.awaited() == "no peers yet"
    assert peers.awaited("tracker http://h:1 does not answer") == (
        "no peers yet (tracker http://h:1 does not answer)"
    )
    peers.add(PEERS[:1])
    (only,) = peers.choose(0.0)
    assert peers.awaited() == "asking 1 peer for the metadata"
    peers.failed(only, "silent for 4.0 s", 0.0)
    assert peers.awaited() == ("1 peer, which does not have the metadata (127.0.0.1:1: silent for 4.0 s)")
    peers.add(PEERS[:2])
    (second,) = peers.choose(0.0)
    assert peers.awaited() == "asking 2 peers for the metadata"
    second.received, second.size = 400, 1000
    assert peers.awaited() == "40% of the metadata"
    peers.failed(second, "sent wrong bytes", 0.0)
    assert peers.awaited() == "2 peers, neither has the metadata"
    peers.add(PEERS[:3])
    peers.failed(peers.choose(0.0)[0], "choked", 0.0)
    assert peers.awaited() == "3 peers, none has the metadata"


def test_two_addresses_of_one_node_are_counted_once() -> None:
    peers = MetadataPeers()
    peers.add(Peer("127.0.0.1", 9 + node, way, node) for node in (1, 2) for way in ("udp", "tcp"))
    assert len(list(peers)) == 4 and peers.count == 2
    assert peers.awaited() == "asking 2 peers for the metadata"
    peers.add(PEERS[:1])
    assert peers.count == 3


def test_one_node_without_the_metadata_is_one_peer() -> None:
    peers = MetadataPeers()
    peers.add(Peer("127.0.0.1", 9, way, 1) for way in ("udp", "tcp"))
    for each in peers.choose(0.0):
        peers.failed(each, "choked", 0.0)
    assert peers.awaited() == "1 peer, which does not have the metadata (node 1: choked)"


def test_a_torrent_is_made_of_the_metadata_and_the_trackers_of_the_link() -> None:
    original = decode_metainfo(
        encode_metainfo(
            "a.txt", 5, 32_768, hashlib.sha1(b"hello").digest(), "http://127.0.0.1:1/announce", "x"
        )
    )
    trackers = ("http://127.0.0.1:2/announce", "udp://127.0.0.1:3")
    made = decode_metainfo(torrent_bytes(original.raw_info, trackers))
    assert made.info_hash == original.info_hash and made.trackers == trackers
    assert decode_metainfo(torrent_bytes(original.raw_info, ())).trackers == ()
    known = known_of(Magnet(original.info_hash, "", trackers))
    assert known.name == original.info_hash_hex and known.trackers == trackers and known.size == 0
