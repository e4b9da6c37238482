"""``-faults`` over TCP: nodes on loopback, and what their logs, recorders and captures show of it.

The same specification is tried in virtual time, too: it hits the same messages.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from faults.exact import Facts
from faults.link import LinkFaults, damaged
from faults.ordered import FIRST_RETRY, MAX_TRIES, OrderedPath
from node import events
from node.message_faults import parse_node_faults
from node.node import Node
from node.peer_tcp import download_side
from node.peer_tcp.limits import BLOCK
from node.settings import NodeSettings
from simulator.scenario import Behaviour, OwnerPlan, Scenario
from simulator.swarm import SimulatedDownload
from simulator.wire_swarm import Conduct, MemberPlan, WireSwarm, WireSwarmPlan

SIZE, PIECE_LENGTH = 400_000, 1 << 15
BLOCKS = -(-SIZE // BLOCK)
CONTENT = random.Random(1).randbytes(SIZE)
PATIENCE = 60.0


class Class:
    """A few nodes at one tracker, which use one transport."""

    def __init__(self, url: str, folder: Path, stack: ExitStack) -> None:
        self.url, self.folder, self.stack = url, folder, stack
        self.transport = "tcp"
        self.seen: dict[int, list[events.Event]] = {}
        self.torrent = folder / "node1/x.bin.torrent"

    def start(self, number: int, faults: str | None = None, **options: Any) -> Node:
        seen = self.seen[number] = []
        spec = None if faults is None else parse_node_faults(faults)
        folder = self.folder / f"node{number}"
        settings = NodeSettings(
            number, folder, (self.url,), transports=(self.transport,), faults=spec, **options
        )
        node = Node(settings, seen.append)
        node.enter_torrent()
        self.stack.callback(node.exit_torrent)
        return node

    def share(self, number: int, faults: str | None = None, **options: Any) -> Node:
        owner = self.start(number, faults, **options)
        (self.folder / f"node{number}/x.bin").write_bytes(CONTENT)
        owner.set_send_mode("x.bin")
        return owner

    def fetch(self, number: int, faults: str | None = None, **options: Any) -> Node:
        fetcher = self.start(number, faults, **options)
        download = fetcher.set_download_mode(str(self.torrent))
        assert download.done.wait(PATIENCE) and download.error is None
        assert (self.folder / f"node{number}/x.bin").read_bytes() == CONTENT
        return fetcher


@pytest.fixture
def room(start_tracker: Callable[..., object], tmp_path: Path) -> Iterator[Class]:
    with ExitStack() as stack:
        yield Class(start_tracker().url, tmp_path, stack)  # type: ignore[attr-defined]


def hits(node: Node) -> list[Facts]:
    assert node._taps is not None and node._taps.faults is not None
    return [facts for _, facts in node._taps.faults.exact.hits]


def rows(node: Node, message: str, direction: str) -> list[dict[str, Any]]:
    found = node.recorder.recent_messages(limit=2000)
    return [row for row in found if (row["message"], row["direction"]) == (message, direction)]  # type: ignore[misc]


def spans(found: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(row["fields"]["piece"], row["fields"]["begin"]) for row in found]


@pytest.mark.parametrize(
    ("message", "at_owner"), [("PIECE 4", False), ("PIECE 4", True), ("REQUEST 5", True)]
)
def test_a_dropped_message_is_requested_again_after_the_timeout(
    room: Class, message: str, at_owner: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule names the other node, also where that one has dialled."""
    monkeypatch.setattr(download_side, "REQUEST_TIMEOUT", 0.5)
    towards = {False: "from", True: "to"}[at_owner == (message == "PIECE 4")]
    rule = f'drop "{message} {towards} node {2 if at_owner else 1}" once'
    owner = room.share(1, rule if at_owner else None)
    fetcher = room.fetch(2, None if at_owner else rule)
    faulty = owner if at_owner else fetcher
    (hit,) = hits(faulty)
    assert f"{hit.message} {hit.number}" == message
    asked, came = spans(rows(fetcher, "request", "out")), spans(rows(fetcher, "piece", "in"))
    lost = asked[(hit.number or 0) - 1]
    assert asked.count(lost) >= 2 and came.count(lost) == 1  # on a slow machine other requests time out, too
    (note,) = rows(faulty, "fault", "here")
    assert note["fields"]["rule"] == rule and note["fields"]["hits"].startswith(message)


def test_a_delayed_message_holds_up_those_behind_it(room: Class) -> None:
    owner = room.share(1)
    fetcher = room.fetch(2, 'delay "REQUEST 3" 400ms')
    asked, came = rows(owner, "request", "in"), rows(fetcher, "request", "out")
    assert spans(asked) == spans(came) and len(asked) == BLOCKS
    assert asked[1]["time"] < asked[2]["time"] - 350 and asked[2]["time"] >= came[2]["time"] + 400


def test_a_corrupt_piece_fails_its_hash_and_its_sender_is_banned(room: Class) -> None:
    """As wrong bytes over TCP are: its checksum does not find them. The capture has them, too."""
    room.share(1)
    room.share(3)
    capture = room.folder / "run.pcap"
    fetcher = room.fetch(2, 'corrupt "PIECE 1 from node 1" once', pcap=capture)
    (hit,) = hits(fetcher)
    lost = [event for event in room.seen[2] if isinstance(event, events.OwnerLost)]
    assert [event.node_id for event in lost if event.banned] == [1]
    fetcher.exit_torrent()
    assert hit.span is not None
    block = CONTENT[slice(*hit.span)]
    assert damaged(block, 0.999, 0.5)[-1000:] in capture.read_bytes()


def test_chances_cost_time_and_no_message(room: Class) -> None:
    """A lost message comes after a retransmission; nothing is requested twice."""
    room.share(1, "loss=20%,seed=2")
    fetcher = room.fetch(2, "delay=25ms,jitter=5ms,duplicate=20%")
    assert len(rows(fetcher, "request", "out")) == BLOCKS == len(rows(fetcher, "piece", "in"))
    (said,) = [event for event in room.seen[2] if isinstance(event, events.FaultsSet)]
    assert said.effects == ("over TCP nothing is duplicated or reordered",)
    asked, came = rows(fetcher, "request", "out")[0], rows(fetcher, "piece", "in")[0]
    assert came["time"] - asked["time"] >= 50
    last = rows(fetcher, "piece", "in")[-1]
    assert last["time"] - came["time"] >= 1000 * FIRST_RETRY


@pytest.mark.parametrize("at_owner", [False, True])
def test_a_rate_is_that_of_the_connection(room: Class, at_owner: bool) -> None:
    room.share(1, "rate=500kB" if at_owner else None)
    fetcher = room.fetch(2, None if at_owner else "rate=500kB")
    seconds = (rows(fetcher, "piece", "in")[-1]["time"] - rows(fetcher, "request", "out")[0]["time"]) / 1000
    assert seconds >= SIZE / 500_000


@pytest.mark.parametrize("at_owner", [False, True])
def test_a_partition_lets_nothing_of_that_node_pass(room: Class, at_owner: bool) -> None:
    room.share(1, "partition=2" if at_owner else None)
    room.share(3)
    room.fetch(2, None if at_owner else "partition=1")
    assert {event.sources for event in room.seen[2] if isinstance(event, events.Piece)} == {(3,)}


# ---- the same in virtual time


def in_virtual_time(transport: str, faults: str) -> list[Facts]:
    """Node 2 with these faults fetches from node 1."""
    if transport == "udp":
        owner = OwnerPlan(Behaviour.HONEST, LinkFaults(), LinkFaults())
        download = SimulatedDownload(
            Scenario(1, SIZE, PIECE_LENGTH, 1440, True, "cubic", 5, None, 0.0, 0.0, (owner,), faults)
        )
        download.run()
        made = download.faults
    else:
        members = (
            MemberPlan(Conduct.SEEDS, 10_000_000),
            MemberPlan(Conduct.SHARES, 10_000_000, faults=faults),
        )
        swarm = WireSwarm(WireSwarmPlan(1, SIZE, PIECE_LENGTH, members))
        swarm.run(300.0)
        made = swarm.members[1].faults
    assert made is not None
    return [facts for _, facts in made.exact.hits]


@pytest.mark.parametrize(
    ("transport", "faults"),
    [
        (
            "udp",
            'drop "DATA 2" once; delay "REQUEST 3 to node 1" 50ms once; corrupt "DATA 4 from node 1" once',
        ),
        (
            "tcp",
            'drop "PIECE 2" once; delay "REQUEST 3 to node 1" 50ms once; drop "UNCHOKE 2"; drop "HAVE 1"',
        ),
    ],
)
def test_a_specification_hits_the_same_messages_in_virtual_time(
    room: Class, monkeypatch: pytest.MonkeyPatch, transport: str, faults: str
) -> None:
    monkeypatch.setattr(download_side, "REQUEST_TIMEOUT", 0.5)
    room.transport = transport
    room.share(1)
    on_sockets = hits(room.fetch(2, faults))
    assert len(on_sockets) == 3
    assert sorted(map(described, on_sockets)) == sorted(map(described, in_virtual_time(transport, faults)))


def described(hit: Facts) -> str:
    """A fetcher begins at an offset of its own, so the bytes differ, but not their number."""
    return f"{hit.message} {hit.number} {hit.span and hit.span[1] - hit.span[0]} {hit.piece}"


# ---- the model


def test_a_path_keeps_the_order_and_repeats_what_is_lost() -> None:
    path = OrderedPath(LinkFaults(loss=0.3, jitter=0.05, delay=0.01, duplicate=0.5, reorder=0.5), 3)
    arrivals = [path.send(number.to_bytes(4, "big"), number * 0.001) for number in range(500)]
    assert [int.from_bytes(found[1], "big") for found in arrivals if found is not None] == list(range(500))
    times = [found[0] for found in arrivals if found is not None]
    assert times == sorted(times) and times[-1] > 0.5 + FIRST_RETRY


def test_a_path_that_loses_everything_is_dead_after_some_tries() -> None:
    path = OrderedPath(LinkFaults(loss=1.0), 1)
    assert path.send(b"x", 0.0) is None and path.is_dead
    assert path._link.counters.sent == MAX_TRIES
    assert path.send(b"x", 1e9) is None
