"""A node shows its last messages, and captures them: real processes, both transports."""

from __future__ import annotations

import filecmp
from pathlib import Path
from typing import Any

from tests.e2e.test_reports import Viewer
from tests.labs.tshark import fields_of, needs_tshark

SIZE = 300_000  # bytes of a file


@needs_tshark
def test_a_node_captures_its_download_for_wireshark(swarm: Any) -> None:
    """Payload bytes of DATA, and of blocks, are at least the file; the capture costs no byte of it."""
    path = swarm.file("seen.bin", SIZE)
    _, torrent = swarm.share(path)
    words = ("-setMode", "download", str(torrent), "-transports")
    for transport, data in (("udp", "swarm.payload"), ("tcp", "bittorrent.piece.data")):
        fetcher = swarm.node(*words, transport, "-pcap", "run.pcap")
        assert fetcher.end() == 0
        assert filecmp.cmp(path, fetcher.folder / path.name, shallow=False)
        (capturing,) = fetcher.seen("capturing")
        assert capturing["path"] == "run.pcap" and not fetcher.seen("capture_ended")
        rows = fields_of(Path(swarm.folder) / "run.pcap", [data])
        values = [value for (row,) in rows for value in row.split(",") if value]
        assert sum(len(value.replace(":", "")) // 2 for value in values) >= SIZE


def test_a_node_shows_its_last_messages(make_swarm: Any, tracker_process: Any) -> None:
    swarm = make_swarm(tracker_process)  # its own: a log has a limit of torrents
    path = swarm.file("shown.bin", SIZE)
    owner, torrent = swarm.share(path)
    fetcher, viewer = swarm.node(REPORT="on"), Viewer(swarm.tracker)
    fetcher.type(f"download '{torrent}'")
    fetcher.wait_for("completed")
    fetcher.type(f"torrent -dump {owner.number}")
    (dump,) = fetcher.wait_for("dump")["dumps"]
    messages = [row["message"] for row in dump["messages"]]
    assert {row["peer"] for row in dump["messages"]} == {owner.number, None}
    assert messages[0] == "ASK" and {"TOKEN", "TELL", "REQUEST", "DATA", "verified"} <= set(messages)
    viewer.wait_until("the page has it", lambda: "messages:dumped" in viewer.names_of(fetcher))
    fetcher.type("torrent -dump 987654321")
    assert fetcher.wait_for("error")["error"] == "no messages with 987654321 are recorded; try: dump"


def test_a_failed_download_leaves_its_last_messages_in_the_log(swarm: Any, brief: dict[str, str]) -> None:
    path = swarm.file("lost.bin", SIZE)
    owner, torrent = swarm.share(path)
    assert owner.stop() == 0
    silent = swarm.play_owner(path, torrent, lambda at, payload: None)
    fetcher = swarm.fetch(torrent, **brief)
    assert fetcher.end() == 1
    log = (Path(swarm.folder) / "logs" / f"node{fetcher.number}.log").read_text(encoding="utf-8")
    after = log.partition("the last messages before lost.bin failed:")[2]
    assert f"node {silent.node_id}" in after and "│── REQUEST 1 [" in after and "─ TELL " in after
