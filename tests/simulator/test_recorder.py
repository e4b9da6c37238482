"""The simulator's log: the truth at its end, bytes that add up, and the same file for the same seed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from common.log_file import LogReader
from common.swarm_state import SwarmState
from simulator.flash_crowd import FlashCrowd, FlashCrowdPlan
from simulator.outcome import run
from simulator.recorder import recording
from simulator.scenario import Scenario
from simulator.wire_swarm import WireSwarm, flash_swarm

CROWD = FlashCrowdPlan(nodes=4, size=2 << 20, upload=500_000)


def read(path: Path) -> tuple[SwarmState, Counter[str]]:
    """The state at the end, and how often each name occurs. No event is ignored, and time never goes back."""
    state, names, time = SwarmState(), Counter[str](), 0.0
    with LogReader(path) as log:
        for event in log:
            assert state.apply(event), event
            assert event.time >= time
            time, names[event.name] = event.time, names[event.name] + 1
        assert not log.damage
    return state, names


def rows(state: SwarmState) -> dict[int, Any]:
    return {node_id: row for node_id, node in state.nodes.items() for row in node["torrents"].values()}


def check_conservation(state: SwarmState) -> None:
    """The bytes on a node's links equal its own counts, and no end receives more than the other end sent."""
    received, sent = Counter[str](), Counter[str]()
    for name, torrents in state.links.items():
        giver, taker = name.split(">")
        for link in torrents.values():
            received[taker] += link["received"]
            sent[giver] += link["sent"]
            is_silent = state.nodes[int(giver)]["state"] == "silent"  # its last bytes are not reported
            assert link["received"] <= link["sent"] or is_silent
    for node_id, row in rows(state).items():
        assert received[str(node_id)] == row["down"], node_id
        assert sent[str(node_id)] == row["up"], node_id


def test_a_recorded_crowd_is_complete_and_conserves_bytes(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl.gz"
    crowd = FlashCrowd(CROWD)
    with recording(path, crowd, "a crowd", 1):
        crowd.run()
    state, names = read(path)
    assert {row["pieces"].decode() for row in rows(state).values()} == {"v" * 32}
    assert {row["complete"] for row in rows(state).values()} == {True}
    assert sum(row["down"] for row in rows(state).values()) >= 4 * CROWD.size
    check_conservation(state)
    assert {
        "congestion:sample",
        "piece:requested",
        "slot:granted",
        "tracker:need",
        "keyframe",
    } <= names.keys()


def test_a_recorded_swarm_of_the_peer_wire_conserves_bytes(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    swarm = WireSwarm(flash_swarm(3, 1 << 20, 1 << 16, 500_000, 1))
    with recording(path, swarm, "a swarm", 1):
        swarm.run(60)
    state, _ = read(path)
    assert {row["pieces"].decode() for row in rows(state).values()} == {"v" * 16}
    check_conservation(state)


def test_bad_networks_and_liars_are_in_the_log(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for seed in (8, 20, 21):
        path = tmp_path / f"{seed}.jsonl"
        outcome = run(Scenario.of(seed), record=path)
        state, names = read(path)
        seen += names
        assert names["piece:failed"] == outcome.wrong
        assert outcome.trace == run(Scenario.of(seed)).trace, "a recorder changes nothing"
        fetcher = rows(state)[0]
        assert set(fetcher["pieces"].decode()) == {"v"} and fetcher["state"] == "seeding"
        check_conservation(state)
    assert {
        "datagram:lost",
        "datagram:repaired",
        "piece:failed",
        "node:silent",
        "congestion:reduced",
    } <= seen.keys()


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz"])
def test_the_same_seed_gives_the_same_file(tmp_path: Path, name: str) -> None:
    files = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        run(Scenario.of(7), record=tmp_path / folder / name)
        files.append((tmp_path / folder / name).read_bytes())
    assert files[0] == files[1]
