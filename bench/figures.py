"""From raw runs to judged figures. Pure.

A figure is a value. Most have a reference from the same run, and some must reach a bound. The median of the
runs counts, for memory the largest.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence

from bench.judging import Bound, Figure
from bench.records import Flooded, Measured, TheirTransfer, Transfer, Usage
from bench.under_flood import NOBODY, UNDISTURBED

GIB = 1 << 30
MIB = 1 << 20


RATE_TO_SHA1 = Bound("ratio", True, 0.35)
REPORTING = Bound("ratio", True, 0.95)  # of the rate without reports
REPORTS_OFF = Bound("ratio", True, 0.99)  # processor time of an earlier commit ÷ that of the current commit
RATE_TO_LIBTORRENT = Bound("ratio", True, 2.0)
THREE_TO_ONE = Bound("ratio", True, 0.9)
HASHING_TO_SHA1 = Bound("ratio", True, 0.85)
PEAK_RSS = Bound("value", False, 100 * MIB)
LAST_TO_BOUND = Bound("ratio", False, 1.3)
FLOODED = Bound("ratio", True, 0.5)
START_TO_END = "  the same, start to end"
FLAT = Bound("ratio", False, 1.1)  # of four times the size to the size


def figures(measured: Measured) -> list[Figure]:
    """Every figure that the measurements allow, in the table's order."""
    return [
        *_rates(measured),
        *_reports(measured),
        *_against_libtorrent(measured),
        *_create(measured),
        *_memory(measured),
        *_cpu(measured),
        *_many_files(measured),
        *_crowds(measured),
        *_floods(measured),
    ]


def median(values: Iterable[float | None]) -> float | None:
    """The median of the known values; None without any."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def rate(transfers: Sequence[Transfer | TheirTransfer]) -> float | None:
    """Median bytes a second from the first request until the last piece was verified."""
    return median(transfer.size / transfer.transfer_seconds for transfer in transfers)


def full_rate(transfers: Sequence[Transfer]) -> float | None:
    """Median bytes a second from start until the file was in place, fsync included."""
    return median(transfer.size / transfer.seconds for transfer in transfers)


def _rates(m: Measured) -> Iterator[Figure]:
    sha1 = median(m.sha1)
    place = m.places.get("transfer", "")
    if m.sha1:
        yield Figure("SHA-1, one core", sha1, "B/s", note="the yardstick")
    if m.ours:
        ours = rate(m.ours)
        yield Figure("download, 1 owner", ours, "B/s", "SHA-1", sha1, (RATE_TO_SHA1,), place)
        yield Figure("  to file in place", full_rate(m.ours), "B/s", "SHA-1", sha1, note=f"fsync, {place}")
    if m.three_owners:
        three = rate(m.three_owners)
        yield Figure("download, 3 owners", three, "B/s", "1 owner", rate(m.ours), (THREE_TO_ONE,), place)
    if m.on_disk:
        note = f"fsync, {m.places.get('disk', '')}"
        yield Figure("  to file in place, disk", full_rate(m.on_disk), "B/s", "SHA-1", sha1, note=note)


def _reports(m: Measured) -> Iterator[Figure]:
    """The cost of nodes' reports to the tracker, and the cost of the code when reports are off."""
    if m.reporting and m.silent:
        yield Figure(
            "download with reports", rate(m.reporting), "B/s", "without", rate(m.silent), (REPORTING,)
        )
        yield Figure("  CPU, both nodes", _both(m.reporting), "s/GiB", "without", _both(m.silent))
    if m.before:
        note = "reports off"
        earlier = _both(m.before)
        yield Figure("CPU, commit before", earlier, "s/GiB", "now", _both(m.silent), (REPORTS_OFF,), note)


def _both(transfers: Sequence[Transfer]) -> float | None:
    """Median processor seconds of both nodes together, for a GiB."""
    used = [(*transfer.owners, transfer.downloader) for transfer in transfers]
    seconds = [
        sum(usage.cpu_seconds or 0.0 for usage in usages) * GIB / transfer.size
        for usages, transfer in zip(used, transfers, strict=True)
    ]
    return median(seconds) or None


def _against_libtorrent(m: Measured) -> Iterator[Figure]:
    ours = rate(m.ours)
    if m.theirs:
        one = m.theirs[0]
        note = f"{one.version}, TCP {one.congestion_control}, defaults"
        yield Figure(
            "download ÷ libtorrent", ours, "B/s", "libtorrent", rate(m.theirs), (RATE_TO_LIBTORRENT,), note
        )
    if m.theirs and m.ours:
        theirs = median(transfer.size / transfer.seconds for transfer in m.theirs)
        yield Figure(START_TO_END, full_rate(m.ours), "B/s", "libtorrent", theirs, note="connecting, fsync")
    if m.theirs_tuned:
        note = "larger buffers and queues"
        yield Figure("  ÷ libtorrent, tuned", ours, "B/s", "tuned", rate(m.theirs_tuned), note=note)


def _create(m: Measured) -> Iterator[Figure]:
    """Both programs hash bytes from memory, so hashing from memory is their reference."""
    if not m.create:
        return
    hot = median(run.sha1 for run in m.create)
    memory = median(run.sha1_of_memory for run in m.create)
    yield Figure("SHA-1, all cores", hot, "B/s", note="the same 1 MiB, in a cache")
    for name, rate in (
        ("create_torrent", median(run.create for run in m.create)),
        ("verify", median(run.verify for run in m.create)),
    ):
        yield Figure(
            name, rate, "B/s", "SHA-1 of memory, all cores", memory, (HASHING_TO_SHA1,), "page cache"
        )
        yield Figure(f"  {name} ÷ SHA-1 in a cache", rate, "B/s", "SHA-1, all cores", hot)


def _memory(m: Measured) -> Iterator[Figure]:
    for name, usages in _ENDS.items():
        small = _peak(usages(m.ours))
        if small is not None:
            yield Figure(f"peak RSS, {name}", small, "B", bounds=(PEAK_RSS,), note=_size(m.ours))
        large = _peak(usages(m.large))
        if large is not None:
            bounds = (PEAK_RSS, FLAT)
            yield Figure(f"peak RSS, {name}", large, "B", _size(m.ours), small, bounds, _size(m.large))


def _cpu(m: Measured) -> Iterator[Figure]:
    theirs = {
        "owner": cpu([t.seeder for t in m.theirs], m.idle.get("seeder"), m.size),
        "downloader": cpu([t.leecher for t in m.theirs], m.idle.get("leecher"), m.size),
    }
    for name, usages in _ENDS.items():
        value = cpu(usages(m.ours), m.idle.get(name), m.size)
        if value is not None:
            reference = "libtorrent" if theirs[name] is not None else ""
            note = f"{_in_kernel(usages(m.ours)):.0%} in the kernel"
            yield Figure(f"CPU, {name}", value, "s/GiB", reference, theirs[name], note=note)


def _floods(m: Measured) -> Iterator[Figure]:
    """The rate under each flood, compared with the undisturbed rate. A flood to an unread port shows the cost
    of sending alone."""
    by_name: dict[str, list[Flooded]] = {}
    for flooded in m.flooded:
        by_name.setdefault(flooded.name, []).append(flooded)
    undisturbed = median(run.rate for run in by_name.get(UNDISTURBED, []))
    for name, runs in by_name.items():
        failed = sum(run.waited is None for run in runs)
        waited = median(run.waited for run in runs)
        notes = [f"{median(run.sent for run in runs) or 0:,.0f} datagrams/s"]
        notes += [f"begun after {waited:.1f} s"] if waited is not None else []
        notes += [f"{failed} of {len(runs)} failed"] if failed else []
        bounds = () if name in (UNDISTURBED, NOBODY) else (FLOODED,)
        rate = median(run.rate for run in runs)
        yield Figure(f"flood: {name}", rate, "B/s", "undisturbed", undisturbed, bounds, "; ".join(notes))


def _many_files(m: Measured) -> Iterator[Figure]:
    for many in m.many_files:
        note = f"{many.files:,} × {many.size:,} B; tracker knows {many.known:,}"
        yield Figure("many files, to announce all", many.seconds, "s", note=note)
        yield Figure("many files, a second", many.files / many.seconds, "files/s")
        if many.node.peak_rss is not None:
            yield Figure("many files, peak RSS", many.node.peak_rss, "B")


def _crowds(m: Measured) -> Iterator[Figure]:
    for nodes in sorted({run.nodes for run in m.crowds}):
        runs = [run for run in m.crowds if run.nodes == nodes]
        one = runs[0]
        name = f"swarm, 1 seed + {nodes} nodes"
        note = f"{one.size / MIB:.0f} MiB, -up {one.upload / 1e6:g} MB/s each; bound: physics"
        last = median(run.seconds[-1] for run in runs)
        yield Figure(f"{name}, last", last, "s", "bound", one.bound, (LAST_TO_BOUND,), note)
        half = median(statistics.median(run.seconds) for run in runs)
        used = median(run.cpu_seconds for run in runs)
        yield Figure(
            "  median", half, "s", "bound", one.bound, note=f"{nodes} nodes; {used:.0f} s of CPU in all"
        )


def _owner_usages(transfers: Sequence[Transfer]) -> list[Usage]:
    return [usage for transfer in transfers for usage in transfer.owners]


def _downloader_usages(transfers: Sequence[Transfer]) -> list[Usage]:
    return [transfer.downloader for transfer in transfers]


_ENDS: dict[str, Callable[[Sequence[Transfer]], list[Usage]]] = {
    "owner": _owner_usages,
    "downloader": _downloader_usages,
}


def cpu(usages: Sequence[Usage], idle: Usage | None, size: int) -> float | None:
    """Median CPU seconds per GiB moved, without what a process uses that moves nothing."""
    used = median(usage.cpu_seconds for usage in usages)
    if used is None:
        return None
    return max(0.0, used - ((idle.cpu_seconds or 0.0) if idle else 0.0)) * GIB / size


def _in_kernel(usages: Sequence[Usage]) -> float:
    """The part of all CPU time that the kernel used."""
    total = sum(usage.cpu_seconds or 0.0 for usage in usages)
    return sum(usage.system_seconds or 0.0 for usage in usages) / total if total else 0.0


def _peak(usages: Sequence[Usage]) -> int | None:
    return max((usage.peak_rss for usage in usages if usage.peak_rss is not None), default=None)


def _size(transfers: Sequence[Transfer]) -> str:
    return f"at {transfers[0].size / GIB:.4g} GiB" if transfers else ""
