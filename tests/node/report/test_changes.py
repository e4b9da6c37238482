"""From snapshots of a torrent to events."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from common.events import SwarmEvent, check_event
from common.swarm_state import SwarmState
from node.report.batches import WaitingEvent, lighten
from node.report.changes import GONE, HELD_SECONDS, Change, TorrentChanges
from node.report.snapshot import PeerUse, SlotsView, TorrentSnapshot

TORRENT = "0123456789ab"
KNOWN = {"info_hash": TORRENT + "0" * 28, "name": "a.bin", "size": 10, "piece_length": 1, "pieces": 10}


def snapshot(**fields: Any) -> TorrentSnapshot:
    return TorrentSnapshot(TORRENT, KNOWN, **{"state": "downloading", **fields})


class ReportScene:
    """A torrent's log, with one snapshot a half second."""

    def __init__(self) -> None:
        self.now = 0.0
        self.changes = TorrentChanges(self.now)
        self.held: list[tuple[int, int]] = []
        self.look()

    def look(self, **fields: Any) -> list[Change]:
        self.now += 0.5
        events = self.changes.changes(snapshot(**fields), lambda torrent: self.held, self.now)
        assert all(data["torrent"] == TORRENT for _, data in events)
        events = [(name, {k: v for k, v in data.items() if k != "torrent"}) for name, data in events]
        self.changes.begin()
        return events


def test_the_first_snapshot_names_the_torrent_its_pieces_and_its_state() -> None:
    changes = TorrentChanges(0.0)
    events = changes.changes(snapshot(state="seeding"), lambda torrent: [(0, 10)], 0.5)
    assert events == [
        ("torrent:known", {"torrent": TORRENT, **KNOWN}),
        ("piece:held", {"torrent": TORRENT, "ranges": [[0, 10]]}),
        ("torrent:state", {"torrent": TORRENT, "state": "seeding", "reason": ""}),
    ]
    assert changes.changes(snapshot(state="seeding"), lambda torrent: [(0, 10)], 1.0) == []


def test_a_piece_is_asked_for_received_or_given_up() -> None:
    scene = ReportScene()
    assert scene.look(asked={3: (1,), 4: (1, 2)}) == [
        ("piece:requested", {"piece": 3, "peers": [1]}),
        ("piece:requested", {"piece": 4, "peers": [1, 2]}),
    ]
    assert scene.look(asked={3: (1, 2)}, received=frozenset({4})) == [
        ("piece:requested", {"piece": 3, "peers": [1, 2]}),
        ("piece:received", {"piece": 4}),
    ]
    assert scene.look(received=frozenset({4})) == [("piece:missing", {"piece": 3})]


def test_a_result_from_the_bus_is_not_taken_back_by_an_older_snapshot() -> None:
    scene = ReportScene()
    scene.look(asked={3: (1,), 4: (1,)})
    scene.changes.on_piece(3)
    scene.changes.on_piece(4)  # reported while the next snapshot was being taken
    assert scene.look(asked={3: (1,)}, received=frozenset({4})) == []
    assert scene.look(asked={4: (2,)}) == [("piece:requested", {"piece": 4, "peers": [2]})]


def test_a_state_from_the_bus_is_not_taken_back_by_an_older_snapshot() -> None:
    scene = ReportScene()
    assert scene.changes.on_state("seeding", "") is True
    assert scene.changes.on_state("seeding", "") is False
    assert scene.look(state="downloading") == []
    assert scene.look(state="seeding") == []
    assert scene.look(state="failed", reason="gone") == [
        ("torrent:state", {"state": "failed", "reason": "gone"})
    ]


def test_a_peer_has_an_event_when_its_row_changes() -> None:
    scene = ReportScene()
    view = PeerUse("udp", "queued", 2, "waits, place 2 in its queue")
    (event,) = scene.look(peers={7: view})
    assert event == ("peer:state", {"peer": 7, **vars(view)})
    assert scene.look(peers={7: view}) == []
    ((_, data),) = scene.look()
    assert (data["state"], data["place"], data["reason"]) == ("lost", 0, GONE)


def test_the_number_of_a_peers_pieces_alone_is_reported_now_and_then() -> None:
    scene, times = ReportScene(), []
    for held in range(1, 40):
        if scene.look(peers={7: PeerUse("udp", "active", held=held)}):
            times.append(scene.now)
    assert times[1] - times[0] == HELD_SECONDS and len(times) == 4


def test_slots_are_granted_and_withdrawn() -> None:
    scene = ReportScene()
    names = [name for name, _ in scene.look(slots=SlotsView(1, (2,), (3, 4)))]
    assert names == ["slot:granted", "slot:queue"]
    events = scene.look(slots=SlotsView(1, (3,), (4, 2)))
    assert events == [
        ("slot:withdrawn", {"peer": 2, "reason": "its turn is over: it waits again"}),
        ("slot:granted", {"peer": 3}),
        ("slot:queue", {"queue": [4, 2], "slots": 1, "served": [3]}),
    ]


def test_many_ranges_and_many_links_are_several_events() -> None:
    changes = TorrentChanges(0.0)
    ranges = [(at, at + 1) for at in range(0, 200, 2)]
    known = {**KNOWN, "pieces": 201}
    events = changes.changes(TorrentSnapshot(TORRENT, known, "paused"), lambda torrent: ranges, 0.5)
    held = [data for name, data in events if name == "piece:held"]
    assert [data["span"] for data in held] == [[0, 119], [119, 201]]
    assert [tuple(span) for data in held for span in data["ranges"]] == ranges
    came = {peer: 5 for peer in range(90)}
    rows = [
        d for n, d in changes.changes(snapshot(bytes_in=came, down=450), lambda torrent: [], 1.0) if "in" in d
    ]
    assert [len(data["in"]) for data in rows] == [40, 40, 10]
    assert {(data["down"], data["span_ms"]) for data in rows} == {(450, 500.0)}


TOTALS = st.dictionaries(st.sampled_from([1, 2, "h:1"]), st.integers(0, 100))


@given(st.lists(st.tuples(TOTALS, TOTALS)))
def test_the_bytes_of_all_events_are_the_bytes_that_moved(steps: list[tuple[Any, Any]]) -> None:
    scene = ReportScene()
    bytes_in: dict[Any, int] = {}
    bytes_out: dict[Any, int] = {}
    sums: tuple[dict[Any, int], dict[Any, int]] = {}, {}
    for came, went in [*steps, ({}, {})]:
        for totals, more in ((bytes_in, came), (bytes_out, went)):
            for peer, amount in more.items():
                totals[peer] = totals.get(peer, 0) + amount
        down, up = sum(bytes_in.values()), sum(bytes_out.values())
        events = scene.look(bytes_in=dict(bytes_in), bytes_out=dict(bytes_out), down=down, up=up)
        for _, data in events:
            assert (data["down"], data["up"]) == (down, up)
            for total, direction in zip(sums, ("in", "out"), strict=True):
                for peer, amount in data[direction]:
                    total[peer] = total.get(peer, 0) + amount
    assert sums == tuple({p: a for p, a in totals.items() if a} for totals in (bytes_in, bytes_out))
    assert scene.look(bytes_in=bytes_in, bytes_out=bytes_out, down=sum(bytes_in.values())) is not None


def test_when_the_movement_ends_one_event_says_so() -> None:
    scene = ReportScene()
    scene.look(bytes_in={1: 5}, down=5)
    ((name, data),) = scene.look(bytes_in={1: 5}, down=5)
    assert (name, data["in"], data["span_ms"]) == ("link:bytes", [], 500.0)
    assert scene.look(bytes_in={1: 5}, down=5) == []


def test_after_a_gap_everything_is_stated_again_but_no_byte_is() -> None:
    scene = ReportScene()
    state: dict[str, Any] = {
        "asked": {1: (2,)},
        "peers": {2: PeerUse("udp", "active")},
        "slots": SlotsView(1, (3,), ()),
    }
    scene.look(bytes_in={2: 5}, down=5, **state)
    scene.held = [(0, 1)]
    scene.look(bytes_in={2: 5}, down=5, **state)
    scene.changes.forget()
    names = [name for name, _ in scene.look(bytes_in={2: 5}, down=5, **state)]
    assert names == [
        *("torrent:known", "piece:held", "torrent:state", "piece:requested", "peer:state"),
        *("slot:granted", "slot:queue"),
    ]


def test_a_torrent_that_was_stopped_is_stated_again_as_the_log_may_have_forgotten_it() -> None:
    scene = ReportScene()
    scene.held = [(0, 4)]
    stated = ["torrent:known", "piece:held", "torrent:state"]
    scene.look(state="stopped")
    assert [name for name, _ in scene.look(state="seeding")] == stated
    scene.look(state="stopped")
    assert scene.changes.on_state("searching", "") is False  # before what it is about
    assert [name for name, _ in scene.look(state="stopped")] == stated[:2]  # an older snapshot
    assert scene.look(state="searching") == [("torrent:state", {"state": "searching", "reason": ""})]


PIECES = st.dictionaries(st.integers(0, 9), st.sampled_from([(1,), (1, 2)]), max_size=4)
STEP = st.tuples(
    PIECES, st.frozensets(st.integers(0, 9), max_size=3), st.lists(st.integers(0, 9), max_size=3)
)


@given(st.lists(STEP, max_size=8), st.integers(0, 1 << 20))
def test_the_log_has_the_same_pieces_as_the_node_also_over_the_budget(steps: list[Any], room: int) -> None:
    """Applied to the log's state, all events are valid, and the letters are those of the last snapshot."""
    changes, verified, waiting = TorrentChanges(0.0), set[int](), list[WaitingEvent]()
    for number, (asked, received, results) in enumerate([*steps, ({}, frozenset(), [])]):
        changes.begin()
        now_is = snapshot(
            asked={p: peers for p, peers in asked.items() if p not in verified},
            received=received - verified,
            bytes_in={2: number * 10},
            down=number * 10,
        )
        for piece in results:  # verified while the snapshot was being taken
            if piece not in verified and changes.is_known:
                verified.add(piece)
                changes.on_piece(piece)
                data = {"torrent": TORRENT, "piece": piece, "peers": [1]}
                waiting.append(WaitingEvent(number, "piece:verified", data))
        held = ranges_of(sorted(verified))
        waiting += [
            WaitingEvent(number, *change)
            for change in changes.changes(now_is, lambda torrent, held=held: held, number)
        ]
    for events in (waiting, list(lighten(waiting, room))):
        state = SwarmState()
        for seq, each in enumerate(events, 1):
            assert state.apply(check_event(SwarmEvent(each.time, 3, seq, each.name, each.data))), each
        row = state.as_json()["nodes"]["3"]["torrents"][TORRENT]
        assert row["pieces"] == "".join("v" if piece in verified else "." for piece in range(10))
        link = state.as_json()["links"].get("2>3", {}).get(TORRENT, {"received": 0})
        assert (row["down"], link["received"]) == (len(steps) * 10, len(steps) * 10)


def ranges_of(pieces: list[int]) -> list[tuple[int, int]]:
    return [(piece, piece + 1) for piece in pieces]
