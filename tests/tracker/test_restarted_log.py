"""A tracker that is killed in mid-run: a new epoch, the picture right again soon, a gap in the recording."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from common.events import event_of
from common.log_file import LogReader
from common.swarm_state import SwarmState

PATIENCE = 60.0  # seconds
EVERY = 0.2  # seconds between two reports
RIGHT_AGAIN = 3.0  # seconds after the tracker's return
LOST_BY_A_KILL = 2.5  # seconds before a kill that the recording may not have; it is written every second
HASH = "0123456789abcdef" * 2 + "01234567"
TORRENT = HASH[:12]
STARTED = {
    "addr": None, "tcp_addr": None, "up_limit": None, "down_limit": None, "slots": None,
    "transports": ["udp"], "program": "a test",
}  # fmt: skip
KNOWN = {"torrent": TORRENT, "info_hash": HASH, "name": "f", "size": 9, "piece_length": 3, "pieces": 3}


class ReportingClient:
    """A node that holds two of three pieces and reports as a node does: all it has to each new epoch."""

    def __init__(self, url: str, node_id: int) -> None:
        self._url = url
        self._node_id = node_id
        self._seq = 0
        self._epoch = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            self._post(session, "register", {"addr": ["127.0.0.1", 4000 + self._node_id]})
            while not self._stop.wait(EVERY):
                with contextlib.suppress(requests.ConnectionError):
                    self._report(session)

    def _report(self, session: requests.Session) -> None:
        answer = self._post(session, "report", self._batch(("node:faults", {"spec": ""})))
        if answer["epoch"] != self._epoch:
            self._epoch = answer["epoch"]
            held = "piece:held", {"torrent": TORRENT, "ranges": [[0, 2]]}
            self._post(
                session, "report", self._batch(("node:started", STARTED), ("torrent:known", KNOWN), held)
            )

    def _batch(self, *events: tuple[str, Any]) -> dict[str, Any]:
        now, rows = time.monotonic() * 1000, []
        for name, data in events:
            self._seq += 1
            rows.append([now, self._seq, name, data])
        return {"run": f"{self._node_id:x}", "sent": now, "events": rows}

    def _post(self, session: requests.Session, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = session.post(
            f"{self._url}/{path}", json={"node_id": self._node_id, **body}, timeout=PATIENCE
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


class LogViewer:
    """Reads the log as the page does."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.epoch, self.since, self.state = "", 0, SwarmState()

    def poll(self) -> dict[str, Any]:
        answer = requests.get(
            f"{self._url}/swarm", params={"epoch": self.epoch, "since": self.since}, timeout=PATIENCE
        ).json()
        for event in answer["events"]:
            assert self.state.apply(event_of(event)), event
        self.epoch, self.since = answer["epoch"], answer["seq"]
        found: dict[str, Any] = answer
        return found

    def wait_until(self, shown: Callable[[SwarmState], bool]) -> float:
        """Seconds until the picture is so."""
        begun = time.monotonic()
        while not shown(self.state):
            assert time.monotonic() - begun < PATIENCE
            time.sleep(0.05)
            with contextlib.suppress(requests.ConnectionError):
                self.poll()
        return time.monotonic() - begun


def is_right(state: SwarmState) -> bool:
    rows = [node["torrents"].get(TORRENT, {}) for node in state.nodes.values()]
    return sorted(state.nodes) == [1, 2] and all(row.get("pieces") == b"vv." for row in rows)


@pytest.fixture
def nodes() -> Iterator[list[ReportingClient]]:
    running: list[ReportingClient] = []
    yield running
    for node in running:
        node.stop()


def test_a_killed_tracker_is_a_gap_and_the_picture_is_right_again(
    start_tracker: Callable[..., Any], nodes: list[ReportingClient], tmp_path: Path
) -> None:
    path = tmp_path / "run.jsonl.gz"
    tracker = start_tracker("--record", str(path))
    nodes += [ReportingClient(tracker.url, number) for number in (1, 2)]
    viewer = LogViewer(tracker.url)
    viewer.wait_until(is_right)
    before = viewer.epoch
    time.sleep(1.5)  # so that the recording has something
    tracker.kill()
    killed = time.monotonic()
    time.sleep(1.0)
    tracker.restart()
    downtime = time.monotonic() - killed

    fresh = LogViewer(tracker.url)
    assert fresh.wait_until(is_right) <= RIGHT_AGAIN
    answer = viewer.poll()
    assert answer["epoch"] == fresh.epoch != before
    assert answer["events"][0]["name"] == "keyframe" and answer["header"]["run"] == answer["epoch"]
    for node in nodes:
        node.stop()
    nodes.clear()
    assert tracker.stop() == 0

    recorded, gaps = SwarmState(), []
    with LogReader(path) as reader:
        for event in reader:
            recorded.apply(event)
            if event.name == "gap" and event.node is None:
                gaps.append(event.data)
    assert reader.damage == "" and is_right(recorded)
    (gap,) = gaps
    assert gap["events"] == 0
    assert downtime - 0.5 <= gap["span_ms"] / 1000 <= downtime + LOST_BY_A_KILL


def test_a_tracker_with_records_begins_its_log_with_their_owners(start_tracker: Callable[..., Any]) -> None:
    """Also of nodes that do not report: they do not announce their files again."""
    tracker = start_tracker()
    own = {"node_id": 7, "addr": ["127.0.0.1", 4007], "filename": "f", "info_hash": HASH, "size": 9}
    assert requests.post(f"{tracker.url}/own", json=own, timeout=PATIENCE).status_code == 200
    tracker.restart()
    viewer = LogViewer(tracker.url)
    viewer.wait_until(lambda state: 7 in state.nodes)
    assert viewer.state.nodes[7]["addr"] == "127.0.0.1:4007"
    assert viewer.state.nodes[7]["torrents"][TORRENT]["complete"] is True
    assert viewer.state.torrents[TORRENT]["name"] == "f"
