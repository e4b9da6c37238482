"""SIGTERM under load: a request is carried out if and only if it was answered."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import pytest
import requests

PATIENCE = 20.0  # seconds
CLIENTS = 12


class RegisterLoad(threading.Thread):
    """Registers new nodes in turn, until the tracker is gone."""

    def __init__(self, url: str, first: int) -> None:
        super().__init__()
        self.answered: list[int] = []
        self.unanswered: list[int] = []
        self.wrong: list[Any] = []
        self._url, self._first = url, first

    def run(self) -> None:
        """Half of them on one kept connection, half on a new one for each request."""
        with requests.Session() as session:
            session.trust_env = False
            if self._first % 2:
                session.headers["Connection"] = "close"
            for node_id in range(self._first, self._first + 100_000):
                body = {"node_id": node_id, "addr": ["127.0.0.1", 4001], "filename": "f"}
                try:
                    answer = session.post(f"{self._url}/own", json=body, timeout=PATIENCE)
                except requests.ConnectionError:
                    self.unanswered.append(node_id)
                    return
                if answer.status_code != 200:
                    self.wrong.append((answer.status_code, answer.text))
                    return
                self.answered.append(node_id)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
def test_the_end_under_load(tracker_process) -> None:
    clients = [RegisterLoad(tracker_process.url, 1 + number * 100_001) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    deadline = time.monotonic() + PATIENCE
    while min(len(client.answered) for client in clients) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    begun = time.monotonic()
    assert tracker_process.stop() == 0
    assert time.monotonic() - begun < 2
    for client in clients:
        client.join(PATIENCE)
    assert [wrong for client in clients for wrong in client.wrong] == []
    kept = {
        int(node_id)
        for node_id in json.loads((tracker_process.db / "nodes.json").read_text(encoding="utf-8"))
    }
    answered = {node_id for client in clients for node_id in client.answered}
    assert len(kept) > 5 * CLIENTS
    assert kept == answered
    assert tracker_process.stderr.read_text(encoding="utf-8") == ""
