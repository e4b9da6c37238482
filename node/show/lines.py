"""Events as sentences, one line each, cleaned of control characters. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from common.text import sanitize
from node import events
from node.events import Event, SourceProgress, TrackerStatus
from node.show import units

QUIET = (
    events.Started,
    events.Stopped,
    events.TrackerLost,
    events.TrackerBack,
    events.TrackerMoved,
    events.Sharing,
    events.SharingStopped,
    events.DownloadStarted,
    events.OwnerLost,
    events.Waiting,
    events.Completed,
    events.Failed,
)
"""What is said without --verbose (Sharing only of whole files)."""

WARNINGS = (
    events.TrackerLost,
    events.TrackerMoved,
    events.SharingStopped,
    events.OwnerLost,
    events.Waiting,
    events.PieceFailed,
)


def is_quiet(event: Event) -> bool:
    """Whether ``event`` is said without --verbose."""
    return isinstance(event, QUIET) and not (isinstance(event, events.Sharing) and not event.complete)


def sentence(event: Event) -> str:
    """``event`` as one line for people."""
    return sanitize(_of_the_node(event) or _of_a_download(event) or f"{event.name} {event.as_json()}")


def completed(event: events.Completed) -> str:
    """Name, size, time, rate and the owners used, largest share first."""
    text = f"downloaded {event.filename}: {units.size(event.size)} in {units.duration(event.seconds)}"
    if event.rate > 0:
        text += f", {units.rate(event.rate)}"
    return f"{text}, {shares(event.sources)}; saved as {event.path}"


def shares(sources: Sequence[SourceProgress]) -> str:
    """``from 2 owners: node 1 (60%), node 3 (40%)``."""
    used = sorted((s for s in sources if s.received > 0), key=lambda s: -s.received)
    total = sum(s.received for s in used)
    if not used:
        return "nothing had to be fetched"
    named = ", ".join(f"node {s.node_id} ({s.received / total:.0%})" for s in used)
    return f"from {len(used)} owner{'s' if len(used) > 1 else ''}: {named}"


def address(addr: Sequence[object]) -> str:
    """``127.0.0.1:4000``."""
    return ":".join(str(part) for part in addr)


def tracker(row: TrackerStatus) -> str:
    """``tracker http://h:1 answers (1 of 2)``."""
    which = f" ({row.urls.index(row.url) + 1} of {len(row.urls)})" if len(row.urls) > 1 else ""
    return sanitize(f"tracker {row.url} {'answers' if row.answers else 'does not answer'}{which}")


def _of_the_node(event: Event) -> str:
    match event:
        case events.Started():
            return f"node {event.node_id} listens on udp {address(event.addr)}"
        case events.Stopped():
            return f"node {event.node_id} left the torrent"
        case events.TrackerLost():
            return f"{event.reason} (it is asked again and again)"  # the reason names the tracker
        case events.TrackerBack():
            return f"tracker {event.url} answers again"
        case events.TrackerMoved():
            if event.reason:  # it names the one before
                return f"{event.reason}: {event.url} is asked instead"
            return f"tracker {event.url} is asked again, which is preferred to {event.before}"
        case events.Hashing():
            return f"hashing {event.filename}: {units.percent(event.done, event.size)}"
        case events.Sharing():
            what = "sharing" if event.complete else "sharing what is here of"
            return f"{what} {event.filename} ({units.size(event.size)}); others need {event.torrent}"
        case events.SharingStopped():
            return f"no longer sharing {event.filename}: {event.reason}"
    return ""


def _of_a_download(event: Event) -> str:
    match event:
        case events.DownloadStarted():
            here = f"; {units.size(event.verified)} are here already" if event.verified else ""
            return f"downloading {event.filename} ({units.size(event.size)}){here}"
        case events.OwnersFound():
            return f"{event.filename}: owners {_ids(event.owners)}; asking {_ids(event.chosen)}"
        case events.Progress():
            return progress(event)
        case events.Piece():
            return f"{event.filename}: piece {event.index} verified, from {_ids(event.sources)}"
        case events.PieceFailed():
            return (
                f"{event.filename}: piece {event.index} does not match its hash, from {_ids(event.sources)}"
            )
        case events.OwnerLost():
            fate = "banned" if event.banned else "lost"
            return f"{event.filename}: node {event.node_id} ({address(event.addr)}) {fate}: {event.reason}"
        case events.Waiting():
            return f"{event.filename}: {event.reason} (next try in {units.duration(event.seconds)})"
        case events.Completed():
            return completed(event)
        case events.Failed():
            reason = event.reason.removeprefix(f"{event.filename}: ")  # named once is enough
            return f"download of {event.filename} failed: {reason}"
    return ""


def progress(event: events.Progress) -> str:
    """Name, percent, rate, time left, and who sends."""
    if event.verified >= event.size:  # nothing moves any more
        return f"{event.filename}: {units.percent(event.verified, event.size)}, finishing"
    active = [s.node_id for s in event.sources if s.state == "active"]
    return (
        f"{event.filename}: {units.percent(event.verified, event.size)}, {units.rate(event.rate)},"
        f" {units.eta(event.eta)} left, from {_ids(active)}"
    )


def _ids(ids: Sequence[int | None]) -> str:
    return ", ".join(str(i) for i in ids) or "nobody"
