"""The tracker's list of torrents: read whole, or refused with a reason."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from common.errors import TrackerRefused, TrackerUnavailable
from node.discovery.listing import list_torrents
from node.events import ListedTorrent

HASH = "ab" * 20
ROW = {"name": "film\x1b.mkv", "info_hash": HASH, "size": 5, "complete": 2, "partial": 1, "owners": 3}


class ListingTracker:
    """Answers GET /torrents with ``status`` and ``body``."""

    def __init__(self) -> None:
        self.status = 200
        self.body: object = {"torrents": [ROW], "total": 1}
        self.asked: list[tuple[str, str | None]] = []
        tracker = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                tracker.asked.append((self.path, self.headers["X-Swarm-Key"]))
                body = json.dumps(tracker.body).encode()
                self.send_response(tracker.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def ask(self, key: str = "") -> list[ListedTorrent]:
        return list_torrents([self.url], key, 5.0)


@pytest.fixture
def tracker() -> Iterator[ListingTracker]:
    made = ListingTracker()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


def test_rows_are_read_and_made_harmless(tracker: ListingTracker) -> None:
    assert tracker.ask("key") == [
        ListedTorrent("film\ufffd.mkv", HASH, 5, 3, 2)
    ]  # an earlier tracker counts no standard peers
    assert tracker.asked == [("/torrents?limit=200", "key")]
    tracker.body = {"torrents": [{**ROW, "peers": 4, "complete_peers": 1}]}
    assert tracker.ask() == [ListedTorrent("film\ufffd.mkv", HASH, 5, 3, 3, 4)]
    tracker.body = {"torrents": [{**ROW, "size": None, "info_hash": None}]}
    (row,) = tracker.ask()
    assert row.size is None and row.info_hash == ""
    assert tracker.asked[-1][1] is None


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"torrents": 5},
        {"torrents": [5]},
        {"torrents": [{**ROW, "name": 5}]},
        {"torrents": [{**ROW, "info_hash": "AB"}]},
        {"torrents": [{**ROW, "size": -1}]},
        {"torrents": [{**ROW, "owners": "3"}]},
        {"torrents": [{**ROW, "complete": True}]},
        {"torrents": [{**ROW, "peers": None}]},
        {"torrents": [{**ROW, "complete_peers": -1}]},
    ],
)
def test_what_is_no_list_is_garbled(tracker: ListingTracker, body: object) -> None:
    tracker.body = body
    with pytest.raises(TrackerUnavailable, match="no list of torrents"):
        tracker.ask()


def test_refusals_say_why(tracker: ListingTracker) -> None:
    tracker.status = 403
    with pytest.raises(TrackerRefused, match="SWARM_KEY"):
        tracker.ask()
    tracker.status = 404
    with pytest.raises(TrackerRefused, match="lists no torrents"):
        tracker.ask()


def test_the_next_address_is_asked_if_one_is_silent(tracker: ListingTracker) -> None:
    assert len(list_torrents(["http://127.0.0.1:9", tracker.url], "", 5.0)) == 1
    with pytest.raises(TrackerUnavailable):
        list_torrents(["http://127.0.0.1:9"], "", 5.0)
