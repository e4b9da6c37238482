"""Other programs over the same links: TCP and QUIC with a named congestion control, libtorrent over TCP and
uTP."""

from __future__ import annotations

import json
from pathlib import Path

from bench import theirs
from bench.content import BenchContent
from bench.network import tcp
from bench.network.records import MeasuredFlow, TransferPlan, Wire, wire
from bench.network.topology import FETCHER, Network, network, owner
from bench.processes import BenchError, Child, Children

SECONDS = 12.0  # that a stream lasts
START_LIMIT = 60.0  # seconds
SLACK = 5.0  # seconds for a leecher to report its progress
CONTROL = "cubic"  # of libtorrent's TCP


def stream(control: str, flows: int, plan: TransferPlan, quic: bool = False) -> tuple[MeasuredFlow, Wire]:
    """Measure ``flows`` connections of TCP, or QUIC, from the first owner's station for SECONDS."""
    with network(1, START_LIMIT + plan.limit) as net, Children({}) as children:
        flow = tcp.Stream(net, children, control, SECONDS, quic)
        net.set_links(plan.links, plan.seed)
        flow.start(owner(1), flows)
        return flow.result(), wire(net.counted())


def libtorrent(
    folder: Path, content: BenchContent, owners: int, utp: bool, plan: TransferPlan
) -> tuple[MeasuredFlow, Wire]:
    """Measure a leecher that fetches ``content`` from seeders, until it is complete or the limit is over."""
    below = folder / "leech"
    with network(owners, START_LIMIT + plan.limit) as net, Children({}) as children:
        peers, used = [], ""
        for number in range(1, owners + 1):
            ready = _seeder(net, children, number, content, utp)
            peers.append(f"{net.address(owner(number))}:{ready['port']}")
            used = "uTP" if utp else f"TCP {ready['congestion_control']}"
        net.set_links(plan.links, plan.seed)
        words = ["leech", str(content.torrent), str(below), "--timeout", str(plan.limit)]
        words += ["--peer", *peers]
        leecher = _start(net, children, FETCHER, words, utp, plan.limit + SLACK)
        flow = _followed(leecher, used, plan.limit)
        counted = wire(net.counted())
    (below / content.path.name).unlink(missing_ok=True)
    return flow, counted


def _seeder(
    net: Network, children: Children, number: int, content: BenchContent, utp: bool
) -> dict[str, str]:
    words = ["seed", str(content.torrent), str(content.path.parent), "--cc", CONTROL]
    child = _start(net, children, owner(number), [*words, "--timeout", "3600"], utp, tcp.FOREVER)
    return child.event("ready")


def _start(
    net: Network, children: Children, station: str, words: list[str], utp: bool, patience: float
) -> Child:
    how = ["--host", net.address(station), *(["--utp"] if utp else [])]
    with net.inside(station):
        return children.start([*theirs.PEER, *words, *how], patience)


def _followed(leecher: Child, used: str, limit: float) -> MeasuredFlow:
    try:
        said = json.loads(leecher.line())
    except BenchError as error:
        return MeasuredFlow(0, limit, False, str(error), used)
    done = said["event"] == "completed"
    reason = "" if done else f"not done in {limit:.0f} s"
    return MeasuredFlow(said["size"], said["transfer_seconds"], done, reason, f"{used}, {said['version']}")
