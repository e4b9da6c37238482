"""What this node serves: the listening thread, the files it reads from, and who got how much.

A file is served by info hash only, never by a name from the wire, and only while it is what was hashed: the
first sign of a change, and nothing of it is offered any more.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from common.errors import FileFault
from common.logs import clean
from common.messages import OwnedFile
from common.metainfo import Metainfo
from node import events
from node.chunk_udp.owner import Owner
from node.content.storage import SharedFile, identity_of

MAX_OPEN_FILES = 64  # the system allows a process 256 or 1,024; a node may share far more


@dataclass
class SharedTorrent:
    """One torrent on offer. ``reason`` says why it is not, once it is not."""

    metainfo: Metainfo
    path: Path
    torrent: Path
    identity: tuple[int, int, int, int]
    open_files: OpenFiles
    reason: str = ""

    @property
    def size(self) -> int:
        """Bytes of content."""
        return self.metainfo.size

    @property
    def offered(self) -> bool:
        """Whether it is still served."""
        return not self.reason

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer``; FileFault if the file is not what was shared."""
        self.open_files.of(self).read_into(offset, buffer)


class OpenFiles:
    """The shared files that were read last, kept open. For the listening thread only."""

    def __init__(self) -> None:
        self._files: OrderedDict[bytes, SharedFile] = OrderedDict()

    def of(self, shared: SharedTorrent) -> SharedFile:
        """``shared``'s file, opened if need be; FileFault if it is another one by now."""
        file = self._files.get(shared.metainfo.info_hash)
        if file is not None and file.identity == shared.identity:
            self._files.move_to_end(shared.metainfo.info_hash)
            return file
        if file is not None:  # of an earlier sharing: it changed, and was shared anew
            del self._files[shared.metainfo.info_hash]
            file.close()
        file = SharedFile.open(shared.path)
        if file.identity != shared.identity:
            file.close()
            raise FileFault(f"{clean(shared.path)} changed while it was shared")
        self._files[shared.metainfo.info_hash] = file
        if len(self._files) > MAX_OPEN_FILES:
            self._files.popitem(last=False)[1].close()
        return file

    def close(self) -> None:
        """Close them all."""
        for file in self._files.values():
            file.close()
        self._files.clear()


class Sharing:
    """Serves torrents over ``sock`` (bound), and closes it at the end."""

    def __init__(self, sock: socket.socket, emit: events.EventSink) -> None:
        self._sock = sock
        self._emit = emit
        self._lock = threading.Lock()  # guards _shared against being walked while it grows
        self._shared: dict[bytes, SharedTorrent] = {}
        self._open_files = OpenFiles()
        self._owner = Owner(sock, self._shared, secrets.token_bytes(32), self._faulty)
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
        """Offer ``file`` (open; hashed since; it is closed here): FileFault if it changed meanwhile."""
        try:
            file.check_unchanged()
            shared = SharedTorrent(metainfo, file.path, torrent, file.identity, self._open_files)
        finally:
            file.close()
        with self._lock:
            self._shared[metainfo.info_hash] = shared
        self._emit(events.Sharing(metainfo.name, metainfo.info_hash_hex, metainfo.size, str(torrent)))
        return self._row(shared)

    def serves(self, info_hash: bytes) -> Path | None:
        """Where the torrent of this info hash is served from; None if it is not."""
        shared = self._shared.get(info_hash)
        return shared.path if shared is not None and shared.offered else None

    def is_sharing(self) -> bool:
        """Whether anything is on offer."""
        return any(shared.offered for shared in self._all())

    def owned_files(self) -> list[OwnedFile]:
        """What the tracker is told."""
        return [owned_file(shared.metainfo) for shared in self._all() if shared.offered]

    def check_files(self) -> None:
        """Look at every file on offer; stop offering what has changed or gone."""
        for shared in self._all():
            if not shared.offered:
                continue
            try:
                if identity_of(os.stat(shared.path)) != shared.identity:
                    self._stop_offering(shared, f"{clean(shared.path)} changed while it was shared")
            except OSError as error:
                self._stop_offering(shared, f"{clean(shared.path)} is gone: {error.strerror}")

    def files(self) -> list[events.FileStatus]:
        """Rows of -files."""
        return [self._row(shared) for shared in self._all()]

    def peers(self) -> list[events.PeerStatus]:
        """Rows of -peers: to whom how much was sent, the latest last."""
        names = {shared.metainfo.info_hash: shared.metainfo.name for shared in self._all()}
        return [
            events.PeerStatus(None, addr, names[info_hash], "to", amount, 0.0, "served", "")
            for addr, amounts in self._owner.totals()
            for info_hash, amount in amounts.items()
            if info_hash in names
        ]

    def _all(self) -> list[SharedTorrent]:
        with self._lock:
            return list(self._shared.values())

    def _row(self, shared: SharedTorrent) -> events.FileStatus:
        return events.FileStatus(
            filename=shared.metainfo.name,
            info_hash=shared.metainfo.info_hash_hex,
            size=shared.size,
            complete=True,
            path=str(shared.path),
            uploaded=self._owner.sent[shared.metainfo.info_hash],
            state="sharing" if shared.offered else f"stopped: {shared.reason}",
        )

    def _faulty(self, info_hash: bytes, fault: FileFault) -> None:
        shared = self._shared.get(info_hash)
        if shared is not None:
            self._stop_offering(shared, str(fault))

    def _stop_offering(self, shared: SharedTorrent, reason: str) -> None:
        with self._lock:
            if shared.reason:
                return
            shared.reason = reason
        self._emit(events.SharingStopped(shared.metainfo.name, shared.metainfo.info_hash_hex, reason))


def owned_file(metainfo: Metainfo) -> OwnedFile:
    """What OWN says of a complete torrent."""
    return OwnedFile(metainfo.name, metainfo.info_hash_hex, metainfo.size, True)
