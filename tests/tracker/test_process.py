"""The tracker as a real process: start, crash, restart, stop."""

from __future__ import annotations

from node.discovery.classroom import TrackerClient


def test_smoke(tracker_process):
    client = TrackerClient(tracker_process.url, 1)
    print(client.register(("127.0.0.1", 4001)))
    client.close()
    assert tracker_process.stop() == 0
