"""Events as sentences, one line each, without control characters. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from common.text import sanitize
from node import events
from node.events import Event, PeerStatus, SourceProgress, TrackerStatus
from node.show import units

SHOWN = (
    events.Started,
    events.Listening,
    events.Stopped,
    events.TrackerLost,
    events.TrackerBack,
    events.TrackerMoved,
    events.NotAnnounced,
    events.SecretNotSaved,
    events.Sharing,
    events.SharingStopped,
    events.Capturing,
    events.CaptureEnded,
    events.FaultsSet,
    events.Misbehaving,
    events.PartFailed,
    events.FilesNotShared,
    events.AddressLost,
    events.AddressRestored,
    events.Metadata,
    events.Selected,
    events.DownloadStarted,
    events.OwnerLost,
    events.Waiting,
    events.Completed,
    events.Failed,
)
"""Events that are shown without --verbose (Sharing only of whole files)."""

MAX_NAMED = 8  # peers that one line names
_REST = "the rest is not selected"

WARNINGS = (
    events.TrackerLost,
    events.NotAnnounced,
    events.SecretNotSaved,
    events.TrackerMoved,
    events.SharingStopped,
    events.CaptureEnded,
    events.PartFailed,
    events.AddressLost,
    events.OwnerLost,
    events.Waiting,
    events.PieceFailed,
)


def is_shown(event: Event) -> bool:
    """True if ``event`` is shown without --verbose."""
    return isinstance(event, SHOWN) and not (isinstance(event, events.Sharing) and not event.complete)


def describe(event: Event) -> str:
    """``event`` as one line for people."""
    return sanitize(
        _of_the_node(event)
        or _of_the_messages(event)
        or _of_a_tracker(event)
        or _of_a_download(event)
        or f"{event.name} {event.as_json()}"
    )


def completed(event: events.Completed) -> str:
    """Name, size, time, rate and the owners used, largest share first.

    A resumed download fetched only a part of the file, and its rate is that of this part.
    """
    fetched = sum(source.received for source in event.sources)
    is_part = 0 < fetched < event.size
    amount = f"{units.part(fetched, event.size)} fetched" if is_part else units.size(event.size)
    text = f"downloaded {event.filename}: {amount} in {units.duration(event.seconds)}"
    if event.rate > 0:
        text += f", {units.rate(event.rate)}"
    rest = f"; {_REST}" if event.is_selection else ""
    return f"{text}, {shares(event.sources)}; saved as {event.path}{rest}"


def shares(sources: Sequence[SourceProgress]) -> str:
    """``from 2 owners: node 1 (60%), node 3 (40%)``."""
    used = sorted((s for s in sources if s.received > 0), key=lambda s: -s.received)
    total = sum(s.received for s in used)
    if not used:
        return "nothing had to be fetched"
    named = _listed([f"{peer_name(s.node_id, s.addr)} ({s.received / total:.0%})" for s in used])
    return f"from {len(used)} owner{'s' if len(used) > 1 else ''}: {named}"


def peer_name(node_id: int | None, addr: Sequence[object]) -> str:
    """``node 3``; the address of a peer that has no number."""
    return address(addr) if node_id is None else f"node {node_id}"


def peer_use(event: events.PeerChanged) -> str:
    """``node 3 (127.0.0.1:4000, udp) is idle: not needed``."""
    where = f"{address(event.addr)}, {event.transport}"
    who = f"peer ({where})" if event.node_id is None else f"node {event.node_id} ({where})"
    return f"{who} is {event.state}{': ' + event.reason if event.reason else ''}"


def address(addr: Sequence[object]) -> str:
    """``127.0.0.1:4000``."""
    return ":".join(str(part) for part in addr)


def tracker(row: TrackerStatus) -> str:
    """``tracker http://h:1 answered 3 s ago (1 of 2)``."""
    which = f" ({row.urls.index(row.url) + 1} of {len(row.urls)})" if len(row.urls) > 1 else ""
    if row.answers and row.state == "answers":
        when = "answers" if row.silent_for is None else f"answered {row.silent_for:.0f} s ago"
        return sanitize(f"tracker {row.url} {when}{which}")
    state = row.reason or f"tracker {row.url} {row.state}"  # a reason names the tracker
    last = "" if row.silent_for is None else f"; its last answer was {row.silent_for:.0f} s ago"
    return sanitize(f"{state}{which}{last}")


def _of_faults(event: events.FaultsSet) -> str:
    return "; ".join((f"faults: {event.spec or 'none'}", *event.effects))


def _of_the_node(event: Event) -> str:
    match event:
        case events.Started(node_id=None):
            return f"standard peer (pid {event.pid})"
        case events.Stopped(node_id=None):
            return "the peer left the swarm"
        case events.Started(transport="tcp"):
            return f"node {event.node_id} (pid {event.pid})"
        case events.Started():
            return f"node {event.node_id} (pid {event.pid}) listens on udp {address(event.addr)}"
        case events.Listening():
            return f"node listens on {event.transport} {address(event.addr)}"
        case events.Stopped():
            return f"node {event.node_id} left the torrent"
        case events.SecretNotSaved() | events.PartFailed():
            return event.reason
        case events.Hashing():
            return f"hashing {event.filename}: {units.percent(event.done, event.size)}"
        case events.Sharing():
            rest = f"; {_REST}" if event.is_selection else ""
            what = "sharing" if event.complete else "sharing the verified pieces of"
            return f"{what} {event.filename} ({units.size(event.size)}{rest}); others need {event.torrent}"
        case events.SharingStopped():
            return f"no longer sharing {event.filename}: {event.reason}"
        case events.FilesNotShared():
            more = event.count - len(event.filenames)
            names = ", ".join(event.filenames) + (f" and {more} more" if more else "")
            return f"not shared, in {event.folder}: {names}; share with: send FILE"
        case events.AddressLost():
            return f"{event.host} is not this machine's address any more: no node can reach this one"
        case events.AddressRestored():
            return f"{event.host} is this machine's address again: other nodes can reach this one"
    return ""


def _of_the_messages(event: Event) -> str:
    """What is done to the node's messages on purpose."""
    match event:
        case events.Capturing():
            most = units.size(event.limit)
            return f"capturing to {event.path} (at most {most}); messages go one by one, which is slower"
        case events.CaptureEnded():
            return f"the capture {event.path} has ended: {event.reason}"
        case events.Misbehaving():
            return f"this node is a {event.persona}: {event.meaning}"
        case events.FaultsSet():
            return _of_faults(event)
    return ""


def _of_a_tracker(event: Event) -> str:
    match event:
        case events.TrackerLost():
            return f"{event.reason} (the node goes on trying)"  # the reason names the tracker
        case events.TrackerBack():
            return f"tracker {event.url} answers again"
        case events.TrackerMoved():
            if event.reason:  # the reason names the tracker before
                return f"{event.reason}: {event.url} is asked instead"
            return f"tracker {event.url} answers again and is preferred to {event.before}"
        case events.NotAnnounced():  # the reason names the tracker
            if event.is_retried:
                return f"not announced yet: {event.reason} (the node goes on trying)"
            return f"not announced, so no other node finds it: {event.reason}"
    return ""


def _of_a_download(event: Event) -> str:
    match event:
        case events.Metadata():
            return f"{event.filename}: {event.reason}"
        case events.Selected():
            count = f"{event.files} file{'' if event.files == 1 else 's'}"
            return f"{event.filename}: {count} selected ({units.size(event.size)})"
        case events.DownloadStarted():
            here = f"; {units.size(event.verified)} are here already" if event.verified else ""
            return f"downloading {event.filename} ({units.size(event.size)}){here}"
        case events.OwnersFound():
            known, asked = _named(event.peers, event.owners), _named(event.asked, event.chosen)
            return f"{event.filename}: owners {known}; asking {asked}"
        case events.Progress():
            return progress(event)
        case events.Piece():
            return (
                f"{event.filename}: piece {event.index} verified, from {_named(event.peers, event.sources)}"
            )
        case events.PieceFailed():
            senders = _named(event.peers, event.sources)
            return f"{event.filename}: piece {event.index} does not match its hash, from {senders}"
        case events.OwnerLost():
            fate = "banned" if event.banned else "lost"
            who = "peer" if event.node_id is None else f"node {event.node_id}"
            return f"{event.filename}: {who} ({address(event.addr)}) {fate}: {event.reason}"
        case events.PeerChanged():
            return f"{event.filename}: {peer_use(event)}"
        case events.Waiting():
            return f"{event.filename}: {event.reason} (next try in {units.duration(event.seconds)})"
        case events.Completed():
            return completed(event)
        case events.Cancelled():
            return event.reason
        case events.Failed():
            reason = event.reason.removeprefix(f"{event.filename}: ")  # named once is enough
            return f"download of {event.filename} failed: {reason}"
    return ""


def progress(event: events.Progress) -> str:
    """Name, percent, rate, time left, and the owners that send."""
    if event.verified >= event.size:
        return f"{event.filename}: {units.percent(event.verified, event.size)}, finishing"
    return (
        f"{event.filename}: {units.percent(event.verified, event.size)}, {units.rate(event.rate)},"
        f" {units.eta(event.eta)} left, from {active_owners(event.sources)}"
    )


def active_owners(sources: Sequence[SourceProgress]) -> str:
    """``2, 3``: the numbers of the owners that send."""
    active = [source for source in sources if source.state == "active"]
    return _listed([address(s.addr) if s.node_id is None else str(s.node_id) for s in active])


def _named(peers: Sequence[str], ids: Sequence[int | None]) -> str:
    return _listed(peers or ["?" if i is None else str(i) for i in ids])


def _listed(names: Sequence[str]) -> str:
    """``a, b``; the first MAX_NAMED of many, and how many more there are."""
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "") or "none"


def uploads(rows: Sequence[PeerStatus]) -> str:
    """``↑ 8.0 MB/s to 2``: the upload rate, and the number of nodes; "" if nothing is sent."""
    sending = [row for row in rows if row.direction == "to" and row.rate > 0]
    nodes = {row.addr if row.node_id is None else row.node_id for row in sending}
    return f"↑ {units.rate(sum(row.rate for row in sending))} to {len(nodes)}" if sending else ""
