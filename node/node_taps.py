"""The taps of one node: its flight recorder, its capture (-pcap) and its faults (-faults)."""

from __future__ import annotations

from common.errors import CommandError
from faults.spec import FaultSpec
from node import events
from node.fault_tap import SEGMENT, FaultTap
from node.message_faults import effects_of
from node.personas import PERSONAS
from node.recorder import FlightRecorder
from node.recorder.capture import CAPTURE_LIMIT, Capture
from node.settings import NodeSettings
from node.tap import SeveralTaps, Tap
from node.torrent_table import TorrentTable


class NodeTaps:
    """Made once the node enters the torrent. LocalFault if the capture's file cannot be had."""

    def __init__(
        self,
        settings: NodeSettings,
        recorder: FlightRecorder,
        torrents: TorrentTable,
        emit: events.EventSink,
    ) -> None:
        self._settings, self._emit = settings, emit
        self._recorder = recorder
        self.faults: FaultTap | None = None
        self._capture: Capture | None = None
        if settings.pcap is not None:
            self._capture = Capture(settings.pcap, self._capture_ended)
        if settings.faults is not None:
            self.faults = FaultTap(settings.faults, settings.node_id, torrents.piece_length, self._hits)
        taps: list[Tap] = [tap for tap in (self.faults, recorder, self._capture) if tap is not None]
        self.tap: Tap = taps[0] if len(taps) == 1 else SeveralTaps(taps)
        """Sees all messages of the transports."""

    def announce(self) -> None:
        """Emit what is unusual about this node."""
        settings = self._settings
        if settings.pcap is not None:
            self._emit(events.Capturing(str(settings.pcap), CAPTURE_LIMIT))
        if settings.persona:
            self._emit(events.Misbehaving(settings.persona, PERSONAS[settings.persona]))
        if settings.faults is not None:
            self._announce_faults(settings.faults)

    def set_faults(self, spec: FaultSpec) -> None:
        """Do these faults to the node's messages from now on. CommandError if it began without -faults."""
        if self.faults is None:
            raise CommandError("start the node with -faults SPEC (or -faults off) to set faults later")
        self.faults.set(spec)
        self._announce_faults(spec)

    def _announce_faults(self, spec: FaultSpec) -> None:
        said = effects_of(spec, self._settings.transports)
        if "udp" in self._settings.transports:
            said.insert(0, f"datagrams of {SEGMENT:,} bytes, one by one, with checksums")
        self._emit(events.FaultsSet(spec.text, tuple(said)))

    def _hits(self, rule: str, message: str) -> None:
        self._recorder.note("fault", hits=message, rule=rule)

    def flush(self) -> None:
        """Write what is captured so far."""
        if self._capture is not None:
            self._capture.flush()

    def close(self) -> None:
        """Capture nothing more, hold no message back."""
        if self._capture is not None:
            self._capture.close()
        if self.faults is not None:
            self.faults.close()

    def _capture_ended(self, reason: str) -> None:
        self._emit(events.CaptureEnded(str(self._settings.pcap), reason))
