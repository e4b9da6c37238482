"""``-faults`` on real nodes and real sockets: an exact fault hits one datagram; chances have the given
rates."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from common.errors import CommandError
from faults.spec import parse_faults
from node import events
from node.chunk_udp import wire
from node.fault_tap import FaultTap
from node.node import Node
from node.settings import NodeSettings

SIZE = 400_000
PATIENCE = 60.0
DATAGRAMS = 20_000
HERE, THERE = ("127.0.0.1", 1), ("127.0.0.1", 2)
Start = Callable[..., tuple[Node, list[events.Event]]]


@pytest.fixture
def start(start_tracker: Callable[..., object], tmp_path: Path) -> Iterator[Start]:
    """``start(number, faults)``: a node that uses UDP only."""
    url = start_tracker().url  # type: ignore[attr-defined]
    with ExitStack() as stack:

        def make(number: int, faults: str | None = None) -> tuple[Node, list[events.Event]]:
            seen: list[events.Event] = []
            spec = None if faults is None else parse_faults(faults)
            folder = tmp_path / f"node{number}"
            node = Node(NodeSettings(number, folder, (url,), transports=("udp",), faults=spec), seen.append)
            node.enter_torrent()
            stack.callback(node.exit_torrent)
            return node, seen

        yield make


def fetch(start: Start, faults: str, owners_faults: str | None = None) -> tuple[Node, bytes, bytes]:
    owner, _ = start(1, owners_faults)
    path = owner._settings.folder / "x.bin"
    path.write_bytes(random.Random(1).randbytes(SIZE))
    owner.set_send_mode("x.bin")
    fetcher, seen = start(2, faults)
    download = fetcher.set_download_mode(str(path.with_name("x.bin.torrent")))
    assert download.done.wait(PATIENCE) and download.error is None
    assert any(isinstance(event, events.FaultsSet) for event in seen)
    return fetcher, path.read_bytes(), (fetcher._settings.folder / "x.bin").read_bytes()


@pytest.mark.parametrize(
    ("faults", "message"),
    [('drop "DATA 3" once', "DATA"), ('drop "REQUEST 2" once', "REQUEST"), ('corrupt "DATA 2" once', "DATA")],
)
def test_an_exact_fault_hits_once_and_the_file_is_right(start: Start, faults: str, message: str) -> None:
    fetcher, original, copy = fetch(start, faults)
    assert copy == original
    assert fetcher._taps is not None and fetcher._taps.faults is not None
    ((rule, facts),) = fetcher._taps.faults.exact.hits
    assert facts.message == message and facts.number == rule.number


@pytest.mark.parametrize(
    "faults", ["loss=5%,duplicate=3%,reorder=5%,seed=3", "delay=20ms,jitter=5ms", "corrupt=2%"]
)
def test_a_download_survives_chances(start: Start, faults: str) -> None:
    _, original, copy = fetch(start, faults)
    assert copy == original


def test_delays_act_in_both_directions(start: Start) -> None:
    """Every round trip of the fetcher takes its delay twice."""
    fetcher, original, copy = fetch(start, "delay=25ms")
    assert copy == original
    rows = fetcher.recorder.recent_messages(limit=400)
    asked = {row["fields"]["sequence"]: row["time"] for row in rows if row["message"] == "REQUEST"}
    trips = [
        row["time"] - asked[row["fields"]["sequence"]]
        for row in rows
        if row["message"] == "DATA" and row["fields"]["sequence"] in asked
    ]
    assert trips and min(trips) >= 45


def test_faults_change_at_the_prompt_only_if_the_node_began_with_some(start: Start) -> None:
    node, seen = start(1, "off")
    node.set_faults(parse_faults("loss=1%"))
    assert [event.spec for event in seen if isinstance(event, events.FaultsSet)] == ["", "loss=1%"]
    other, _ = start(2)
    with pytest.raises(CommandError, match="-faults"):
        other.set_faults(parse_faults("loss=1%"))


def test_a_partition_lets_nothing_of_that_node_pass() -> None:
    tap = FaultTap(parse_faults("partition=3"), 2, lambda: 0)
    tap.introduce(THERE, 3)
    datagram = wire.encode(wire.Data(1, 1, 0, b"abc", True))
    try:
        assert not tap.passes(datagram, True, HERE, THERE) and not tap.passes(datagram, False, HERE, THERE)
        assert tap.passes(datagram, True, HERE, ("127.0.0.1", 9))
    finally:
        tap.close()


def losses(spec: str, outgoing: bool = True) -> list[int]:
    """Which of DATAGRAMS are lost."""
    tap = FaultTap(parse_faults(spec), None, lambda: 0)
    try:
        return [n for n in range(DATAGRAMS) if not tap.passes(b"x", outgoing, HERE, THERE)]
    finally:
        tap.close()


@pytest.mark.parametrize("share", [0.01, 0.05, 0.3])
def test_losses_lie_in_the_binomial_interval_of_99_percent(share: float) -> None:
    lost = losses(f"loss={share},seed=11")
    width = 2.576 * (DATAGRAMS * share * (1 - share)) ** 0.5
    assert abs(len(lost) - DATAGRAMS * share) <= width


def test_the_same_seed_loses_the_same_datagrams() -> None:
    lost = losses("loss=5%,seed=11")
    assert lost == losses("loss=5%,seed=11")
    assert lost != losses("loss=5%,seed=12") and lost != losses("loss=5%,seed=11", outgoing=False)


def test_a_rule_keeps_its_text_for_the_log() -> None:
    tap = FaultTap(parse_faults('drop "DATA 1" once'), 2, lambda: 0)
    data = wire.encode(wire.Data(1, 1, 0, b"abc", True))
    try:
        assert [tap.passes(data, False, HERE, THERE) for _ in range(2)] == [False, True]
    finally:
        tap.close()
    assert re.fullmatch(r'drop "DATA 1" once', tap.exact.hits[0][0].text)
