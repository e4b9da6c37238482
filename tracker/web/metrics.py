"""Counts of answers and times for Prometheus, and samples of the last hour and day for /stats."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from common.errors import SwarmError
from tracker.clock import wall_clock
from tracker.model import Counts

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # seconds, upper ends
MINUTE_SECONDS, HOUR_SECONDS = 60.0, 3600.0  # seconds between two samples of the last hour; of the last day
KEPT_MINUTES, KEPT_HOURS = 60, 24  # samples

disable_created_metrics()  # type: ignore[no-untyped-call]  # one more time series for each, with its start time


@dataclass(frozen=True)
class Sample:
    """The swarm at one moment."""

    time: float  # Unix time
    nodes: int
    files: int  # with at least one owner
    owned: int  # (node, file) pairs
    requests: int  # answered since the start
    refused: int  # of these, with status 400 or more


class StorageCollector(Collector):
    """Gauges of the storage's records and counts of UDP packets, read when Prometheus asks."""

    def __init__(self, counts: Callable[[], Counts], udp_packets: dict[str, int]) -> None:
        self._counts = counts
        self._udp_packets = udp_packets

    def collect(self) -> Iterator[Metric]:
        counts = self._counts()
        nodes = GaugeMetricFamily("tracker_nodes", "Nodes that are in", labels=["claimed"])
        nodes.add_metric(["yes"], counts.claimed)
        nodes.add_metric(["no"], counts.nodes - counts.claimed)
        yield nodes
        yield GaugeMetricFamily("tracker_peers", "Standard peers, in all swarms", counts.peers)
        packets = CounterMetricFamily("tracker_udp_packets", "UDP packets by their answer", labels=["kind"])
        for kind, number in sorted(self._udp_packets.copy().items()):
            packets.add_metric([kind], number)
        yield packets
        yield GaugeMetricFamily("tracker_swarms", "Files with at least one owner", counts.files)
        yield GaugeMetricFamily("tracker_ownerships", "Pairs of a node and a file", counts.owned)


class Metrics:
    """All counters of one tracker. Thread-safe. Two trackers in one process have two registries."""

    def __init__(
        self,
        counts: Callable[[], Counts],
        clock: Callable[[], float] | None = None,
        udp_packets: dict[str, int] | None = None,
    ) -> None:
        """``counts``: of the storage; ``clock``: seconds; see ``wall_clock``. ``udp_packets``: by answer."""
        self._counts = counts
        self._clock = clock or wall_clock()
        self._registry = CollectorRegistry(auto_describe=False)
        self._answers = Counter(
            "tracker_requests", "Requests answered", ["kind", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "tracker_request_seconds",
            "Time to the answer",
            ["kind"],
            buckets=LATENCY_BUCKETS,
            registry=self._registry,
        )
        # Looking up a series by its labels takes longer than counting.
        self._series = lru_cache(1024)(
            lambda kind, status: (self._answers.labels(kind, status), self._seconds.labels(kind))
        )
        self._registry.register(StorageCollector(counts, {} if udp_packets is None else udp_packets))
        ProcessCollector(registry=self._registry)
        self._lock = threading.Lock()  # guards the times of the next samples
        self._started = self._clock()
        self._minutes: deque[Sample] = deque(maxlen=KEPT_MINUTES)
        self._hours: deque[Sample] = deque(maxlen=KEPT_HOURS)
        self._next_minute = self._next_hour = 0.0

    def count(self, kind: str, status: int, seconds: float) -> None:
        """Count an answer. ``kind`` is a word of ours, never a text from outside."""
        counter, histogram = self._series(kind, status)
        counter.inc()
        histogram.observe(seconds)
        self._sample_if_due()

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self._registry)

    def to_json(self) -> dict[str, Any]:
        """The part of /stats that is about requests and history."""
        by_kind = self._by_kind()
        answered, refused = _totals(by_kind)
        return {
            "uptime": round(self._clock() - self._started, 3),
            "requests": {"answered": answered, "refused": refused, "by_kind": by_kind},
            "minutes": [asdict(sample) for sample in self._minutes.copy()],
            "hours": [asdict(sample) for sample in self._hours.copy()],
        }

    def _by_kind(self) -> dict[str, dict[str, int]]:
        by_kind: dict[str, dict[str, int]] = {}
        for family in self._answers.collect():
            for sample in family.samples:
                by_kind.setdefault(sample.labels["kind"], {})[sample.labels["status"]] = int(sample.value)
        return by_kind

    def _sample_if_due(self) -> None:
        now = self._clock()
        if now < self._next_minute:  # nearly always, and no lock to wait for
            return
        with self._lock:
            if now < self._next_minute:
                return
            self._next_minute = now + MINUTE_SECONDS
        with contextlib.suppress(SwarmError):  # a storage that cannot be read now may be read a minute later
            counts = self._counts()
            sample = Sample(now, counts.nodes, counts.files, counts.owned, *_totals(self._by_kind()))
            self._minutes.append(sample)
            if now >= self._next_hour:
                self._hours.append(sample)
                self._next_hour = now + HOUR_SECONDS


def _totals(by_kind: dict[str, dict[str, int]]) -> tuple[int, int]:
    """Requests answered, and how many of them with status 400 or more."""
    counts = [(status, count) for statuses in by_kind.values() for status, count in statuses.items()]
    return sum(count for _, count in counts), sum(count for status, count in counts if int(status) >= 400)
