"""The links, as a process: ``python -m bench.network.emulator FD=ADDRESS ...``.

Each FD is one station's TUN device. A packet that a station sends passes its uplink and then the downlink of
the station it is for. Commands come as JSON lines on standard input, each is answered by one:

    {"links": {address: [up, down]}, "seed": n}    new links (fields of LinkFaults), counted from zero
    {"count": true}                                 what happened since, see ``Emulator.counted``

It ends with its standard input. Delivery is as exact as select is, some 0.1 ms, if the process gets the
processor when it wants it: it asks for real-time priority, and counts the packets that it delivered late.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import json
import os
import select
import sys
import time
from typing import Any

from bench.network.packets import TCP, UDP, damaged_packet, packed, payload
from faults.link import Link, LinkFaults

BATCH = 32  # packets read from one station before the next station's turn
MAX_PACKET = 2048  # bytes; the MTU is 1500
MAX_HELD = 100_000  # packets under way; further ones are dropped, and counted
BIN = 0.1  # seconds of the time series
LATE = 0.005  # seconds after which a delivery is too late to be called exact
PRIORITY = 10  # real-time
NAMES = {TCP: "tcp", UDP: "udp"}
KINDS = (*NAMES.values(), "other")


class Station:
    """One end of the network: its device, its two links, and counts of the packets that passed."""

    def __init__(self, fd: int, address: str) -> None:
        self.fd = fd
        self.address = address
        self.up: Link | None = None  # None: as if it were not there
        self.down: Link | None = None
        self.clear()

    def clear(self) -> None:
        """Count from zero."""
        self.sent = dict.fromkeys(KINDS, 0)  # bytes of IP packets
        self.packets = 0  # sent
        self.got = dict.fromkeys(KINDS, 0)
        self.payload = 0  # bytes of file that arrived here intact, but for copies made on this downlink
        self.series: dict[str, dict[int, int]] = {"tcp": {}, "udp": {}, "payload": {}}

    def counted(self) -> dict[str, Any]:
        """For the answer."""
        links = {"up": self.up, "down": self.down}
        return {
            "sent": self.sent,
            "packets": self.packets,
            "got": self.got,
            "payload": self.payload,
            "series": self.series,
            **{name: vars(link.counters) for name, link in links.items() if link is not None},
        }


class Emulator:
    """All stations and the packets in flight between them."""

    def __init__(self, stations: list[Station]) -> None:
        self._by_fd = {station.fd: station for station in stations}
        self._by_address = {packed(station.address): station for station in stations}
        self._held: list[tuple[float, int, Station, bytes, bool]] = []  # when, tie, to, packet, has arrived
        self._tie = 0
        self._begun = time.monotonic()
        self._clear()

    def _clear(self) -> None:
        self._delivered = self._late = self._dropped = 0
        self._latest = 0.0
        self._busy = time.process_time()

    def links(self, links: dict[str, list[dict[str, Any]]], seed: int) -> None:
        """Set new links; packets in flight still arrive."""
        self._begun = time.monotonic()
        self._clear()
        for number, station in enumerate(self._by_fd.values()):
            station.clear()
            up, down = (_faults(fields) for fields in links.get(station.address, [{}, {}]))
            station.up = self._link(up, seed + 2 * number)
            station.down = self._link(down, seed + 2 * number + 1)

    def _link(self, faults: LinkFaults, seed: int) -> Link | None:
        return None if faults == LinkFaults() else Link(faults, seed, self._begun, damaged_packet)

    def counted(self) -> dict[str, Any]:
        """Since the last ``links``: by station, and how well the emulator kept up."""
        seconds = time.monotonic() - self._begun
        return {
            "seconds": seconds,
            "busy": (time.process_time() - self._busy) / seconds,
            "delivered": self._delivered,
            "late": self._late,
            "latest": self._latest,
            "dropped": self._dropped,
            "stations": {station.address: station.counted() for station in self._by_fd.values()},
        }

    def run(self) -> None:
        """Until standard input ends."""
        waited_for = [0, *self._by_fd]
        typed = b""
        while True:
            wait = self._deliver()
            ready, _, _ = select.select(waited_for, (), (), wait)
            for fd in ready:
                if fd:
                    self._read(self._by_fd[fd])
                    continue
                more = os.read(0, 1 << 16)
                if not more:
                    return
                *lines, typed = (typed + more).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))

    def _obey(self, command: dict[str, Any]) -> None:
        if "links" in command:
            self.links(command["links"], command["seed"])
        print(json.dumps({"event": "done", **self.counted()}), flush=True)

    def _deliver(self) -> float | None:
        """Deliver all packets that are due; returns seconds until the next."""
        held = self._held
        while held:
            now = time.monotonic()
            if held[0][0] > now:
                return held[0][0] - now
            when, _, station, packet, arrived = heapq.heappop(held)
            if not arrived:
                self._towards(station, packet, when)
                continue
            self._delivered += 1
            if now - when > self._latest:
                self._latest = now - when
            if now - when > LATE:
                self._late += 1
            with contextlib.suppress(OSError):  # the device has no room, or is no more: a loss
                os.write(station.fd, packet)
        return None

    def _read(self, station: Station) -> None:
        now = time.monotonic()
        for _ in range(BATCH):
            try:
                packet = os.read(station.fd, MAX_PACKET)
            except BlockingIOError:
                return
            target = self._by_address.get(packet[16:20])
            if target is None or packet[0] >> 4 != 4:
                continue
            station.packets += 1
            station.sent[NAMES.get(packet[9], "other")] += len(packet)
            if station.up is None:
                self._towards(target, packet, now)
                continue
            for when, arriving in station.up.send(packet, now):
                self._hold(when, target, arriving, False)

    def _towards(self, station: Station, packet: bytes, now: float) -> None:
        """Through a station's downlink."""
        arrivals = [(now, packet)] if station.down is None else station.down.send(packet, now)
        for number, (when, arriving) in enumerate(arrivals):
            self._hold(when, station, arriving, True)
            kind = NAMES.get(packet[9], "other")
            station.got[kind] += len(arriving)
            at = int((when - self._begun) / BIN)
            series = station.series.get(kind)
            if series is not None:
                series[at] = series.get(at, 0) + len(arriving)
            if kind == "udp" and number == 0 and arriving is packet:
                size = payload(packet)
                station.payload += size
                series = station.series["payload"]
                series[at] = series.get(at, 0) + size

    def _hold(self, when: float, station: Station, packet: bytes, arrived: bool) -> None:
        if len(self._held) >= MAX_HELD:
            self._dropped += 1
            return
        self._tie += 1
        heapq.heappush(self._held, (when, self._tie, station, packet, arrived))


def _faults(fields: dict[str, Any]) -> LinkFaults:
    rates = tuple((at, rate) for at, rate in fields.pop("rates", ()))
    return LinkFaults(**fields, rates=rates)


def main() -> None:
    """Run until standard input ends."""
    stations = []
    for word in sys.argv[1:]:
        fd, _, address = word.partition("=")
        os.set_blocking(int(fd), False)
        stations.append(Station(int(fd), address))
    with contextlib.suppress(OSError):  # without the priority it works, less exactly
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    emulator = Emulator(stations)
    gc.disable()  # there are no cycles here, and a collection would hold up packets
    print(json.dumps({"event": "ready"}), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        emulator.run()


if __name__ == "__main__":
    main()
