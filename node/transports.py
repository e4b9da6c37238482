"""The transports of one node: which of them it has, their sockets, and their shared rate limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from common.peer_id import new_peer_id
from node.chunk_udp.transport import UdpTransport
from node.listen_port import listening_socket
from node.peer import FoundPeer, Peer
from node.peer_tcp.config import Encryption
from node.peer_tcp.transport import TcpTransport
from node.personas import PersonaTorrents
from node.rate_limit import TransferLimits, limit_of
from node.settings import NodeSettings
from node.tap import NO_TAP, Tap
from node.torrent_table import TorrentTable
from node.transport import ServedTorrent, Transport, TransportObserver


class NodeTransports:
    """Opens the sockets; LocalFault if one of them cannot be had. ``by_name`` has the preferred one first.

    ``tap`` sees all messages.
    """

    def __init__(self, settings: NodeSettings, tap: Tap = NO_TAP) -> None:
        transfer = settings.transfer
        limits = TransferLimits(limit_of(transfer.upload_limit), limit_of(transfer.download_limit))
        self._persona = settings.persona
        self.udp: UdpTransport | None = None
        self.tcp: TcpTransport | None = None
        try:
            if "udp" in settings.transports:
                sock = listening_socket(
                    settings.classroom_id, settings.host, settings.port_range, transfer.socket_buffer_size
                )
                self.udp = UdpTransport(transfer, sock, settings.classroom_id, limits, tap)
            if "tcp" in settings.transports:
                self.tcp = open_tcp(settings, limits, tap)
        except BaseException:
            self.stop()
            raise
        here: dict[str, Transport | None] = {"udp": self.udp, "tcp": self.tcp}
        found = ((name, here[name]) for name in settings.transports)
        self.by_name: Mapping[str, Transport] = {name: each for name, each in found if each is not None}

    @property
    def addr(self) -> tuple[str, int]:
        """The node's address: that of the classroom transport, if it has it."""
        if self.udp is not None:
            return self.udp.addr
        assert self.tcp is not None, "a node has a transport"
        return self.tcp.addr

    def start(self, torrents: TorrentTable, observer: TransportObserver) -> None:
        """Serve ``torrents`` from now on."""
        if self.udp is not None:
            self.udp.start(self._shown(torrents), observer)
        if self.tcp is not None:
            self.tcp.start(self._shown(torrents.in_swarms), observer)

    def _shown(self, torrents: Mapping[bytes, ServedTorrent]) -> Mapping[bytes, ServedTorrent]:
        """The torrents as this node's persona serves them."""
        return PersonaTorrents(self._persona, torrents) if self._persona else torrents

    def call(self, peers: Sequence[Peer], info_hash: bytes) -> None:
        """Dial standard peers that the user named to a torrent that is served."""
        if self.tcp is not None:
            self.tcp.meet(info_hash, [FoundPeer(peer, complete=False) for peer in peers])

    def clients(self) -> Mapping[tuple[str, int], str]:
        """The programs of the connected standard peers, by address."""
        return {} if self.tcp is None else self.tcp.clients()

    def stop(self) -> None:
        """Serve nothing more."""
        for transport in (self.udp, self.tcp):
            if transport is not None:
                transport.stop()


def open_tcp(settings: NodeSettings, limits: TransferLimits, tap: Tap = NO_TAP) -> TcpTransport:
    """The peer wire's transport with these settings."""
    wire = settings.peer_wire
    encryption = Encryption(wire.encryption)
    return TcpTransport(
        *(new_peer_id(), settings.host, wire.port, encryption, wire.max_peers, limits, tap, settings.choker),
        node_id=settings.node_id,
    )
