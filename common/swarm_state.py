"""The state of a swarm after any part of its log. Pure: ``apply`` takes one event after the other.

The page computes the same in ``tracker/web/static/state.js``; a test compares the two. So the rules are
simple: whole numbers are added, everything else is assigned. An event is ignored, wholly, if its name is
unknown, its data is malformed, or it is about a torrent or piece that is not known. The limits of
``common.swarm_shape`` bound the memory that a log can take; ``common.swarm_room`` forgets old entries.

Rates are not part of the state. A link's rate is ``in.bytes / in.span_ms`` if ``in.time`` is the
``moved.time`` of the receiver's row: else the link was not named the last time, and moved nothing. It is 0
when that time is long past.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from common.errors import EventError
from common.events import SwarmEvent, check_writer, checked_data
from common.shapes import MAX_WHOLE, ShapeError, cleaned
from common.swarm_entries import new_fetching, new_serving
from common.swarm_room import SwarmRoom
from common.swarm_shape import MAX_ASKED, MAX_CELLS, MAX_PIECES, SWARM
from common.vocabulary import KEYFRAME

MISSING, REQUESTED, RECEIVED, VERIFIED, BAD = b".rcvx"  # letters of a piece
Json = dict[str, Any]


class SwarmState(SwarmRoom):
    """All nodes, torrents and links at one time of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.time: float = 0  # ms, the highest so far
        self.tracker: Json | None = None
        self.gap: Json | None = None

    # ---- as JSON

    def as_json(self) -> Json:
        """The state as a new dictionary for JSON, with sorted keys; shape: ``common.swarm_shape.SWARM``."""
        found = {
            "time": self.time,
            "tracker": self.tracker,
            "gap": self.gap,
            "torrents": self.torrents,
            "nodes": {str(node_id): node for node_id, node in self.nodes.items()},
            "links": self.links,
        }
        copied: Json = _sorted(found)
        return copied

    @classmethod
    def from_json(cls, value: object) -> SwarmState:
        """The state in ``value``, which is copied; EventError if ``as_json`` does not write such a value."""
        try:
            found: Json = cleaned(SWARM, value)
        except ShapeError as error:
            raise EventError(f"no state of a swarm: {error}") from None
        state = cls()
        state.time, state.tracker, state.gap = found["time"], found["tracker"], found["gap"]
        state.torrents, state.links = found["torrents"], found["links"]
        state.nodes = {int(node_id): node for node_id, node in found["nodes"].items()}
        for node in state.nodes.values():
            for torrent, row in node["torrents"].items():
                row["pieces"] = bytearray(row["pieces"], "ascii")
                row["asked"] = {int(piece): peers for piece, peers in row["asked"].items()}
                known = state.torrents.get(torrent)
                if known is None or len(row["pieces"]) not in (0, known["pieces"]):
                    raise EventError(f"no state of a swarm: a row of {torrent} has another number of pieces")
                state._cells += len(row["pieces"])
        if state._cells > MAX_CELLS or any(node_id > 2**31 - 1 for node_id in state.nodes):
            raise EventError("no state of a swarm: too many pieces, or a node_id that is too large")
        return state

    # ---- events

    def apply(self, event: SwarmEvent) -> bool:
        """Take one event, as ``decode_event`` or ``check_event`` returned it. False: it is ignored."""
        try:
            check_writer(event)
            if event.name == KEYFRAME:
                vars(self).update(vars(SwarmState.from_json(event.data)))
            elif not self._take(event, checked_data(event.name, event.data)):
                return False
        except EventError:
            return False
        self.time = max(self.time, event.time)
        return True

    def _take(self, event: SwarmEvent, data: Json) -> bool:
        named = [each for each in (event.node, data.get("node")) if each is not None]
        if not (self._knows(event.name, data) and self._make_nodes(named, event.time)):
            return False
        _HANDLERS[event.name](self, event, data)
        if event.node is not None:
            node = self.nodes[event.node]
            node["reports"] = True
            if node["state"] == "silent":
                _set_state(node, "here", event.time)
        return True

    def _knows(self, name: str, data: Json) -> bool:
        """True if the torrent and the piece exist."""
        if name == "torrent:known" or "torrent" not in data:
            return True
        torrent = self.torrents.get(data["torrent"])
        return torrent is not None and ("piece" not in data or data["piece"] < (torrent["pieces"] or 0))

    # ---- nodes and the tracker

    def _on_started(self, event: SwarmEvent, data: Json) -> None:
        node_id = _of(event)
        node = self.nodes[node_id]
        self._forget_run(node_id)
        for row in node["torrents"].values():
            self._cells -= len(row["pieces"])
        node.update(data, faults="", clock=None, torrents={})
        _set_state(node, "here", event.time)

    def _forget_run(self, node_id: int) -> None:
        """The node's own views of its links are over. Totals stay."""
        for key, torrents in self.links.items():
            giver, taker = key.split(">")
            for link in torrents.values():
                if taker == str(node_id):
                    link.update(new_fetching())
                if giver == str(node_id):
                    link.update(new_serving())

    def _on_left(self, event: SwarmEvent, data: Json) -> None:
        node_id = data["node"] if "node" in data else _of(event)
        self._forget_run(node_id)
        _set_state(self.nodes[node_id], "left", event.time)
        self._has_no_spare_links = False

    def _on_silent(self, event: SwarmEvent, data: Json) -> None:
        node = self.nodes[data["node"]]
        _set_state(node, "silent", event.time)
        node.update(silent_ms=data["silent_ms"], removed=data["removed"])
        self._has_no_spare_links = False

    def _on_back(self, event: SwarmEvent, data: Json) -> None:
        node = self.nodes[data["node"]]
        if node["state"] == "silent" and not node["removed"]:
            _set_state(node, "here", event.time)

    def _on_faults(self, event: SwarmEvent, data: Json) -> None:
        self.nodes[_of(event)]["faults"] = data["spec"]

    def _on_tracker(self, event: SwarmEvent, data: Json) -> None:
        self.tracker = {**data, "time": event.time}

    def _on_register(self, event: SwarmEvent, data: Json) -> None:
        node = self.nodes[data["node"]]
        node["addr"] = data["addr"]
        _set_state(node, "here", event.time)

    def _on_own(self, event: SwarmEvent, data: Json) -> None:
        self._row(data["node"], data["torrent"])["complete"] = data["complete"]

    def _on_need(self, event: SwarmEvent, data: Json) -> None:
        self._row(data["node"], data["torrent"])["answer"] = data["answer"]

    def _on_announce(self, event: SwarmEvent, data: Json) -> None:
        """Nothing changes: nodes report the peers that they know."""

    def _on_update(self, event: SwarmEvent, data: Json) -> None:
        self.nodes[data["node"]]["uploads"] = data["uploads"]

    def _on_clock(self, event: SwarmEvent, data: Json) -> None:
        """Also the end of a silence: older logs have no node:back."""
        self.nodes[data["node"]]["clock"] = {"offset_ms": data["offset_ms"], "bound_ms": data["bound_ms"]}
        self._on_back(event, data)

    def _on_gap(self, event: SwarmEvent, data: Json) -> None:
        gap = {**data, "time": event.time}
        if event.node is None:
            self.gap = gap
        else:
            self.nodes[event.node]["gap"] = gap

    def _on_dumped(self, event: SwarmEvent, data: Json) -> None:
        kept = {name: data[name] for name in ("reason", "dump", "total")}
        self.nodes[_of(event)]["dumped"] = {**kept, "time": event.time}

    # ---- torrents and pieces

    def _on_known(self, event: SwarmEvent, data: Json) -> None:
        """The first event names the torrent; later ones fill in what was not known."""
        torrent = data.pop("torrent")
        if data["pieces"] is not None and data["pieces"] > MAX_PIECES:
            data["pieces"] = None
        known = self.torrents.get(torrent)
        if known is None:
            self._make_torrent(torrent, data)
            return
        has_pieces = known["pieces"] is not None
        for name in ("size", "piece_length", "pieces"):
            if known[name] is None:
                known[name] = data[name]
        if not has_pieces and known["pieces"] is not None:
            for node_id in sorted(self.nodes):
                if (row := self.nodes[node_id]["torrents"].get(torrent)) is not None:
                    self._extend(row, known["pieces"])

    def _on_torrent_state(self, event: SwarmEvent, data: Json) -> None:
        row = self._row(_of(event), data["torrent"])
        row.update(state=data["state"], reason=data["reason"])

    def _on_held(self, event: SwarmEvent, data: Json) -> None:
        row = self._row(_of(event), data["torrent"])
        letters: bytearray = row["pieces"]
        first, end = data.get("span", (0, len(letters)))
        end = min(end, len(letters))
        letters[first:end] = b"." * max(0, end - first)
        row["asked"] = {piece: peers for piece, peers in row["asked"].items() if not first <= piece < end}
        for start, stop in data["ranges"]:
            start, stop = max(start, first), min(stop, end)
            if start < stop:
                letters[start:stop] = b"v" * (stop - start)

    def _on_piece(self, event: SwarmEvent, data: Json) -> None:
        row, piece = self._row(_of(event), data["torrent"]), data["piece"]
        letters: bytearray = row["pieces"]
        if piece >= len(letters):
            return  # no room for the letters of this row
        before, after = letters[piece], _LETTER_AFTER[event.name]
        asked: dict[int, list[Any]] = row["asked"]
        if after == REQUESTED and before != VERIFIED:
            letters[piece] = after
            if piece in asked or len(asked) < MAX_ASKED:
                asked[piece] = data["peers"]
            return
        if _may_follow(before, after):
            letters[piece] = after
        asked.pop(piece, None)

    # ---- links

    def _on_peer(self, event: SwarmEvent, data: Json) -> None:
        link = self._link(data.pop("peer"), _of(event), data.pop("torrent"))
        link.update(data)

    def _on_slot(self, event: SwarmEvent, data: Json) -> None:
        link = self._link(_of(event), data["peer"], data["torrent"])
        link.update(slot=event.name.partition(":")[2], slot_reason=data.get("reason", ""))

    def _on_queue(self, event: SwarmEvent, data: Json) -> None:
        self._row(_of(event), data.pop("torrent")).update(data)

    def _on_bytes(self, event: SwarmEvent, data: Json) -> None:
        node_id, torrent, span = _of(event), data["torrent"], data["span_ms"]
        row = self._row(node_id, torrent)
        row.update(down=data["down"], up=data["up"], moved={"time": event.time, "span_ms": span})
        for peer, amount in data["in"]:
            link = self._link(peer, node_id, torrent)
            link["received"] = min(link["received"] + amount, MAX_WHOLE)
            link["in"] = {"time": event.time, "bytes": amount, "span_ms": span}
        for peer, amount in data["out"]:
            link = self._link(node_id, peer, torrent)
            link["sent"] = min(link["sent"] + amount, MAX_WHOLE)
            link["out"] = {"time": event.time, "bytes": amount, "span_ms": span}

    def _on_sample(self, event: SwarmEvent, data: Json) -> None:
        link = self._link(data.pop("peer"), _of(event), data.pop("torrent"))
        link.update(data)

    def _on_reduced(self, event: SwarmEvent, data: Json) -> None:
        link = self._link(data["peer"], _of(event), data["torrent"])
        link.update(window=data["window"], reduced={"time": event.time, "reason": data["reason"]})

    def _on_datagram(self, event: SwarmEvent, data: Json) -> None:
        link, count = self._link(data["peer"], _of(event), data["torrent"]), event.name.partition(":")[2]
        link[count] = min(link[count] + 1 + data["others"], MAX_WHOLE)


_LETTER_AFTER = {
    "piece:requested": REQUESTED,
    "piece:received": RECEIVED,
    "piece:verified": VERIFIED,
    "piece:failed": BAD,
    "piece:missing": MISSING,
}
_HANDLERS: Mapping[str, Callable[[SwarmState, SwarmEvent, Json], None]] = {
    "node:started": SwarmState._on_started,
    "node:left": SwarmState._on_left,
    "node:silent": SwarmState._on_silent,
    "node:back": SwarmState._on_back,
    "node:faults": SwarmState._on_faults,
    "tracker:started": SwarmState._on_tracker,
    "tracker:register": SwarmState._on_register,
    "tracker:own": SwarmState._on_own,
    "tracker:need": SwarmState._on_need,
    "tracker:update": SwarmState._on_update,
    "tracker:exit": SwarmState._on_left,
    "tracker:announce": SwarmState._on_announce,
    "torrent:known": SwarmState._on_known,
    "torrent:state": SwarmState._on_torrent_state,
    "piece:held": SwarmState._on_held,
    **dict.fromkeys(_LETTER_AFTER, SwarmState._on_piece),
    "peer:state": SwarmState._on_peer,
    "slot:granted": SwarmState._on_slot,
    "slot:queue": SwarmState._on_queue,
    "slot:withdrawn": SwarmState._on_slot,
    "link:bytes": SwarmState._on_bytes,
    "congestion:sample": SwarmState._on_sample,
    "congestion:reduced": SwarmState._on_reduced,
    "datagram:lost": SwarmState._on_datagram,
    "datagram:repaired": SwarmState._on_datagram,
    "messages:dumped": SwarmState._on_dumped,
    "gap": SwarmState._on_gap,
    "clock": SwarmState._on_clock,
}


def _may_follow(before: int, after: int) -> bool:
    """True if a piece's letter changes so. A late event of a verified piece changes nothing."""
    if after == MISSING:
        return before in (REQUESTED, RECEIVED)
    return after in (VERIFIED, BAD) or before != VERIFIED


def _of(event: SwarmEvent) -> int:
    assert event.node is not None, "check_writer lets no such event pass"
    return event.node


def _set_state(node: Json, state: str, time: float) -> None:
    if node["state"] != state:
        node.update(state=state, since=time)
    if state != "silent":
        node.update(silent_ms=0, removed=False)


def _sorted(value: Any) -> Any:
    """A copy for JSON: keys as texts, sorted."""
    if isinstance(value, dict):
        return {key: _sorted(part) for key, part in sorted((str(name), each) for name, each in value.items())}
    if isinstance(value, list):
        return [_sorted(each) for each in value]
    return value.decode("ascii") if isinstance(value, bytearray) else value
