"""Streams over the same links: TCP with a named congestion control (iperf3's, else plain sockets'), QUIC."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import shutil
from pathlib import Path

from bench.network.records import MeasuredFlow
from bench.network.topology import FETCHER, Network
from bench.processes import BenchError, Child, Children

IPERF = "iperf3"
PORT = "5201"
SLACK = 8.0  # seconds more for the end to be reported over a bad link
FOREVER = 3600.0  # seconds; the sender's deadline ends it earlier
FLOW = ["-m", "bench.network.tcp_flow"]
QUIC = ["-m", "bench.network.quic_flow"]


def missing(control: str) -> str:
    """Why TCP with this control cannot be measured; empty if it can."""
    path = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
    known = path.read_text(encoding="ascii").split() if path.exists() else []
    return "" if control in known else f"this kernel's TCP has no {control} (it has {', '.join(known)})"


def no_quic() -> str:
    """Why QUIC cannot be measured; empty if it can."""
    there = importlib.util.find_spec("aioquic") is not None
    return "" if there else "aioquic is not installed (make interop)"


class Stream:
    """TCP, or QUIC by aioquic, from one station to the fetcher's, for ``seconds``. Make it while the links
    are perfect; ``start`` it, then ask for its ``result`` or leave it to ``children``."""

    def __init__(
        self, net: Network, children: Children, control: str, seconds: float, quic: bool = False
    ) -> None:
        self._net, self._children = net, children
        self._control, self._seconds = control, seconds
        self._iperf = not quic and shutil.which(IPERF) is not None
        self._flow = QUIC if quic else FLOW
        self._by = f"aioquic {importlib.metadata.version('aioquic')}" if quic else "plain sockets"
        self._port = PORT
        address = net.address(FETCHER)
        with net.inside(FETCHER):
            if self._iperf:
                words = ["-s", "-1", "-B", address, "-p", PORT, "--forceflush"]
                self._receiver = children.start(words, FOREVER, IPERF)
            else:
                words = [*self._flow, "receive", address, "--seconds", str(seconds)]
                self._receiver = children.start(words, FOREVER)
        if not self._iperf:
            self._port = str(self._receiver.event("ready")["port"])
        while self._iperf and "listening" not in self._receiver.line():
            pass

    def start(self, station: str, flows: int = 1) -> None:
        """Send from ``station`` over ``flows`` connections."""
        target, seconds = self._net.address(FETCHER), str(int(self._seconds))
        patience = self._seconds + SLACK
        with self._net.inside(station):
            if self._iperf:
                words = ["-c", target, "-p", self._port, "-C", self._control, "-t", seconds, "-P", str(flows)]
                self._sender = self._children.start([*words, "-J"], patience, IPERF)
            else:
                words = [*self._flow, "send", target, "--port", self._port, "--cc", self._control]
                words += ["--seconds", seconds, "--flows", str(flows)]
                self._sender = self._children.start(words, patience)

    def result(self) -> MeasuredFlow:
        """The received flow; not done if its end was not reported in time."""
        try:
            return self._iperf_result(self._sender) if self._iperf else self._plain_result()
        except BenchError as error:
            return MeasuredFlow(0, self._seconds, False, str(error), self._control)

    def _iperf_result(self, sender: Child) -> MeasuredFlow:
        said = json.loads(sender.rest())
        if "error" in said:
            return MeasuredFlow(0, self._seconds, False, said["error"], self._control)
        end = said["end"]
        used = end.get("sender_tcp_congestion", self._control)
        received = end["sum_received"]
        return MeasuredFlow(received["bytes"], received["seconds"], True, note=f"{used}, iperf3")

    def _plain_result(self) -> MeasuredFlow:
        used = self._sender.event("sending")["congestion_control"]
        received = self._receiver.event("received")
        return MeasuredFlow(received["bytes"], received["seconds"], True, note=f"{used}, {self._by}")
