"""/metrics: what ``Traffic`` counted and the storage holds, for Prometheus. Nothing is counted here.

The families are made when somebody scrapes, from counts that are kept anyway; a request pays nothing for
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tracker.model import Counts
from tracker.web.traffic import BUCKETS, Tally, Traffic

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class TrackerCollector(Collector):
    """The tracker's own families."""

    def __init__(self, counts: Callable[[], Counts], traffic: Traffic) -> None:
        self._counts = counts
        self._traffic = traffic

    def collect(self) -> Iterator[Metric]:
        """How things are now."""
        counts = self._counts()
        nodes = GaugeMetricFamily("tracker_nodes", "Nodes that are in", labels=["claimed"])
        nodes.add_metric(["yes"], counts.claimed)
        nodes.add_metric(["no"], counts.nodes - counts.claimed)
        yield nodes
        yield GaugeMetricFamily("tracker_swarms", "Files that somebody has", counts.files)
        yield GaugeMetricFamily("tracker_ownerships", "Pairs of a node and a file", counts.owned)
        yield from _requests(self._traffic.tallies())


def _requests(tallies: dict[str, Tally]) -> Iterator[Metric]:
    answers = CounterMetricFamily("tracker_requests", "Requests answered", labels=["kind", "status"])
    seconds = HistogramMetricFamily("tracker_request_seconds", "Time to the answer", labels=["kind"])
    for kind, tally in sorted(tallies.items()):
        for status, count in sorted(tally.statuses.items()):
            answers.add_metric([kind, str(status)], count)
        ends = [*(str(end) for end in BUCKETS), "+Inf"]
        seconds.add_metric([kind], list(zip(ends, accumulate(tally.slower), strict=True)), tally.seconds)
    yield answers
    yield seconds


def renderer(counts: Callable[[], Counts], traffic: Traffic) -> Callable[[], bytes]:
    """What renders /metrics. It has a registry of its own, so that two trackers in one process do not mix."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(TrackerCollector(counts, traffic))
    ProcessCollector(registry=registry)
    return lambda: generate_latest(registry)
