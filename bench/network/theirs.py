"""Others over the same links: iperf3's TCP with a named congestion control, libtorrent over TCP and uTP."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bench.network.ours import START_LIMIT, Plan
from bench.network.records import Flow, Wire, wire
from bench.network.topology import FETCHER, Network, network, owner
from bench.processes import BenchError, Child, Children

IPERF = "iperf3"
PORT = "5201"
SECONDS = 12  # that iperf3 sends
SLACK = 8.0  # seconds more for its end to be told


def controls() -> list[str]:
    """Congestion controls that this kernel's TCP may use."""
    path = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
    return path.read_text(encoding="ascii").split() if path.exists() else []


def missing(control: str) -> str:
    """Why TCP with this control is not measured; empty if it is."""
    if shutil.which(IPERF) is None:
        return "iperf3 is not installed"
    return "" if control in controls() else f"this kernel's TCP has no {control}"


def tcp(control: str, flows: int, plan: Plan) -> tuple[Flow, Wire]:
    """What iperf3 moves from one owner's station to the fetcher's in SECONDS, over ``flows`` connections."""
    with network(1, START_LIMIT + plan.limit) as net, Children({}) as children:
        serve(net, children)
        net.set_links(plan.links, plan.seed)
        client = send(net, children, control, SECONDS, flows, SECONDS + SLACK)
        flow = result(client, control)
        return flow, wire(net.counted())


def serve(net: Network, children: Children, port: str = PORT) -> Child:
    """iperf3's receiving end at the fetcher's station, ready."""
    with net.inside(FETCHER):
        server = children.start(["-s", "-1", "-p", port, "--forceflush"], 3600.0, IPERF)
    while "listening" not in server.line():
        pass
    return server


def send(
    net: Network,
    children: Children,
    control: str,
    seconds: float,
    flows: int,
    patience: float,
    port: str = PORT,
) -> Child:
    """iperf3's sending end at the first owner's station."""
    words = ["-c", net.address(FETCHER), "-p", port, "-C", control, "-t", str(int(seconds)), "-P", str(flows)]
    with net.inside(owner(1)):
        return children.start([*words, "-J"], patience, IPERF)


def result(client: Child, control: str) -> Flow:
    """What iperf3 says of it."""
    try:
        said = json.loads(client.rest())
    except BenchError as error:
        return Flow(0, float(SECONDS), False, str(error), control)
    if "error" in said:
        return Flow(0, float(SECONDS), False, said["error"], control)
    end = said["end"]
    used = end.get("sender_tcp_congestion", control)
    return Flow(end["sum_received"]["bytes"], end["sum_received"]["seconds"], True, note=used)
