"""The entries of a swarm's state, and their limits: which old ones give way to new ones. Pure.

The log of a tracker may go on for months, and its state is bounded. So an entry that no present node needs
gives way to a new one; if all are in use, the new one is not made:

    torrents    the smallest that each present node lacks or has stopped, with its rows and links
    nodes       the smallest that left, or was removed for its silence, with its links
    links       all without a present node at either end
    letters     those of the nodes that are gone, the smallest node first, until there is room

The smallest goes, not the oldest: a state that was read from a keyframe has lost the order in which its
entries came, and must forget the same ones. ``tracker/web/static/state_room.js`` has the same rules.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from common.swarm_entries import new_fetching, new_node, new_row, new_serving, new_totals
from common.swarm_shape import MAX_CELLS, MAX_LINKS, MAX_NODES, MAX_TORRENTS

Json = dict[str, Any]


class SwarmRoom:
    """Torrents, nodes and links within the limits of ``common.swarm_shape``."""

    def __init__(self) -> None:
        self.torrents: dict[str, Json] = {}
        self.nodes: dict[int, Json] = {}
        self.links: dict[str, dict[str, Json]] = {}
        self._cells = 0  # letters of all rows
        self._has_no_spare_links = False  # as the last search found, and nothing changed it since

    # ---- new entries

    def _make_torrent(self, torrent: str, known: Json) -> None:
        """Add the torrent if there is room."""
        if len(self.torrents) >= MAX_TORRENTS:
            spare = self._spare_torrent()
            if spare is None:
                return
            self._forget_torrent(spare)
        self.torrents[torrent] = known

    def _make_nodes(self, named: Collection[int], time: float) -> bool:
        """Have an entry for each node in ``named``; False if there is no room."""
        new = [node_id for node_id in named if node_id not in self.nodes]
        while new and len(self.nodes) + len(new) > MAX_NODES:
            gone = (each for each, node in self.nodes.items() if _is_gone(node) and each not in named)
            spare = min(gone, default=None)
            if spare is None:
                return False
            self._forget_node(spare)
        self.nodes.update((node_id, new_node(time)) for node_id in new)
        return True

    def _row(self, node_id: int, torrent: str) -> Json:
        rows: dict[str, Json] = self.nodes[node_id]["torrents"]
        row = rows.get(torrent)
        if row is None:
            row = rows[torrent] = new_row()
            self._extend(row, self.torrents[torrent]["pieces"] or 0)
        return row

    def _extend(self, row: Json, pieces: int) -> None:
        """Give the row a letter a piece if there is room."""
        if self._cells + pieces > MAX_CELLS:
            self._forget_letters(pieces)
        if self._cells + pieces <= MAX_CELLS:
            row["pieces"] = bytearray(b"." * pieces)
            self._cells += pieces

    def _link(self, giver: int | str, taker: int | str, torrent: str) -> Json:
        """The link from ``giver`` to ``taker``. If there is no room, a new one that is forgotten."""
        key = f"{giver}>{taker}"
        torrents = self.links.get(key)
        if torrents is None:
            torrents = {}
            if len(self.links) >= MAX_LINKS and not self._has_no_spare_links:
                self._forget_links()
            if len(self.links) < MAX_LINKS:
                self.links[key] = torrents
                self._has_no_spare_links = False
        link = torrents.get(torrent)
        if link is None:
            link = torrents[torrent] = {**new_fetching(), **new_serving(), **new_totals()}
        return link

    # ---- old entries

    def _spare_torrent(self) -> str | None:
        used = {
            torrent
            for node in self.nodes.values()
            if not _is_gone(node)
            for torrent, row in node["torrents"].items()
            if row["state"] != "stopped"
        }
        return min(self.torrents.keys() - used, default=None)

    def _forget_torrent(self, torrent: str) -> None:
        del self.torrents[torrent]
        for node in self.nodes.values():
            if (row := node["torrents"].pop(torrent, None)) is not None:
                self._cells -= len(row["pieces"])
        for key, torrents in list(self.links.items()):
            if torrents.pop(torrent, None) is not None and not torrents:
                del self.links[key]

    def _forget_node(self, node_id: int) -> None:
        for row in self.nodes.pop(node_id)["torrents"].values():
            self._cells -= len(row["pieces"])
        for key in [key for key in self.links if str(node_id) in key.split(">")]:
            del self.links[key]

    def _forget_links(self) -> None:
        present = {str(node_id) for node_id, node in self.nodes.items() if not _is_gone(node)}
        for key in [key for key in self.links if present.isdisjoint(key.split(">"))]:
            del self.links[key]
        self._has_no_spare_links = True

    def _forget_letters(self, pieces: int) -> None:
        """Make room for ``pieces`` letters, as far as nodes are gone."""
        for node_id in sorted(node_id for node_id, node in self.nodes.items() if _is_gone(node)):
            for _, row in sorted(self.nodes[node_id]["torrents"].items()):
                if self._cells + pieces <= MAX_CELLS:
                    return
                self._cells -= len(row["pieces"])
                row.update(pieces=bytearray(), asked={})


def _is_gone(node: Json) -> bool:
    return bool(node["state"] == "left" or node["removed"])
