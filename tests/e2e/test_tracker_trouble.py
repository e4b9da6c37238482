"""Trackers that are not there, die, come back, or have forgotten: nodes work on and make it good."""

from __future__ import annotations

import http.server
import shutil
import threading
from typing import Any


def test_down_at_start(make_swarm: Any, start_tracker: Any) -> None:
    tracker = start_tracker()
    swarm = make_swarm(tracker)
    tracker.stop()
    path = swarm.file("x.bin", 1000)
    owner, torrent = swarm.share(path)  # it works, and reports the failing tracker
    lost = owner.wait_for("tracker_lost")
    assert lost["url"] == tracker.url and "connection refused" in lost["reason"]
    early = swarm.fetch(torrent, json=False, OWNER_SEARCH_LIMIT="1")
    assert early.end() == 1
    assert early.wait_for_line("does not answer").count("does not answer") == 1
    assert len(early.errors) == 1
    assert f"tracker {tracker.url} does not answer (connection refused); is it running?" in early.errors[0]
    tracker.restart()
    owner.wait_for("tracker_back", url=tracker.url)
    swarm.wait_for_owners(torrent, owner.number)
    assert swarm.fetch(torrent).end() == 0
    assert len(owner.seen("tracker_lost")) == len(owner.seen("tracker_back")) == 1  # reported once each


def test_restarted_it_knows_and_with_its_records_gone_it_is_told_again(
    make_swarm: Any, start_tracker: Any
) -> None:
    tracker = start_tracker(TRACKER_TIME_INTERVAL="2")
    swarm = make_swarm(tracker)
    owner, torrent = swarm.share(swarm.file("x.bin", 1000))
    assert swarm.fetch(torrent).end() == 0
    before = swarm.owners(torrent)
    assert before == [(owner.number, 1)]
    tracker.restart()
    assert swarm.owners(torrent) == before  # at once, uploads and all
    tracker.stop()
    shutil.rmtree(tracker.db)
    tracker.restart()
    swarm.wait_for_owners(torrent, owner.number)
    assert owner.stop() == 0
    assert swarm.owners(torrent) == []


def test_who_was_silent_too_long_is_forgotten_and_announces_again(
    make_swarm: Any, start_tracker: Any
) -> None:
    swarm = make_swarm(start_tracker(TRACKER_TIME_INTERVAL="1"))
    owner, torrent = swarm.share(swarm.file("x.bin", 1000))
    owner.freeze()
    swarm.wait_for_owners(torrent)
    owner.thaw()
    swarm.wait_for_owners(torrent, owner.number)
    assert swarm.fetch(torrent).end() == 0


def test_a_node_id_that_is_live_is_refused_and_the_first_works_on(swarm: Any, brief: dict[str, str]) -> None:
    first, torrent = swarm.share(swarm.file("x.bin", 1000))
    port = first.wait_for("started")["addr"][1]
    second = swarm.node(number=first.number, json=False)
    assert second.end() == 1
    assert second.lines == []
    (error,) = second.errors
    assert f"node {first.number} is in use at 127.0.0.1:{port}" in error and "until it exits" in error
    swarm.wait_for_owners(torrent, first.number)  # the refused one took nothing with it
    assert swarm.fetch(torrent, **brief).end() == 0
    assert first.stop() == 0
    assert swarm.share(swarm.file("y.bin", 10), number=first.number)[0].stop() == 0


def test_something_else_listens_there(make_swarm: Any, start_tracker: Any) -> None:
    class Other(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>a printer</html>")

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        swarm = make_swarm(start_tracker())
        node = swarm.node(tracker=f"http://127.0.0.1:{server.server_port}", json=False)
        node.wait_for_line("does not answer as a classroom tracker does")
        node.type("torrent -status", "exit")
        assert node.end() == 0
        assert "no downloads" in node.lines
        server.shutdown()
        thread.join()
