"""Two connections that talk to each other in memory, over a link that cuts the stream where a test wants."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from common.bitfield import Bitfield
from common.geometry import Geometry
from node.peer_tcp import events as ev
from node.peer_tcp.config import Encryption, WireConfig, WireTorrent
from node.peer_tcp.connection import PeerWire

PIECE_LENGTH = 1 << 16
CONTENT = bytes(range(256)) * 1100 + b"the end"  # 5 pieces, the last one short
RAW_INFO = b"d6:lengthi281607e4:name1:xe"
INFO_HASH = hashlib.sha1(RAW_INFO).digest()
GEOMETRY = Geometry(len(CONTENT), PIECE_LENGTH)
ID_A, ID_B = b"-CS0100-aaaaaaaaaaaa", b"-CS0100-bbbbbbbbbbbb"


class Host:
    """A node's torrents, as connections ask for them."""

    def __init__(self, *torrents: WireTorrent, refused: str = "") -> None:
        self.torrents = {torrent.info_hash: torrent for torrent in torrents}
        self.refused = refused

    def info_hashes(self) -> Iterable[bytes]:
        return list(self.torrents)

    def find(self, info_hash: bytes) -> WireTorrent | None:
        return self.torrents.get(info_hash)

    def refusal(self, info_hash: bytes, peer_id: bytes) -> str:
        return self.refused


def torrent_with(pieces: Iterable[int] | None = None) -> WireTorrent:
    """The torrent of CONTENT, of which ``pieces`` are here; None: all."""
    have = Bitfield.full(GEOMETRY.piece_count) if pieces is None else Bitfield(GEOMETRY.piece_count)
    for piece in pieces or ():
        have.set(piece)
    return WireTorrent(INFO_HASH, GEOMETRY, lambda: have, RAW_INFO)


def config_of(peer_id: bytes, torrent: WireTorrent | None = None, **options: object) -> WireConfig:
    host = options.pop("host", None) or Host(torrent or torrent_with())
    return WireConfig(peer_id, host, peer_host="127.0.0.1", **options)  # type: ignore[arg-type]


class Pair:
    """``a`` dialled ``b``. ``cut`` is the number of bytes that one read brings; None: all that wait."""

    def __init__(
        self,
        a: WireConfig,
        b: WireConfig,
        encrypted: bool = False,
        cut: int | None = None,
        info_hash: bytes = INFO_HASH,
    ) -> None:
        self.now = 0.0
        self.a = PeerWire(a, self.now, info_hash, encrypted)
        self.b = PeerWire(b, self.now)
        self.cut = cut
        self.events_a: list[ev.WireEvent] = []
        self.events_b: list[ev.WireEvent] = []
        self.received = bytearray(len(CONTENT))  # of a

    def run(self) -> None:
        """Exchange bytes until both are silent."""
        while self._pass_on(self.a, self.b, self.events_b) | self._pass_on(self.b, self.a, self.events_a):
            pass

    def _pass_on(self, sender: PeerWire, receiver: PeerWire, events: list[ev.WireEvent]) -> bool:
        data = self.sent_by(sender)
        for part in cut(data, self.cut or len(data) or 1):
            for event in ev.one_by_one(receiver.receive(part, self.now)):
                if isinstance(event, ev.BlockData):
                    self.received[event.offset : event.offset + len(event.data)] = event.data
                    event = ev.BlockData(event.offset, bytes(event.data))
                events.append(event)
        return bool(data)

    def sent_by(self, sender: PeerWire) -> bytes:
        """All that ``sender`` has to send: messages, then blocks."""
        data = sender.data_to_send(self.now)
        while block := sender.next_block(self.now):
            data += block.header + sender.encrypt(CONTENT[block.offset : block.offset + block.length])
        return data

    def connect(self) -> Pair:
        """Run until both are open, a interested and b unchoking it."""
        self.run()
        self.a.download.set_interested(True)
        self.run()
        self.b.upload.unchoke()
        self.run()
        return self


def cut(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def connected_pair(**options: object) -> Pair:
    """A leecher ``a`` that dialled a seed ``b``."""
    encryption = options.pop("encryption", Encryption.PREFER)
    a = config_of(ID_A, torrent_with(()), encryption=encryption)
    b = config_of(ID_B, torrent_with(None), encryption=encryption)
    return Pair(a, b, **options).connect()  # type: ignore[arg-type]


def kinds(events: Iterable[ev.WireEvent]) -> list[str]:
    """The names of the events, of each block by itself."""
    return [type(event).__name__ for event in ev.one_by_one(events)]
