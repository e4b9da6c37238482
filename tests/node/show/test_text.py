"""Events as sentences."""

from __future__ import annotations

import os

import pytest

from node import events
from node.events import Event, PeerStatus, SourceProgress, TrackerStatus
from node.show import text

HASH = "ab" * 20
ADDR = ("127.0.0.1", 4002)
SOURCES = (
    SourceProgress(2, ADDR, 600, 2e6, "active"),
    SourceProgress(3, ADDR, 1400, 1e6, "idle"),
    SourceProgress(4, ADDR, 0, 0.0, "lost", "silent for 2 s"),
)

SENTENCES: list[tuple[Event, str]] = [
    (events.Started(7, ADDR), f"node 7 (pid {os.getpid()}) listens on udp 127.0.0.1:4002"),
    (events.Listening("tcp", ADDR), "node listens on tcp 127.0.0.1:4002"),
    (events.Started(7, ADDR, "tcp"), f"node 7 (pid {os.getpid()})"),
    (events.Started(None, ADDR, "tcp"), f"standard peer (pid {os.getpid()})"),
    (events.Stopped(None), "the peer left the swarm"),
    (events.Stopped(7), "node 7 left the torrent"),
    (
        events.PeerChanged("a.bin", "ab" * 20, 3, ADDR, "udp", "idle", "not needed", 0),
        "a.bin: node 3 (127.0.0.1:4002, udp) is idle: not needed",
    ),
    (
        events.PeerChanged("a.bin", "ab" * 20, None, ADDR, "tcp", "active", "", 0),
        "a.bin: peer (127.0.0.1:4002, tcp) is active",
    ),
    (events.Selected("a", "ab" * 20, 1, 5000), "a: 1 file selected (5.0 kB)"),
    (events.Metadata("a.bin", "ab" * 20, 0, 0, 0, "no peers yet"), "a.bin: no peers yet"),
    (
        events.TrackerLost("http://h:1", "tracker http://h:1 does not answer (timeout)"),
        "tracker http://h:1 does not answer (timeout) (the node goes on trying)",
    ),
    (events.TrackerBack("http://h:1"), "tracker http://h:1 answers again"),
    (
        events.TrackerMoved("http://h:2", "http://h:1", "tracker http://h:1 does not answer (timeout)"),
        "tracker http://h:1 does not answer (timeout): http://h:2 is asked instead",
    ),
    (
        events.TrackerMoved("http://h:1", "http://h:2", ""),
        "tracker http://h:1 answers again and is preferred to http://h:2",
    ),
    (
        events.NotAnnounced("http://h:1", "tracker http://h:1 refuses: taken", True),
        "not announced yet: tracker http://h:1 refuses: taken (the node goes on trying)",
    ),
    (
        events.NotAnnounced("http://h:1", "tracker http://h:1 refuses: too many", False),
        "not announced, so no other node finds it: tracker http://h:1 refuses: too many",
    ),
    (events.SecretNotSaved("n/.claims-7.json cannot be written"), "n/.claims-7.json cannot be written"),
    (events.Hashing("a", 5, 10), "hashing a: 50.0%"),
    (events.Sharing("a", HASH, 2000, "n/a.torrent"), "sharing a (2.0 kB); others need n/a.torrent"),
    (
        events.Sharing("a", HASH, 2000, "n/a.torrent", complete=False),
        "sharing the verified pieces of a (2.0 kB); others need n/a.torrent",
    ),
    (events.SharingStopped("a", HASH, "it changed"), "no longer sharing a: it changed"),
    (events.FilesNotShared("n", ("a", "b"), 2), "not shared, in n: a, b; share with: send FILE"),
    (events.FilesNotShared("n", ("a",), 3), "not shared, in n: a and 2 more; share with: send FILE"),
    (
        events.Capturing("run.pcap", 10**9),
        "capturing to run.pcap (at most 1.0 GB); messages go one by one, which is slower",
    ),
    (
        events.CaptureEnded("run.pcap", "No space left on device"),
        "the capture run.pcap has ended: No space left on device",
    ),
    (events.Misbehaving("liar", "it lies"), "this node is a liar: it lies"),
    (events.PartFailed("mine.py:3: wrong; it takes over"), "mine.py:3: wrong; it takes over"),
    (events.FaultsSet("loss=5%", ("so it is",)), "faults: loss=5%; so it is"),
    (events.FaultsSet(""), "faults: none"),
    (
        events.AddressLost("10.0.0.1"),
        "10.0.0.1 is not this machine's address any more: no node can reach this one",
    ),
    (
        events.AddressRestored("10.0.0.1"),
        "10.0.0.1 is this machine's address again: other nodes can reach this one",
    ),
    (events.DownloadStarted("a", HASH, 2000, 0, 16), "downloading a (2.0 kB)"),
    (events.DownloadStarted("a", HASH, 2000, 999, 16), "downloading a (2.0 kB); 999 B are here already"),
    (events.OwnersFound("a", HASH, (2, 3), (2,)), "a: owners 2, 3; asking 2"),
    (events.OwnersFound("a", HASH, (), ()), "a: owners none; asking none"),
    (events.Progress("a", HASH, 2000, 900, 500, 3e6, 7.2, SOURCES), "a: 25.0%, 3.0 MB/s, 0:08 left, from 2"),
    (events.Progress("a", HASH, 2000, 2000, 2000, 0.0, None, SOURCES), "a: 100.0%, finishing"),
    (events.Piece("a", HASH, 3, (2, 4)), "a: piece 3 verified, from 2, 4"),
    (
        events.Piece("a", HASH, 3, (2, None), ("2", "10.0.0.3:6881")),
        "a: piece 3 verified, from 2, 10.0.0.3:6881",
    ),
    (events.PieceFailed("a", HASH, 3, (2,)), "a: piece 3 does not match its hash, from 2"),
    (events.OwnerLost("a", HASH, 2, ADDR, "silent"), "a: node 2 (127.0.0.1:4002) lost: silent"),
    (events.OwnerLost("a", HASH, 2, ADDR, "lied", True), "a: node 2 (127.0.0.1:4002) banned: lied"),
    (events.OwnerLost("a", HASH, None, ADDR, "silent"), "a: peer (127.0.0.1:4002) lost: silent"),
    (events.Waiting("a", HASH, 2.5, "no owner"), "a: no owner (next try in 2.50 s)"),
    (
        events.Completed("a", HASH, "n/a", 2000, 0.5, 0.4, 5e3, SOURCES),
        "downloaded a: 2.0 kB in 0.50 s, 5.0 kB/s, from 2 owners: node 3 (70%), node 2 (30%); saved as n/a",
    ),
    (
        events.Sharing("a", HASH, 2, "n/a.torrent", is_selection=True),
        "sharing a (2 B; the rest is not selected); others need n/a.torrent",
    ),
    (
        events.Completed("a", HASH, "n/a", 2, 0.5, 0.4, 5e3, SOURCES, is_selection=True),
        "downloaded a: 2 B in 0.50 s, 5.0 kB/s, from 2 owners: node 3 (70%), node 2 (30%); saved as n/a; "
        "the rest is not selected",
    ),
    (
        events.Completed("a", HASH, "n/a", 0, 0.01, 0.0, 0.0, ()),
        "downloaded a: 0 B in 0.01 s, nothing had to be fetched; saved as n/a",
    ),
    (
        events.Completed("a", HASH, "n/a", 5000, 0.5, 0.4, 5e3, SOURCES),
        "downloaded a: 2.0 of 5.0 kB fetched in 0.50 s, 5.0 kB/s, "
        "from 2 owners: node 3 (70%), node 2 (30%); saved as n/a",
    ),
    (events.Failed("a", HASH, "no owner in 60 s"), "download of a failed: no owner in 60 s"),
    (
        events.Failed("a", HASH, "a: no owner; a.part is kept"),
        "download of a failed: no owner; a.part is kept",
    ),
]


@pytest.mark.parametrize(
    ("event", "sentence"), SENTENCES, ids=lambda v: v.name if isinstance(v, Event) else ""
)
def test_sentences(event: Event, sentence: str) -> None:
    assert text.describe(event) == sentence


def test_every_kind_of_event_has_a_sentence() -> None:
    assert {type(event) for event, _ in SENTENCES} == set(Event.__subclasses__())


def test_quiet_hides_what_is_only_for_the_curious() -> None:
    quiet = {event.name for event, _ in SENTENCES if text.is_shown(event)}
    assert quiet.isdisjoint({"progress", "piece", "piece_failed", "owners_found", "hashing"})
    assert {"sharing", "completed", "failed", "owner_lost", "tracker_lost"} <= quiet
    assert not text.is_shown(events.Sharing("a", HASH, 1, "t", complete=False))


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (TrackerStatus("u", ("u",), True, silent_for=3.4), "tracker u answered 3 s ago"),
        (TrackerStatus("u", ("v", "u"), True, silent_for=0.0), "tracker u answered 0 s ago (2 of 2)"),
        (TrackerStatus("u", ("u",), False, "not asked yet"), "tracker u not asked yet"),
        (
            TrackerStatus("u", ("u",), False, "does not answer", "tracker u does not answer (timeout)", 61.0),
            "tracker u does not answer (timeout); its last answer was 61 s ago",
        ),
        (
            TrackerStatus("u", ("u",), False, "refuses", "tracker u refuses: node 7 is in use", 0.2),
            "tracker u refuses: node 7 is in use; its last answer was 0 s ago",
        ),
    ],
)
def test_a_tracker_is_shown_with_its_last_answer(row: TrackerStatus, line: str) -> None:
    assert text.tracker(row) == line


def test_the_upload_rate_is_that_of_all_who_are_served_now() -> None:
    def row(direction: str, rate: float, node_id: int | None = None) -> PeerStatus:
        return PeerStatus(node_id, ADDR, "a", direction, 1, rate, "served", "")

    rows = [row("to", 5e6), row("from", 7e6), row("to", 2e6, 4), row("to", 1e6, 4), row("to", 0.0, 5)]
    assert text.uploads(rows) == "↑ 8.0 MB/s to 2"
    assert text.uploads([row("from", 7e6), row("to", 0.0)]) == ""
