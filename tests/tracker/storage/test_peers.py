"""Standard peers in each kind of storage: both views of a swarm, announce's and NEED's, agree with a model
through announces, requests of nodes, time, and restarts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from common.compact_peers import decode_peers, encode_peer
from common.errors import RateLimited, TrackerFull
from common.messages import OwnedFile, PeerEntry
from common.udp_tracker import AnnounceEvent
from tests.tracker.storage.places import KINDS, SILENCE, StoragePlace, a_redis
from tests.tracker.storage.requests import StorageTracker
from tracker import peer_rules
from tracker.model import Announcement, Caller, PeerAnswer, Rules, SwarmCounts

NONE, COMPLETED, STARTED, STOPPED = (
    AnnounceEvent.NONE,
    AnnounceEvent.COMPLETED,
    AnnounceEvent.STARTED,
    AnnounceEvent.STOPPED,
)
HASHES = [b"a" * 20, b"b" * 20]
HOSTS = ["10.0.0.1", "10.0.0.2", "2001:db8::1"]
PEER_SILENCE = Rules().announce_silence
EXAMPLES = {"memory": 60, "sqlite": 20, "redis": 10}
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def key(info_hash: bytes, number: int) -> bytes:
    return info_hash + b"-XX0001-%012d" % number + b"\0\0\0\1"


def call(number: int, complete: bool = False, event: AnnounceEvent = NONE, **more: object) -> Announcement:
    info_hash = more.pop("info_hash", HASHES[0])
    assert isinstance(info_hash, bytes)
    endpoint = encode_peer((f"10.0.1.{number % 250}", 6881))
    return Announcement(key(info_hash, number), endpoint, complete, event, **more)  # type: ignore[arg-type]


def addrs(answer: PeerAnswer) -> list[tuple[str, int]]:
    return decode_peers(answer.ipv4) + decode_peers(answer.ipv6, 6)


@dataclass
class KnownPeer:
    """A standard peer, as the model has it."""

    addrs: dict[int, tuple[str, int]]  # by IP version
    complete: bool
    heard: float


@dataclass
class ModelNode:
    """A node, as the model has it."""

    tcp_port: int | None
    heard: float
    files: dict[bytes, bool]  # info hash -> complete


class Agreeing(RuleBasedStateMachine):
    kind = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY)
        self.place = StoragePlace(self.kind, Path(self.folder.name) / "db")
        self.peers: dict[bytes, KnownPeer] = {}
        self.nodes: dict[int, ModelNode] = {}

    def teardown(self) -> None:
        self.place.close()
        self.folder.cleanup()

    @rule(number=st.integers(1, 4), info_hash=st.sampled_from(HASHES), host=st.sampled_from(HOSTS),
          complete=st.booleans(), event=st.sampled_from(list(AnnounceEvent)))  # fmt: skip
    def announce(
        self, number: int, info_hash: bytes, host: str, complete: bool, event: AnnounceEvent
    ) -> None:
        addr, name = (host, 7000 + number % 2), key(info_hash, number)  # two peers may claim the same
        answer = self.place.storage.announce(
            Announcement(name, encode_peer(addr), complete, event, 50, "10.0.0.9", True)
        )
        if event is STOPPED:
            self.peers.pop(name, None)
            assert (answer.ipv4, answer.ipv6) == (b"", b"")
            return
        for other, known in list(self.peers.items()):
            if other != name and other[:20] == info_hash and addr in known.addrs.values():
                del self.peers[other]
        peer = self.peers.setdefault(name, KnownPeer({}, complete, 0.0))
        peer.addrs[6 if ":" in host else 4] = addr
        peer.complete, peer.heard = complete, self.place.clock.now
        leechers_only = complete and event is not AnnounceEvent.STARTED
        expected = [
            addr
            for other, known in self.peers.items()
            if other != name and other[:20] == info_hash and not (leechers_only and known.complete)
            for addr in known.addrs.values()
        ]
        expected += [
            ("127.0.0.1", node.tcp_port)
            for node in self.nodes.values()
            if node.tcp_port and info_hash in node.files and not (leechers_only and node.files[info_hash])
        ]
        assert sorted(addrs(answer)) == sorted(expected)
        assert len(answer.names) == len(expected)

    @rule(node_id=st.integers(0, 3), tcp_port=st.none() | st.sampled_from([8001, 8002]),
          info_hash=st.sampled_from(HASHES), complete=st.booleans())  # fmt: skip
    def own(self, node_id: int, tcp_port: int | None, info_hash: bytes, complete: bool) -> None:
        caller = Caller(node_id, ("127.0.0.1", 4001 + node_id), tcp_port=tcp_port)
        self.place.storage.own(caller, [OwnedFile("f", info_hash.hex(), 9, complete)])
        node = self.nodes.setdefault(node_id, ModelNode(None, 0.0, {}))
        node.files[info_hash] = complete
        node.tcp_port, node.heard = tcp_port, self.place.clock.now

    @rule(node_id=st.integers(0, 3))
    def exit(self, node_id: int) -> None:
        self.place.storage.exit(Caller(node_id))
        self.nodes.pop(node_id, None)

    @rule(seconds=st.sampled_from([1.0, 21.0, PEER_SILENCE - 1]))
    def pass_time(self, seconds: float) -> None:
        self.place.pass_time(seconds)
        self.place.storage.expire()
        now = self.place.clock.now
        self.nodes = {n: node for n, node in self.nodes.items() if now - node.heard < SILENCE}
        self.peers = {k: peer for k, peer in self.peers.items() if now - peer.heard < PEER_SILENCE}

    @rule()
    def restart(self) -> None:
        self.place.restart()
        now = self.place.clock.now
        everyone: list[KnownPeer | ModelNode] = [*self.peers.values(), *self.nodes.values()]
        for known in everyone:
            known.heard = now

    @invariant()
    def need_and_scrape_agree(self) -> None:
        for info_hash in HASHES:
            peers = {name: peer for name, peer in self.peers.items() if name[:20] == info_hash}
            nodes = [node for node in self.nodes.values() if node.tcp_port and info_hash in node.files]
            sides = [peer.complete for peer in peers.values()] + [node.files[info_hash] for node in nodes]
            (counts,) = self.place.storage.scrape(info_hash)
            assert (counts.complete, counts.incomplete) == (sides.count(True), sides.count(False))
            seeds = sum(peer.complete for peer in peers.values())
            assert (counts.standard_seeds, counts.standard_leechers) == (seeds, len(peers) - seeds)
            assert sorted(self.place.storage.standard_peers(info_hash)) == sorted(
                PeerEntry(peer.addrs.get(4) or peer.addrs[6], peer.complete, name[20:40].hex())
                for name, peer in peers.items()
            )
            found = self.place.storage.need(Caller(99), None, info_hash.hex(), 50)
            assert sorted((o.node_id, o.tcp_port or 0) for o in found.owners) == sorted(
                (n, node.tcp_port or 0) for n, node in self.nodes.items() if info_hash in node.files
            )
        assert self.place.storage.counts().peers == len(self.peers)


@pytest.mark.parametrize("kind", KINDS)
def test_announce_need_and_scrape_show_one_swarm(kind: str) -> None:
    if kind == "redis":
        a_redis()  # skips here, before the machine has made its folder
    machine = type(f"Agreeing{kind.title()}", (Agreeing,), {"kind": kind})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=EXAMPLES[kind], stateful_step_count=30, deadline=None)
    )


def test_a_download_counts_once_and_only_if_it_was_seen_to_begin(storage: StorageTracker) -> None:
    def counts() -> SwarmCounts:
        return storage.scrape(HASHES[0])[0]

    storage.announce(call(1, event=STARTED))
    storage.announce(call(1, complete=True, event=COMPLETED))
    storage.announce(call(1, complete=True, event=COMPLETED))
    assert counts() == SwarmCounts(1, 1, 0, standard_seeds=1)
    storage.announce(call(2, complete=True, event=COMPLETED))
    assert counts() == SwarmCounts(2, 1, 0, standard_seeds=2)


@pytest.mark.parametrize("complete", [True, False])
def test_a_list_is_as_long_as_wanted_and_never_names_the_asking_peer(
    storage: StorageTracker, complete: bool
) -> None:
    for number in range(1, 41):
        storage.announce(call(number, complete=number > 30))
    for wanted in (0, 1, 7, 29, 60):
        me = call(35 if complete else 5, complete, wanted=wanted)
        answer = storage.announce(me)
        found = addrs(answer)
        others = 30 if complete else 39
        assert len(set(found)) == len(found) == min(wanted, others)
        assert decode_peers(me.endpoint)[0] not in found
        if complete:
            assert all(int(host.rpartition(".")[2]) <= 30 for host, _ in found)
        assert (answer.complete, answer.incomplete) == (10, 30)


def test_a_seed_is_named_leechers_only_but_at_its_start_seeds_too(storage: StorageTracker) -> None:
    storage.announce(call(1, complete=True))
    storage.announce(call(2))
    assert len(addrs(storage.announce(call(3, complete=True, event=STARTED)))) == 2
    assert addrs(storage.announce(call(3, complete=True))) == [("10.0.1.2", 6881)]


def test_every_peer_has_the_same_chance_to_be_named(storage: StorageTracker) -> None:
    for number in range(1, 21):
        storage.announce(call(number))
    named = {host for _ in range(300) for host, _ in addrs(storage.announce(call(5, wanted=2)))}
    assert len(named) == 19


def test_a_stranger_cannot_stop_a_peer_without_its_key(storage: StorageTracker) -> None:
    mine = call(1)
    storage.announce(mine)
    storage.announce(mine._replace(key=mine.key[:40] + b"\0\0\0\2", event=STOPPED))
    assert storage.scrape(HASHES[0])[0].incomplete == 1


def test_peers_and_nodes_of_an_address_share_one_limit(make_place: Callable[..., StoragePlace]) -> None:
    place = make_place(Rules(SILENCE, 11.0, nodes_per_address=2))
    storage, home = place.storage, "10.0.0.1"
    storage.announce(call(1, home=home))
    storage.register(Caller(1, ("127.0.0.1", 4001), home=home))
    with pytest.raises(RateLimited, match="your address"):
        storage.announce(call(2, home=home))
    with pytest.raises(RateLimited):
        storage.register(Caller(2, ("127.0.0.1", 4002), home=home))
    storage.announce(call(1, home=home, event=STOPPED))
    storage.announce(call(2, home=home))
    place.pass_time(PEER_SILENCE)
    storage.expire()
    storage.announce(call(3, home=home))
    storage.announce(call(4, home=home))
    assert storage.counts().peers == 2


def test_a_tracker_full_of_peers_takes_no_new_one(
    storage: StorageTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_rules, "MAX_PEERS", 2)
    storage.announce(call(1))
    storage.announce(call(2))
    with pytest.raises(TrackerFull):
        storage.announce(call(3))
    assert storage.announce(call(2, complete=True)).incomplete == 1
    storage.announce(call(1, event=STOPPED))
    storage.announce(call(3))


def test_a_peer_that_was_killed_and_starts_again_is_one_peer(storage: StorageTracker) -> None:
    first, again = call(1, event=STARTED), call(2, complete=True, event=STARTED)
    storage.announce(first)
    storage.announce(again._replace(endpoint=first.endpoint))
    assert storage.scrape(HASHES[0])[0] == SwarmCounts(1, 0, 0, standard_seeds=1)
    assert addrs(storage.announce(call(3))) == decode_peers(first.endpoint)
    storage.announce(first._replace(event=STOPPED))  # late, of the one that was killed
    assert storage.scrape(HASHES[0])[0].complete == 1
