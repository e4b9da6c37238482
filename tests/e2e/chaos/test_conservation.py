"""Bytes on the links of a node are the node's own counts, whatever happens to nodes and datagrams.

Random swarms of real nodes, of which one is behind a lossy path, and one is killed in the middle and comes
back. Each ``link:bytes`` has the bytes since the last one, by peer, and the node's own total, counted
apart.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from typing import Any

import pytest

from common.events import SwarmEvent
from common.messages import OwnedFile
from common.metainfo import decode_metainfo
from faults.link import LinkFaults
from faults.relay import FaultyRelay
from node.discovery.classroom import TrackerClient
from tests.e2e.chaos.conftest import LONG, MB, SEED
from tests.e2e.test_reports import Viewer

FINE = {"PROGRESS_INTERVAL": "0.05", "REPORT": "on"}
PATIENT = {"TRACKER_TIME_INTERVAL": "60"}  # the lossy owner's address is registered once


def runs(events: Iterable[SwarmEvent]) -> list[list[SwarmEvent]]:
    """The ``link:bytes`` of each run of each node."""
    found: dict[tuple[int, int], list[SwarmEvent]] = {}
    starts: dict[int, int] = {}
    for event in events:
        if event.node is None:
            continue
        if event.name == "node:started":
            starts[event.node] = starts.get(event.node, 0) + 1
        elif event.name == "link:bytes":
            found.setdefault((event.node, starts.get(event.node, 0)), []).append(event)
        assert event.name != "gap", "no event was dropped"
    return list(found.values())


def check(reports: list[SwarmEvent]) -> tuple[int, int]:
    """Within one report, the sums by peer are the node's own totals; returns the last totals.

    Nothing bounds the last report of a node that was killed from above: its next one never came.
    """
    for direction, total in (("in", "down"), ("out", "up")):
        totals = [event.data[total] for event in reports]
        amounts = [sum(amount for _, amount in event.data[direction]) for event in reports]
        for at, summed in enumerate(itertools.accumulate(amounts)):
            before, after = ([0, *totals][at], [*totals, float("inf")][at + 1])
            assert before <= summed <= after, (direction, at, summed, before, totals[at], after)
    return reports[-1].data["down"], reports[-1].data["up"]


@pytest.mark.parametrize("number", range(20 if LONG else 1))
def test_bytes_on_the_links_are_the_nodes_own_counts(
    start_tracker: Any, make_swarm: Any, in_the_middle: Any, number: int
) -> None:
    chance = random.Random(f"{SEED} conservation {number}")
    hidden, tracker = make_swarm(start_tracker(**PATIENT)), start_tracker(**PATIENT)
    swarm = make_swarm(tracker)
    viewers = [Viewer(hidden.tracker), Viewer(tracker)]
    path = hidden.file("x.bin", chance.randint(2 * MB, 4 * MB))
    limits = {"UPLOAD_LIMIT": f"{chance.randint(500, 900)}kB", "UPLOAD_SLOTS": str(chance.randint(1, 3))}
    far, torrent = hidden.share(path, REPORT="on", **limits)
    near, here = swarm.share(path, REPORT="on", **limits)
    lossy = LinkFaults(loss=chance.uniform(0.03, 0.15), duplicate=0.01, delay=0.002)
    with FaultyRelay(
        tuple(far.wait_for("started")["addr"]), LinkFaults(), lossy, chance.getrandbits(16)
    ) as relay:
        announce_relay(tracker.url, far.number, relay, torrent)
        fetchers = [swarm.fetch(here, **FINE, **limits) for _ in range(chance.randint(2, 3))]
        victim = fetchers.pop()
        in_the_middle(victim, chance.uniform(0.2, 0.7))
        victim.kill()
        fetchers.append(swarm.node("-setMode", "download", str(here), number=victim.number, **FINE, **limits))
        for fetcher in fetchers:
            assert fetcher.end() == 0
            assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
        assert sum(back.counters.lost for _, back in relay.links.values()) > 0, "nothing was lost"
    ended = [*fetchers, near, far]
    assert near.stop() == far.stop() == 0
    last: dict[int, tuple[int, int]] = {}
    for viewer in viewers:
        nodes = [node.number for node in ended if (node is far) is (viewer is viewers[0])]
        viewer.wait_until(
            "all left",
            lambda v=viewer, n=nodes: {v.state.nodes.get(i, {}).get("state") for i in n} == {"left"},
        )
        for reports in runs(viewer.events):
            node = reports[0].node
            assert node is not None
            last[node] = check(reports)
    for node in ended:  # the last report of a node that ends is exact
        reports = next(r for v in viewers for r in reversed(runs(v.events)) if r[0].node == node.number)
        summed = [sum(a for e in reports for _, a in e.data[way]) for way in ("in", "out")]
        assert tuple(summed) == last[node.number]
    assert all(last[fetcher.number][0] > 0 for fetcher in fetchers) and last[far.number][1] > 0


def announce_relay(url: str, number: int, relay: FaultyRelay, torrent: Any) -> None:
    """Register node ``number`` as an owner of the file, at the address of the lossy path."""
    metainfo = decode_metainfo(torrent.read_bytes())
    client = TrackerClient(url, number)
    client.register(relay.addr)
    client.own([OwnedFile(metainfo.name, metainfo.info_hash_hex, metainfo.size)])
    client.close()
