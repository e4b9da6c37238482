"""From notices of the service to the tracker's own events. Pure.

A node without owners asks once a second. Its NEED is written again only if the answer changed, or after
REPEAT_MS. A file without an info hash has no events: the log names torrents by their hash.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from common.addresses import Addr, join_host_port
from common.swarm_shape import MAX_TORRENTS
from tracker.see.notices import (
    AnnounceNotice,
    ExitNotice,
    NeedNotice,
    Notice,
    OwnNotice,
    RegisterNotice,
    UpdateNotice,
)
from tracker.see.ranks import STANDARD_PEER, reasons

REPEAT_MS = 10_000.0  # between two equal answers to the same NEED in the log
MAX_REMEMBERED = 2000  # pairs of a node and a torrent
TORRENT_DIGITS = 12  # hexadecimal digits of an info hash that name a torrent in the log

EventData = tuple[str, dict[str, Any]]  # name and data of an event


class TrackerEvents:
    """Makes the events. Not thread-safe."""

    def __init__(self, ranking: str = "uploads") -> None:
        """``ranking``: a name in ``tracker.ranking.STRATEGIES``."""
        self._ranking = ranking
        self._torrents: OrderedDict[str, tuple[str, int | None]] = OrderedDict()
        # Name and size by info hash, of the torrents whose torrent:known was written; the latest are last.
        self.is_full = False
        """The log had more torrents than its state has room for: it may have forgotten any of them."""
        self._needs: OrderedDict[tuple[int, str], tuple[Any, float]] = OrderedDict()  # answer; when written

    def events(self, notice: Notice, now: float) -> Iterator[EventData]:
        """The events of ``notice`` at ``now`` (ms)."""
        if isinstance(notice, NeedNotice):
            yield from self._need(notice, now)
        elif isinstance(notice, OwnNotice):
            yield from self._own(notice)
        elif isinstance(notice, RegisterNotice):
            yield "tracker:register", {"node": notice.node_id, "addr": address(notice.addr)}
        elif isinstance(notice, UpdateNotice):
            yield "tracker:update", {"node": notice.node_id, "uploads": notice.uploads, "by": notice.by}
        elif isinstance(notice, ExitNotice):
            yield "tracker:exit", {"node": notice.node_id}
        elif isinstance(notice, AnnounceNotice):
            yield from self._announce(notice)
        else:
            yield "node:silent", {**silence(notice.node_id, notice.silent_ms), "removed": True}

    def _own(self, notice: OwnNotice) -> Iterator[EventData]:
        for file in notice.files:
            if file.info_hash is not None:
                yield from self._known(file.info_hash, file.filename, file.size)
                torrent = file.info_hash[:TORRENT_DIGITS]
                yield "tracker:own", {"node": notice.node_id, "torrent": torrent, "complete": file.complete}

    def _need(self, notice: NeedNotice, now: float) -> Iterator[EventData]:
        owners = notice.owners
        info_hash = notice.info_hash or next((owner.info_hash for owner in owners if owner.info_hash), None)
        if info_hash is None or self._is_repeated(notice, info_hash, now):
            return
        if not owners and info_hash not in self._torrents:
            return
        size = next((owner.size for owner in owners if owner.size is not None), None)
        yield from self._known(info_hash, notice.filename or "", size)
        answer: list[dict[str, Any]] = [
            {"peer": owner.node_id, "uploads": owner.uploads, "reason": reason}
            for owner, reason in zip(owners, reasons(owners, self._ranking), strict=True)
        ]
        answer += [
            {"peer": address(peer.addr), "uploads": 0, "reason": STANDARD_PEER} for peer in notice.peers
        ]
        yield "tracker:need", {
            "node": notice.node_id, "torrent": info_hash[:TORRENT_DIGITS], "answer": answer,
        }  # fmt: skip

    def _announce(self, notice: AnnounceNotice) -> Iterator[EventData]:
        """Of a torrent that nodes share; of others the log has no name."""
        if notice.info_hash in self._torrents:
            yield from self._known(notice.info_hash, "", None)
            yield "tracker:announce", {
                "torrent": notice.info_hash[:TORRENT_DIGITS], "peer": address(notice.addr),
                "event": notice.event, "complete": notice.complete, "others": notice.others,
            }  # fmt: skip

    def _is_repeated(self, notice: NeedNotice, info_hash: str, now: float) -> bool:
        """True if this answer was written lately. Partial owners and peers stand in it at random."""
        key = notice.node_id, info_hash
        answer = (
            [(owner.node_id, owner.uploads) for owner in notice.owners if owner.complete],
            sorted((owner.node_id, owner.uploads) for owner in notice.owners if not owner.complete),
            sorted(peer.addr for peer in notice.peers),
        )
        before, written = self._needs.get(key, (None, 0.0))
        if before == answer and now - written < REPEAT_MS:
            return True
        self._needs[key] = answer, now
        self._needs.move_to_end(key)
        if len(self._needs) > MAX_REMEMBERED:
            self._needs.popitem(last=False)
        return False

    def _known(self, info_hash: str, name: str, size: int | None) -> Iterator[EventData]:
        """torrent:known if the log may lack the torrent, or its size."""
        before = self._torrents.pop(info_hash, None)
        is_news = before is None or (before[1] is None and size is not None)
        if before is not None:
            name, size = before[0] or name, size if before[1] is None else before[1]
        self._torrents[info_hash] = name, size
        if len(self._torrents) > MAX_TORRENTS:
            self._torrents.popitem(last=False)
        if is_news or self.is_full:
            yield "torrent:known", {
                "torrent": info_hash[:TORRENT_DIGITS], "info_hash": info_hash, "name": name,
                "size": size, "piece_length": None, "pieces": None,
            }  # fmt: skip


def silence(node_id: int, silent_ms: float) -> dict[str, Any]:
    """The data of node:back, and of node:silent without ``removed``."""
    return {"node": node_id, "silent_ms": round(silent_ms, 3)}


def address(addr: Addr) -> str:
    """An address as the log writes it."""
    return join_host_port(*addr)
