"""Runs the real launcher with a fake Node, whose actions depend on the file's name.

send slow*: hashes until stopped. send missing*: FileFault. download bad*: fails. download endless*: goes on
until stopped. download crash*: an exception that nothing expects. send crash-screen: the screen
crashes at the next event. Any other download completes.
SIGUSR1: an OwnerLost event whose text has escape codes in it.
"""

from __future__ import annotations

import signal
import sys
import threading
import types
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from common.errors import CommandError, DownloadFailed, FileFault, SwarmError, TrackerRefused  # noqa: E402
from node import events  # noqa: E402
from node.events import DownloadStatus, EventSink, FileStatus, PeerStatus, SourceProgress, TrackerStatus  # noqa: E402
from node.settings import NodeSettings  # noqa: E402
from node.show import screen  # noqa: E402

SIZE = 1_000_000
HASH = "ab" * 20
SOURCE = SourceProgress(2, ("127.0.0.1", 4002), 600_000, 50_000_000.0, "active")
WHOLE_SOURCE = replace(SOURCE, received=SIZE)  # it delivered the whole file


class ScriptedDownload:
    def __init__(self, name: str) -> None:
        self.name = name
        self.done = threading.Event()
        self.error: SwarmError | None = None

    def status(self) -> DownloadStatus:
        state = "fetching" if not self.done.is_set() else "failed" if self.error else "completed"
        reason = str(self.error or "")
        return DownloadStatus(self.name, HASH, state, SIZE, 420_000, 600_000, 5e7, 0.008, reason, (SOURCE,))


class FakeNode:
    def __init__(self, settings: NodeSettings, emit: EventSink) -> None:
        self.settings = settings
        self.emit = emit
        self.downloads: list[ScriptedDownload] = []
        self.shared: list[FileStatus] = []
        self.entered = False
        self.stopped = threading.Event()
        signal.signal(signal.SIGUSR1, lambda *_: self.lose_an_owner())

    def lose_an_owner(self) -> None:
        self.emit(events.OwnerLost("x.bin", HASH, 9, ("127.0.0.1", 4009), "silent \x1b[31m for 2 s"))

    def enter_torrent(self) -> None:
        if self.settings.node_id == 409:
            raise TrackerRefused("node 409 is live at another address", 409)
        self.settings.folder.mkdir(parents=True, exist_ok=True)
        self.entered = True
        self.emit(events.Started(self.settings.node_id, ("127.0.0.1", 4001)))

    def names(self) -> list[str]:
        return [row.filename for row in self.shared]

    def set_send_mode(self, filename: str) -> FileStatus:
        name = Path(filename).name
        if name.startswith("missing"):
            raise FileFault(f"{filename}: no such file")
        self.emit(events.Hashing(name, SIZE // 2, SIZE))
        if name.startswith("crash-screen"):
            for kind in (screen.TextScreen, screen.JsonScreen):
                kind.event = lambda self, event: 1 / 0  # type: ignore[method-assign]
        if name.startswith("slow"):
            self.stopped.wait()
            raise FileFault(f"{filename}: stopped")
        self.emit(events.Sharing(name, HASH, SIZE, f"{self.settings.folder}/{name}.torrent"))
        self.shared.append(FileStatus(name, HASH, SIZE, True, filename, 123, "sharing"))
        return self.shared[-1]

    def check_torrent(self, filename: str) -> None: ...

    def set_download_mode(self, torrent_filename: str) -> ScriptedDownload:
        name = Path(torrent_filename).name.removesuffix(".torrent")
        if name.startswith("missing"):
            raise FileFault(f"{torrent_filename}: no such file")
        if name.startswith("crash"):
            raise ZeroDivisionError("boom")
        download = ScriptedDownload(name)
        self.downloads.append(download)
        self.emit(events.DownloadStarted(name, HASH, SIZE, 0, 65536))
        self.emit(events.Progress(name, HASH, SIZE, 600_000, 420_000, 5e7, 0.008, (SOURCE,)))
        if name.startswith("bad"):
            download.error = DownloadFailed(f"{name}: no owner answered in 60 s")
            self.emit(events.Failed(name, HASH, str(download.error)))
        elif name.startswith("endless"):
            return download
        elif name.startswith("moving"):
            threading.Thread(target=self.move, args=(download,), daemon=True).start()
            return download
        else:
            self.emit(events.Piece(name, HASH, 0, (2,)))
            path = f"{self.settings.folder}/{name}"
            self.emit(events.Completed(name, HASH, path, SIZE, 0.02, 0.01, 1e8, (WHOLE_SOURCE,)))
            self.shared.append(FileStatus(name, HASH, SIZE, True, path, 0, "sharing"))
        download.done.set()
        return download

    def move(self, download: ScriptedDownload) -> None:
        for step in range(1, 31):
            sources = (
                SourceProgress(2, ("127.0.0.1", 4002), 200_000 * step, 2e6, "active"),
                SourceProgress(3, ("127.0.0.1", 4003), 100_000 * step, 1e6, "active"),
                SourceProgress(4, ("127.0.0.1", 4004), 50_000, 0.0, "lost", "silent for 2 s"),
            )
            done = 300_000 * step + 50_000
            self.emit(
                events.Progress(download.name, HASH, 9_050_000, done, done, 3e6, (30 - step) / 10, sources)
            )
            if step == 10:
                self.lose_an_owner()
            self.stopped.wait(0.1)
        path = f"{self.settings.folder}/{download.name}"
        self.emit(events.Completed(download.name, HASH, path, 9_050_000, 3.02, 3.0, 3e6, sources))
        download.done.set()

    def stop_file(self, name: str) -> None:
        if name != "a.bin":
            raise CommandError(f"{name} is neither shared nor being downloaded; try: files")
        self.emit(events.SharingStopped(name, HASH, "you stopped it"))

    def status(self) -> tuple[DownloadStatus, ...]:
        return tuple(download.status() for download in self.downloads)

    def files(self) -> tuple[FileStatus, ...]:
        return tuple(self.shared)

    def peers(self) -> tuple[PeerStatus, ...]:
        return (PeerStatus(9, ("127.0.0.1", 4009), "x.bin", "from", 0, 0.0, "lost", "silent for 2 s"),)

    def trackers(self) -> tuple[TrackerStatus, ...]:
        return (TrackerStatus("http://127.0.0.1:1", ("http://127.0.0.1:1",), True),)

    def wait_for_downloads(self, timeout: float | None = None) -> bool:
        return all(download.done.wait(timeout) for download in self.downloads)

    def is_sharing(self) -> bool:
        return bool(self.shared)

    def exit_torrent(self) -> None:
        if not self.stopped.is_set():
            self.stopped.set()
            if self.entered:
                self.emit(events.Stopped(self.settings.node_id))


if __name__ == "__main__":
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored
    stand_in = types.ModuleType("node.node")
    stand_in.__dict__["Node"] = FakeNode
    sys.modules["node.node"] = stand_in
    from node.cli import main

    sys.exit(main())
