"""What this node serves: the listening thread, the torrents on offer, and who got how much.

A file is served by info hash only, never by a name from the wire, and only while it is what was hashed: the
first sign of a change, and nothing of it is offered any more. Of an unfinished download the verified pieces
are served.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from common.bitfield import Bitfield
from common.errors import FileFault
from common.messages import OwnedFile
from common.metainfo import Metainfo
from common.text import sanitize
from node import events
from node.chunk_udp.owner import DEFAULTS, Owner
from node.content.part_file import PartFile
from node.content.shared_file import SharedFile, identity_of
from node.offers import OpenFiles, SharedPart, SharedTorrent
from node.settings import TransferSettings


class Sharing:
    """Serves torrents over ``sock`` (bound), and closes it at the end."""

    def __init__(
        self, sock: socket.socket, emit: events.EventSink, settings: TransferSettings = DEFAULTS
    ) -> None:
        self._sock = sock
        self._emit = emit
        self._lock = threading.Lock()  # guards _shared against being walked while it grows
        self._shared: dict[bytes, SharedTorrent | SharedPart] = {}
        self._open_files = OpenFiles()
        self._owner = Owner(sock, self._shared, secrets.token_bytes(32), self._faulty, settings)
        self._thread = threading.Thread(target=self._owner.listen, name="listener", daemon=True)

    def start(self) -> None:
        """Answer others from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._owner.stop()
        if self._thread.is_alive():
            self._thread.join()
        self._sock.close()
        self._open_files.close()

    def share(self, metainfo: Metainfo, file: SharedFile, torrent: Path) -> events.FileStatus:
        """Offer ``file`` (open; hashed since; it is closed here): FileFault if it changed meanwhile.

        It takes the place of the part that it was: who fetches from that goes on and notices nothing.
        """
        try:
            file.check_unchanged()
            shared = SharedTorrent(metainfo, file.path, torrent, file.identity, self._open_files)
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
            if not (isinstance(present, SharedTorrent) and present.offered):
                self._shared[metainfo.info_hash] = shared

    def withdraw_part(self, info_hash: bytes) -> None:
        """Offer the part of a download that ended no more; a finished file stays on offer."""
        with self._lock:
            if isinstance(self._shared.get(info_hash), SharedPart):
                del self._shared[info_hash]

    def serves(self, info_hash: bytes) -> Path | None:
        """Where the finished file of this info hash is served from; None if it is not."""
        shared = self._shared.get(info_hash)
        return shared.path if isinstance(shared, SharedTorrent) and shared.offered else None

    def is_sharing(self) -> bool:
        """Whether anything is on offer."""
        return any(shared.offered for shared in self._all())

    def owned_files(self) -> list[OwnedFile]:
        """What the tracker is told."""
        return [
            owned_file(shared.metainfo, isinstance(shared, SharedTorrent))
            for shared in self._all()
            if shared.offered and (shared.held is None or shared.held.count)
        ]

    def check_files(self) -> None:
        """Look at every file on offer; stop offering what has changed or gone."""
        for shared in self._all():
            if not (isinstance(shared, SharedTorrent) and shared.offered):
                continue
            try:
                if identity_of(os.stat(shared.path)) != shared.identity:
                    self._stop_offering(shared, f"{sanitize(shared.path)} changed while it was shared")
            except OSError as error:
                self._stop_offering(shared, f"{sanitize(shared.path)} is gone: {error.strerror}")

    def files(self) -> list[events.FileStatus]:
        """Rows of -files."""
        return [self._row(shared) for shared in self._all()]

    def peers(self) -> list[events.PeerStatus]:
        """Rows of -peers: to whom how much was sent, the latest last; then who waits, in order."""
        names = {shared.metainfo.info_hash: shared.metainfo.name for shared in self._all()}
        line = self._owner.slots.line()
        waiting = set(line)
        rows = [
            events.PeerStatus(None, addr, names[info_hash], "to", amount, 0.0, "served", "")
            for addr, amounts in self._owner.totals()
            for info_hash, amount in amounts.items()
            if info_hash in names and (addr, info_hash) not in waiting
        ]
        return rows + self._waiting(line, names)

    def _waiting(
        self, line: list[tuple[tuple[str, int], bytes]], names: dict[bytes, str]
    ) -> list[events.PeerStatus]:
        """Rows of those who wait for a slot: their place, and why."""
        count = self._owner.slots.count
        sent = dict(self._owner.totals())
        return [
            events.PeerStatus(
                None,
                addr,
                names[info_hash],
                "to",
                sent.get(addr, {}).get(info_hash, 0),
                0.0,
                "waiting",
                f"place {place} in line: {count} are served at a time (UPLOAD_SLOTS)",
            )
            for place, (addr, info_hash) in enumerate(line, 1)
            if info_hash in names
        ]

    def _all(self) -> list[SharedTorrent | SharedPart]:
        with self._lock:
            return list(self._shared.values())

    def _row(self, shared: SharedTorrent | SharedPart) -> events.FileStatus:
        reason = shared.reason if isinstance(shared, SharedTorrent) else ""
        return events.FileStatus(
            filename=shared.metainfo.name,
            info_hash=shared.metainfo.info_hash_hex,
            size=shared.size,
            complete=isinstance(shared, SharedTorrent),
            path=str(shared.path),
            uploaded=self._owner.sent[shared.metainfo.info_hash],
            state=f"stopped: {reason}" if reason else "sharing",
        )

    def _faulty(self, info_hash: bytes, fault: FileFault) -> None:
        shared = self._shared.get(info_hash)
        if isinstance(shared, SharedTorrent):  # no part: it was replaced meanwhile
            self._stop_offering(shared, str(fault))

    def _stop_offering(self, shared: SharedTorrent, reason: str) -> None:
        with self._lock:
            if shared.reason:
                return
            shared.reason = reason
        self._emit(events.SharingStopped(shared.metainfo.name, shared.metainfo.info_hash_hex, reason))


def owned_file(metainfo: Metainfo, complete: bool = True) -> OwnedFile:
    """What OWN says of a torrent, finished or not."""
    return OwnedFile(metainfo.name, metainfo.info_hash_hex, metainfo.size, complete)
