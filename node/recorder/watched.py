"""Events of the node that the recorder notes: verified pieces, and downloads that failed."""

from __future__ import annotations

from common.logs import log
from node import events
from node.recorder.datagram_rows import TORRENT_DIGITS
from node.recorder.diagram import diagram
from node.recorder.flight_recorder import FlightRecorder

DUMPED = 200  # messages that a failed download writes to the log file


def watched(emit: events.EventSink, recorder: FlightRecorder) -> events.EventSink:
    """The sink that notes an event for ``recorder`` and then calls ``emit``."""

    def watch(event: events.Event) -> None:
        if isinstance(event, (events.Piece, events.PieceFailed)):
            what = "verified" if isinstance(event, events.Piece) else "failed"
            recorder.note(what, piece=event.index, torrent=event.info_hash[:TORRENT_DIGITS])
        emit(event)
        if isinstance(event, events.Failed) and not isinstance(event, events.Cancelled):
            log(f"the last messages before {event.filename} failed:")
            for line in diagram(recorder.recent_messages(limit=DUMPED)):
                log(line)

    return watch
