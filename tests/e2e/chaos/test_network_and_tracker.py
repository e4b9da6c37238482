"""No tracker, no network, no clock to trust: downloads go on, or wait and go on."""

from __future__ import annotations

import ast
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common.bencode import decode, encode
from common.messages import OwnedFile
from common.metainfo import decode_metainfo
from faults.link import LinkFaults
from faults.relay import FaultyRelay
from node.discovery.classroom import TrackerClient

ROOT = Path(__file__).resolve().parents[3]
FINE = {"PROGRESS_INTERVAL": "0.05"}


def latest(node: Any) -> int:
    return int(node.seen("progress")[-1]["received"])


def test_the_tracker_is_killed_and_an_owner_too(
    start_tracker: Any, make_swarm: Any, scale: Any, in_the_middle: Any, watch: Any, note: Any
) -> None:
    tracker = start_tracker(TRACKER_TIME_INTERVAL="4")
    swarm = make_swarm(tracker)
    path = swarm.file("x.bin", scale.size)
    (victim, torrent), (owner, _) = [swarm.share(path, **scale.limit) for _ in range(2)]
    fetcher = swarm.downloading(torrent, **FINE)
    here = in_the_middle(fetcher, 0.2)
    since = watch()
    tracker.kill()
    victim.kill()
    fetcher.wait_for("completed")
    rate = (scale.size - here) / since.seconds
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    fetcher.wait_for("tracker_lost")
    tracker.restart()
    back = watch()
    fetcher.wait_for("tracker_back")  # OWN and UPDATE are made good
    swarm.wait_for_uploads(torrent, {owner.number: 1, victim.number: 1, fetcher.number: 0})
    note("tracker and one of two owners killed", rate_MB=rate / 1e6, told_after_its_return=back.seconds)


class Parted(FaultyRelay):
    """A path that can be cut for a while."""

    cut = False

    def _hold(self, *held: Any) -> None:
        if not self.cut:
            super()._hold(*held)


@pytest.fixture
def path_to() -> Iterator[Callable[[Any, int], Parted]]:
    """``path_to(addr, rate)``: a relay to that address, ``rate`` bytes a second, closed after the test."""
    made: list[Parted] = []

    def make(addr: Any, rate: int) -> Parted:
        limited = LinkFaults(delay=0.005, rate=rate, queue=256 << 10)
        made.append(Parted((addr[0], addr[1]), LinkFaults(delay=0.005), limited, seed=1))
        return made[-1].__enter__()

    yield make
    for relay in made:
        relay.__exit__()


def test_the_network_is_parted(
    start_tracker: Any, make_swarm: Any, path_to: Any, scale: Any, in_the_middle: Any, watch: Any, note: Any
) -> None:
    """The owner and the tracker are behind the partition, and return together."""
    hidden, tracker = make_swarm(start_tracker()), start_tracker()
    path = hidden.file("x.bin", scale.size)
    owner, torrent = hidden.share(path)
    relay = path_to(owner.wait_for("started")["addr"], scale.rate)
    swarm = make_swarm(tracker)
    metainfo = decode_metainfo(torrent.read_bytes())
    here = swarm.folder / "x.bin.torrent"
    here.write_bytes(
        encode({**decode(torrent.read_bytes()), b"announce": f"{tracker.url}/announce".encode()})
    )
    client = TrackerClient(tracker.url, owner.number)
    client.register(relay.addr)
    client.own([OwnedFile(metainfo.name, metainfo.info_hash_hex, metainfo.size)])
    client.close()
    fetcher = swarm.fetch(here, **FINE)
    in_the_middle(fetcher)
    relay.cut = True
    tracker.process.send_signal(signal.SIGSTOP)
    cut = watch()
    fetcher.wait_for("owner_lost", node_id=owner.number)
    noticed = cut.seconds
    fetcher.wait_until("so long", lambda: cut.seconds >= scale.gone * 2 / 3)
    received = latest(fetcher)
    tracker.process.send_signal(signal.SIGCONT)
    relay.cut = False
    healed = watch()
    fetcher.wait_until("more", lambda: latest(fetcher) > received)
    goes_on = healed.seconds
    assert fetcher.end() == 0
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    note(f"network parted for {scale.gone * 2 / 3:.1f} s", noticed=noticed, goes_on_after=goes_on)
    assert goes_on < 10


# ---- the clock on the wall

JUMPING = """
import itertools, time
_real, _jumps = time.time, itertools.cycle([0.0, 86400.0, -86400.0, 3.0e7, -40.0])
time.time = lambda: _real() + next(_jumps)
time.time_ns = lambda: int(time.time() * 1e9)
"""


@pytest.fixture
def jumping_clock(tmp_path: Path) -> dict[str, str]:
    """The environment of a program for which the time of day jumps, back and forth, at each look."""
    folder = tmp_path / "jumping"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(JUMPING, encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))}


def test_the_clock_is_set_back_and_forth(
    start_tracker: Any, make_swarm: Any, scale: Any, jumping_clock: dict[str, str], note: Any
) -> None:
    swarm = make_swarm(start_tracker(TRACKER_TIME_INTERVAL="2", **jumping_clock))
    path = swarm.file("x.bin", scale.size)
    owner, torrent = swarm.share(path, **jumping_clock, **scale.limit)
    fetcher = swarm.downloading(torrent, **FINE, **jumping_clock)
    completed = fetcher.wait_for("completed")
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    steady = scale.size / scale.rate
    note("clock set back and forth", took=completed["seconds"], by_its_rate=steady)
    assert 0 < completed["seconds"] < 2 * steady + 5
    assert all(0 <= event["rate"] < 100 * scale.rate for event in fetcher.seen("progress"))
    assert sorted(number for number, _ in swarm.owners(torrent)) == sorted([owner.number, fetcher.number])
    assert not owner.seen("tracker_lost") and not fetcher.seen("owner_lost")


CLOCKS_ON_THE_WALL = {"time", "time_ns", "localtime", "gmtime", "ctime", "strftime"}
# The first reads the date once, and counts from there. The next five write dates for people. The last two
# compare it with the time at which a file, or a recording, was written.
READ_THE_DATE = {
    "tracker/clock.py",
    "tracker/web/access_log.py",
    "node/tools/summary.py",
    "node/tools/create.py",
    "node/recorder/capture.py",
    "common/log_file.py",
    "node/content/resume_record.py",
    "tracker/recording.py",
}


def reads_the_date(file: Path) -> Iterator[str]:
    """The places in ``file`` that look at the clock on the wall."""
    for found in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        line = f"{file.relative_to(ROOT)}:{getattr(found, 'lineno', 0)}"
        if isinstance(found, ast.Attribute) and isinstance(found.value, ast.Name):
            name = f"{found.value.id}.{found.attr}"
            if name.startswith("time.") and found.attr in CLOCKS_ON_THE_WALL:
                yield f"{line}: {name}"
        if isinstance(found, (ast.Import, ast.ImportFrom)):
            names = {alias.name for alias in found.names}
            module = getattr(found, "module", None)
            if "datetime" in names | {module} or (module == "time" and names & CLOCKS_ON_THE_WALL):
                yield f"{line}: imports {names}"


def test_nothing_is_measured_by_the_clock_on_the_wall() -> None:
    """Durations, deadlines and expiries come from time.monotonic, which cannot be set."""
    found = {
        file.relative_to(ROOT).as_posix(): places
        for package in ("node", "tracker", "common", "faults")
        for file in sorted((ROOT / package).rglob("*.py"))
        if (places := list(reads_the_date(file)))
    }
    assert found.keys() == READ_THE_DATE, found
