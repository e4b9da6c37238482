"""What this node serves: the listening thread, the torrents on offer, and who got how much.

A file is served by info hash only, never by a name from the wire, and only while it is what was hashed: the
first sign of a change, and nothing of it is offered any more. Of an unfinished download the verified pieces
are served.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from common.bitfield import Bitfield
from common.errors import CommandError, FileFault, LocalFault
from common.messages import OwnedFile
from common.metainfo import Metainfo
from common.text import sanitize
from node import events
from node.content.part_file import PartFile
from node.content.shared_file import SharedFile, identity_of
from node.discovery.tracker_url import classroom_urls
from node.offers import OpenFiles, SharedPart, SharedTorrent
from node.transport import Transport


class Sharing:
    """Serves torrents over ``transport``, and stops it at the end. Its TransportObserver."""

    def __init__(self, transport: Transport, emit: events.EventSink) -> None:
        self._transport = transport
        self._emit = emit
        self._lock = threading.Lock()  # guards _shared against being walked while it grows
        self._shared: dict[bytes, SharedTorrent | SharedPart] = {}
        self._open_files = OpenFiles()

    def start(self) -> None:
        """Answer others from now on."""
        self._transport.start(self._shared, self)

    def stop(self) -> None:
        """Answer no more."""
        self._transport.stop()
        self._open_files.close()

    # ---- the transport's TransportObserver

    def on_address_lost(self, host: str) -> None:
        """The address that we announce is none of this machine's."""

    def on_address_restored(self, host: str) -> None:
        """It is back."""

    def on_failed(self, fault: LocalFault) -> None:
        """Nothing is served any more."""
        for shared in self._all():
            if isinstance(shared, SharedTorrent):
                self._stop_offering(shared, fault)

    # ---- what is shared

    def share(self, metainfo: Metainfo, file: SharedFile, torrent: Path) -> events.FileStatus:
        """Offer ``file`` (open; hashed since; it is closed here): FileFault if it changed meanwhile.

        It takes the place of the part that it was: who fetches from that goes on and notices nothing.
        """
        try:
            file.check_unchanged()
            shared = SharedTorrent(
                metainfo, file.path, torrent, file.identity, self._open_files, self._stop_offering
            )
        finally:
            file.close()
        with self._lock:
            self._shared[metainfo.info_hash] = shared
        self._emit(events.Sharing(metainfo.name, metainfo.info_hash_hex, metainfo.size, str(torrent)))
        return self._row(shared)

    def share_part(self, metainfo: Metainfo, part: PartFile, held: Callable[[], Bitfield]) -> None:
        """Offer the verified pieces of an unfinished download, until ``share`` or ``withdraw_part``.

        ``held`` returns those pieces, a Bitfield that nobody changes any more; it is called from the
        listening thread, and from others. Whatever is not in it is not served. No event is emitted. A
        finished file is not replaced.
        """
        shared = SharedPart(metainfo, part, held)
        with self._lock:
            present = self._shared.get(metainfo.info_hash)
            if not (isinstance(present, SharedTorrent) and present.is_served):
                self._shared[metainfo.info_hash] = shared

    def withdraw_part(self, info_hash: bytes) -> None:
        """Offer the part of a download that ended no more; a finished file stays on offer."""
        with self._lock:
            if isinstance(self._shared.get(info_hash), SharedPart):
                del self._shared[info_hash]

    def withdraw(self, names: Collection[str]) -> bool:
        """Stop offering the finished files of these names; False if there is none."""
        found = [s for s in self._all() if isinstance(s, SharedTorrent) and s.is_served]
        stopped = [shared for shared in found if shared.info.name in names]
        for shared in stopped:
            self._stop_offering(shared, CommandError("you stopped it"))
        return bool(stopped)

    def serves(self, info_hash: bytes) -> Path | None:
        """Where the finished file of this info hash is served from; None if it is not."""
        shared = self._shared.get(info_hash)
        return shared.path if isinstance(shared, SharedTorrent) and shared.is_served else None

    def is_sharing(self) -> bool:
        """Whether anything is on offer."""
        return any(shared.is_served for shared in self._all())

    def owned_files(self, urls: Sequence[str]) -> list[OwnedFile]:
        """The files that the tracker at ``urls`` should know; private ones only if they name it (BEP 27)."""
        return [
            owned_file(shared.info, isinstance(shared, SharedTorrent))
            for shared in self._all()
            if shared.is_served
            and (isinstance(shared, SharedTorrent) or shared.have.count)
            and not (shared.info.private and set(urls).isdisjoint(classroom_urls(shared.info.trackers)))
        ]

    def check_files(self) -> None:
        """Look at every file on offer; stop offering what has changed or gone."""
        for shared in self._all():
            if not (isinstance(shared, SharedTorrent) and shared.is_served):
                continue
            try:
                if identity_of(os.stat(shared.path)) != shared.identity:
                    self._stop_offering(
                        shared, FileFault(f"{sanitize(shared.path)} changed while it was shared")
                    )
            except OSError as error:
                self._stop_offering(shared, FileFault(f"{sanitize(shared.path)} is gone: {error.strerror}"))

    def files(self) -> list[events.FileStatus]:
        """Rows of -files."""
        return [self._row(shared) for shared in self._all()]

    def peers(self) -> list[events.PeerStatus]:
        """Rows of -peers: to whom how much was sent, the latest last; then who waits, in order."""
        names = {shared.info.info_hash: shared.info.name for shared in self._all()}
        return [
            events.PeerStatus(
                row.peer.node_id,
                row.peer.addr,
                names[row.info_hash],
                "to",
                row.uploaded,
                row.rate,
                "served" if row.queue_position is None else "waiting",
                row.reason,
            )
            for row in self._transport.uploads()
            if row.info_hash in names
        ]

    def _all(self) -> list[SharedTorrent | SharedPart]:
        with self._lock:
            return list(self._shared.values())

    def _row(self, shared: SharedTorrent | SharedPart) -> events.FileStatus:
        reason = shared.reason if isinstance(shared, SharedTorrent) else ""
        return events.FileStatus(
            filename=shared.info.name,
            info_hash=shared.info.info_hash_hex,
            size=shared.info.size,
            complete=isinstance(shared, SharedTorrent),
            path=str(shared.path),
            uploaded=self._transport.uploaded(shared.info.info_hash),
            state=f"stopped: {reason}" if reason else "sharing",
        )

    def _stop_offering(self, shared: SharedTorrent, fault: LocalFault) -> None:
        reason = str(fault)
        with self._lock:
            if shared.reason:
                return
            shared.reason = reason
        self._emit(events.SharingStopped(shared.info.name, shared.info.info_hash_hex, reason))


def owned_file(metainfo: Metainfo, complete: bool = True) -> OwnedFile:
    """What OWN says of a torrent, finished or not."""
    return OwnedFile(metainfo.name, metainfo.info_hash_hex, metainfo.size, complete)
