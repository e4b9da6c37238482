"""Reports of nodes to a real tracker, read from GET /swarm as the page reads it."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from common.events import SwarmEvent, event_of
from common.swarm_state import SwarmState

MB = 10**6
PATIENCE = 30.0  # seconds


class Viewer:
    """Follows a tracker's log. ``state`` is the log's state so far."""

    def __init__(self, tracker: Any) -> None:
        self._tracker = tracker
        self._epoch, self._since = "", 0
        self.state = SwarmState()
        self.events: list[SwarmEvent] = []

    def read(self) -> None:
        """Take all that is new. A new epoch starts a new log."""
        while True:
            query = f"/swarm?epoch={self._epoch}&since={self._since}"
            with urllib.request.urlopen(self._tracker.url + query, timeout=PATIENCE) as answer:
                fields = json.load(answer)
            if fields["epoch"] != self._epoch:
                self.state, self.events = SwarmState(), []
            self._epoch, self._since = fields["epoch"], fields["seq"]
            for each in map(event_of, fields["events"]):
                assert self.state.apply(each), each
                self.events.append(each)
            if not fields["more"]:
                return

    def wait_until(self, what: str, look: Callable[[], object]) -> Any:
        """Read until ``look()`` is true; returns its result."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self.read()
            if seen := look():
                return seen
            assert time.monotonic() < deadline, f"{what}: never seen in {len(self.events)} events"
            time.sleep(0.05)

    def torrent_of(self, node: Any) -> dict[str, Any]:
        """The node's row of its only torrent, {} at first."""
        rows = self.state.as_json()["nodes"].get(str(node.number), {}).get("torrents", {})
        return next(iter(rows.values()), {})

    def link(self, sender: Any, receiver: Any) -> dict[str, Any]:
        """The link between two nodes, {} without one."""
        links = self.state.as_json()["links"].get(f"{sender.number}>{receiver.number}", {})
        return next(iter(links.values()), {})

    def names_of(self, node: Any) -> list[str]:
        return [event.name for event in self.events if event.node == node.number]


def test_one_slot_and_three_askers_and_every_byte(make_swarm: Any, tracker_process: Any) -> None:
    """Two fetchers wait, and both sides report the same places; in the end both count the same bytes."""
    swarm, viewer = make_swarm(tracker_process), Viewer(tracker_process)
    owner, torrent = swarm.share(swarm.file("a.bin", 6 * MB), "-up", "1500kB", UPLOAD_SLOTS="1")
    fetchers = [swarm.fetch(torrent) for _ in range(3)]
    numbers = {fetcher.number for fetcher in fetchers}

    def waiting() -> bool:
        row = viewer.torrent_of(owner)
        served, queue = row.get("served", []), row.get("queue", [])
        places = [viewer.link(owner, fetcher) for fetcher in fetchers if fetcher.number in queue]
        return (
            len(served) == 1
            and sorted([*served, *queue]) == sorted(numbers)
            and {(link.get("state"), link.get("place")) for link in places} == {("queued", 1), ("queued", 2)}
        )

    viewer.wait_until("one is served and two wait", waiting)
    for fetcher in fetchers:
        assert fetcher.end() == 0
        completed = fetcher.seen("completed")[0]
        viewer.wait_until("it left", lambda f=fetcher: viewer.names_of(f)[-1:] == ["node:left"])
        states = [
            e.data["state"] for e in viewer.events if e.name == "torrent:state" and e.node == fetcher.number
        ]
        assert states[-1] == "seeding"
        row = viewer.torrent_of(fetcher)
        assert set(row["pieces"]) == {"v"} and row["down"] == completed["size"] == 6 * MB
        others = [owner, *fetchers]
        assert sum(viewer.link(each, fetcher).get("received", 0) for each in others) == row["down"]
        assert sum(viewer.link(fetcher, each).get("sent", 0) for each in others) == row["up"]
    assert owner.stop() == 0
    viewer.wait_until("the owner left", lambda: viewer.names_of(owner)[-1:] == ["node:left"])
    up = viewer.torrent_of(owner)["up"]
    assert sum(viewer.link(owner, fetcher).get("sent", 0) for fetcher in fetchers) == up >= 6 * MB


def test_a_tracker_that_is_killed_and_comes_back_soon_shows_the_node_again(
    make_swarm: Any, tracker_process: Any
) -> None:
    swarm, viewer = make_swarm(tracker_process), Viewer(tracker_process)
    owner, _ = swarm.share(swarm.file("a.bin", MB))
    pieces = viewer.wait_until("its pieces", lambda: viewer.torrent_of(owner).get("pieces"))
    tracker_process.kill()
    time.sleep(0.5)  # the time that it is gone
    tracker_process.restart()
    back = time.monotonic()
    again = viewer.wait_until("its pieces again", lambda: viewer.torrent_of(owner).get("pieces"))
    assert again == pieces and set(pieces) == {"v"}
    assert time.monotonic() - back < 10  # 3 s on a machine that is not busy
    assert "node:started" in viewer.names_of(owner)


def test_reports_can_be_switched_off(make_swarm: Any, tracker_process: Any) -> None:
    swarm, viewer = make_swarm(tracker_process), Viewer(tracker_process)
    silent = swarm.node("-report", "off")
    also_silent = swarm.node(REPORT="off")
    loud = swarm.node(REPORT="on")
    viewer.wait_until("its first report", lambda: viewer.names_of(loud))
    for node in (silent, also_silent, loud):
        node.wait_for("started")
        assert node.stop() == 0
    viewer.wait_until("it left", lambda: viewer.names_of(loud)[-1:] == ["node:left"])
    assert viewer.names_of(silent) == viewer.names_of(also_silent) == []


def test_a_node_ends_at_once_although_its_tracker_is_stopped(make_swarm: Any, tracker_process: Any) -> None:
    """It accepts connections, and never answers."""
    swarm, viewer = make_swarm(tracker_process), Viewer(tracker_process)
    node = swarm.node(REPORT="on")
    viewer.wait_until("its first report", lambda: viewer.names_of(node))
    tracker_process.process.send_signal(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        assert node.stop() == 0
        assert time.monotonic() - begun < 6
    finally:
        tracker_process.process.send_signal(signal.SIGCONT)
