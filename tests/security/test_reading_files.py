"""Only what was shared is read, by info hash: no path from the wire, no symlink, no exchange helps."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import Mock

import pytest

from common import bencode
from common.errors import FileFault
from common.metainfo import Metainfo, decode_metainfo
from node import events
from node.chunk_udp import wire
from node.chunk_udp.transport import UdpTransport
from node.content.part_file import PartFile
from node.content.shared_file import OpenFiles, SharedFile
from node.content.store import ContentStore
from node.content.torrent_file import TorrentFile, create_torrent
from node.settings import TransferSettings
from node.torrent import Torrent
from node.torrent_table import TorrentTable

SECRET = b"the secret that nobody shared\n" * 2000
PUBLIC = random.Random(9).randbytes(60_000)

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows lets only administrators make symlinks")


@dataclass
class ServedFolder:
    """A node's torrents at a real socket, and a stranger's socket with a token."""

    torrents: TorrentTable
    open_files: OpenFiles
    folder: Path
    sock: socket.socket
    events: list[events.Event]
    token: bytes = wire.NO_TOKEN
    asked: int = 9  # the number of the latest REQUEST

    def share(self, path: Path) -> Metainfo:
        """As ``send`` does."""
        torrent = self.folder / f"{path.name}.torrent"
        metainfo = create_torrent(path, torrent, "http://127.0.0.1:1/announce")
        content = ContentStore(metainfo, path.parent, self.open_files)
        content.adopt(SharedFile.open(path, metainfo.size))
        self.torrents.add(Torrent(content, TorrentFile.read(torrent), self.events.append, lambda file: None))
        return metainfo

    def ask(self, message: wire.Message) -> wire.Message:
        """One question, one answer."""
        self.sock.send(wire.encode(message))
        return wire.decode(self.sock.recv(65_535))

    def prove(self) -> None:
        """Get a token."""
        answer = self.ask(wire.Ask(1, 1 << 31, bytes(20)))
        assert isinstance(answer, wire.Token)
        self.token = answer.token

    def read(self, info_hash: bytes, offset: int, length: int) -> bytes | wire.Refusal:
        """The answer to a REQUEST: all its bytes, or the reason for the refusal."""
        got = b""
        self.asked += 1
        self.sock.send(wire.encode(wire.Request(1, self.asked, offset, length, info_hash, self.token, 1200)))
        while len(got) < length:
            answer = wire.decode(self.sock.recv(65_535))
            if isinstance(answer, wire.Refuse):
                return answer.reason
            assert isinstance(answer, wire.Data)
            got += answer.payload
        return got


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedFolder]:
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.bind(("127.0.0.1", 0))
    told: list[events.Event] = []
    transport, torrents, open_files = UdpTransport(TransferSettings(), listening), TorrentTable(), OpenFiles()
    transport.start(torrents, Mock())
    folder = tmp_path / "node1"
    folder.mkdir()
    (tmp_path / "secret.txt").write_bytes(SECRET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(listening.getsockname())
        sock.settimeout(20)
        made = ServedFolder(torrents, open_files, folder, sock, told)
        made.prove()
        yield made
    transport.stop()
    open_files.close()


def shared_file(served: ServedFolder, name: str = "public.bin") -> tuple[Path, Metainfo]:
    path = served.folder / name
    path.write_bytes(PUBLIC)
    return path, served.share(path)


PATHS = [
    b"../../secret.txt",
    b"../secret.txt",
    b"/etc/passwd",
    b"secret.txt",
    b"public.bin",
    b"public.bin.torrent",
    b"C:\\secret.txt",
    b"\x00" * 20,
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_on_the_wire_is_a_hash_that_nobody_shares(served: ServedFolder, path: bytes) -> None:
    shared_file(served)
    info_hash = path[:20].ljust(20, b"\0")
    assert served.read(info_hash, 0, 100) is wire.Refusal.NOT_SHARED
    answer = served.ask(wire.Ask(1, 1 << 31, info_hash, served.token))
    assert isinstance(answer, wire.Refuse) and answer.reason is wire.Refusal.NOT_SHARED


def test_what_lies_in_the_folder_and_was_not_shared_is_not_served(served: ServedFolder) -> None:
    """Not even by the right info hash, of a torrent in the same folder."""
    path = served.folder / "private.bin"
    path.write_bytes(SECRET)
    metainfo = create_torrent(path, served.folder / "private.bin.torrent", "http://127.0.0.1:1/announce")
    assert served.read(metainfo.info_hash, 0, 100) is wire.Refusal.NOT_SHARED


def test_no_byte_beyond_the_end_and_none_before_the_start(served: ServedFolder) -> None:
    _, metainfo = shared_file(served)
    size = len(PUBLIC)
    for offset, length in (
        (size, 1),
        (size - 1, 2),
        (2**63, 10),
        (2**64 - 1, 1),
        (0, size + 1),
        (2**64 - 5, 10),
    ):
        served.sock.send(
            wire.encode(wire.Request(1, 9, offset, length, metainfo.info_hash, served.token, 1200))
        )
    assert served.read(metainfo.info_hash, size - 1, 1) == PUBLIC[-1:]  # and nothing came for those before


def put_aside(path: Path) -> None:
    path.rename(path.with_name("aside"))


Exchange = Callable[[Path, Path], None]


def by_symlink(path: Path, secret: Path) -> None:
    put_aside(path)
    path.symlink_to(secret)


def by_another_file(path: Path, secret: Path) -> None:
    replacement = path.with_name("replacement")
    replacement.write_bytes(secret.read_bytes()[: len(PUBLIC)])
    os.replace(replacement, path)


def by_hard_link(path: Path, secret: Path) -> None:
    put_aside(path)
    os.link(secret, path)


def by_relative_symlink(path: Path, secret: Path) -> None:
    put_aside(path)
    path.symlink_to(Path("..") / secret.name)


@posix
@pytest.mark.parametrize("opened_before", [True, False])
@pytest.mark.parametrize("exchange", [by_symlink, by_another_file, by_hard_link, by_relative_symlink])
def test_another_file_put_in_place_of_a_shared_one_is_never_read(
    served: ServedFolder, exchange: Exchange, opened_before: bool
) -> None:
    """The open file stays the hashed file; a file that must be reopened is refused as changed."""
    path, metainfo = shared_file(served)
    secret = served.folder.parent / "secret.txt"
    os.utime(secret, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))  # times do not give it away
    if opened_before:
        assert served.read(metainfo.info_hash, 0, 5000) == PUBLIC[:5000]
    exchange(path, secret)
    got = served.read(metainfo.info_hash, 0, 5000)
    assert got in (PUBLIC[:5000], wire.Refusal.CHANGED)
    served.torrents.check_files()
    assert served.read(metainfo.info_hash, 0, 5000) is wire.Refusal.CHANGED
    assert [event.name for event in served.events][-1] == "sharing_stopped"


@posix
def test_a_file_that_becomes_a_link_while_it_is_being_hashed_is_not_shared(served: ServedFolder) -> None:
    """The race: hashed as one file, offered as another."""
    path = served.folder / "public.bin"
    path.write_bytes(PUBLIC)
    file = SharedFile.open(path)
    metainfo = create_torrent(path, served.folder / "t", "http://127.0.0.1:1/announce")
    by_symlink(path, served.folder.parent / "secret.txt")
    with pytest.raises(FileFault):
        ContentStore(metainfo, path.parent, served.open_files).adopt(file)
    assert served.read(metainfo.info_hash, 0, 100) is wire.Refusal.NOT_SHARED


@posix
def test_the_user_may_share_a_link_and_then_it_is_the_file_behind_it_that_counts(
    served: ServedFolder,
) -> None:
    """Sharing is the user's word, typed here. The hashed file is served, although the link later leads
    elsewhere."""
    target = served.folder.parent / "elsewhere.bin"
    target.write_bytes(PUBLIC)
    link = served.folder / "link.bin"
    link.symlink_to(target)
    metainfo = served.share(link)
    assert served.read(metainfo.info_hash, 0, 1000) == PUBLIC[:1000]
    link.unlink()
    link.symlink_to(served.folder.parent / "secret.txt")
    served.torrents.check_files()
    assert served.read(metainfo.info_hash, 0, 1000) is wire.Refusal.CHANGED


# ---- the downloading side: writes and their places


def metainfo_of(name: str, content: bytes = PUBLIC) -> Metainfo:
    info: dict[bytes, bencode.Value] = {
        b"length": len(content),
        b"name": name.encode(),
        b"piece length": 65_536,
        b"pieces": hashlib.sha1(content).digest(),
    }
    return decode_metainfo(bencode.encode({b"info": info}))


@posix
@pytest.mark.parametrize("place", ["x.bin", "x.bin.part"])
@pytest.mark.parametrize("leads", ["outside", "nowhere", "to a folder", "to itself"])
def test_a_link_in_the_place_of_a_download_is_not_followed(tmp_path: Path, place: str, leads: str) -> None:
    folder = tmp_path / "node1"
    folder.mkdir()
    secret = tmp_path / "secret.txt"
    secret.write_bytes(SECRET)
    target = {
        "outside": secret,
        "nowhere": tmp_path / "new",
        "to a folder": tmp_path,
        "to itself": Path(place),
    }
    (folder / place).symlink_to(target[leads])
    with pytest.raises(FileFault) as raised:
        PartFile.open(folder, metainfo_of("x.bin"))
    assert "\n" not in str(raised.value)
    assert secret.read_bytes() == SECRET and not (tmp_path / "new").exists()


@posix
def test_a_hard_link_in_the_place_of_a_part_is_not_written_through(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_bytes(PUBLIC[::-1])
    folder = tmp_path / "node1"
    folder.mkdir()
    os.link(secret, folder / "x.bin.part")
    with pytest.raises(FileFault, match="hard link"):
        PartFile.open(folder, metainfo_of("x.bin"))
    assert secret.read_bytes() == PUBLIC[::-1]


@posix
def test_a_link_that_appears_under_the_final_name_is_not_replaced_or_followed(tmp_path: Path) -> None:
    """Between the opening of the part and its end NAME becomes a link to elsewhere."""
    secret = tmp_path / "secret.txt"
    secret.write_bytes(SECRET)
    part = PartFile.open(tmp_path, metainfo_of("x.bin"))
    part.write(0, [PUBLIC])
    (tmp_path / "x.bin").symlink_to(secret)
    with pytest.raises(FileFault):
        part.finish()
    assert secret.read_bytes() == SECRET and (tmp_path / "x.bin").is_symlink()
    assert (tmp_path / "x.bin.part").read_bytes() == PUBLIC


@posix
def test_a_part_that_is_exchanged_for_a_link_meanwhile_does_not_lead_the_writing_astray(
    tmp_path: Path,
) -> None:
    """Bytes go to the opened file; another file under its name is not placed as the download."""
    secret = tmp_path / "secret.txt"
    secret.write_bytes(SECRET)
    part = PartFile.open(tmp_path, metainfo_of("x.bin"))
    (tmp_path / "x.bin.part").unlink()
    (tmp_path / "x.bin.part").symlink_to(secret)
    part.write(0, [PUBLIC])
    with pytest.raises(FileFault):
        part.finish()
    assert secret.read_bytes() == SECRET
    assert not (tmp_path / "x.bin").exists()


LEAVING = [
    "..",
    ".",
    "",
    "/etc/passwd",
    "../x",
    "a/b",
    "a\\b",
    "C:\\x",
    "x\0y",
    "NUL",
    "COM1.txt",
    "x.part",
    "x ",
]


@pytest.mark.parametrize("name", [*LEAVING, "x" * 1_000_000], ids=lambda name: name[:20])
def test_a_torrents_name_cannot_leave_the_folder(name: str, tmp_path: Path) -> None:
    """It is replaced by one that every system can store, as the names in folders are."""
    safe = metainfo_of(name).name
    assert safe and safe != name and len(safe.encode()) <= 255
    assert (tmp_path / safe).resolve().parent == tmp_path.resolve()
    assert not set(safe) & set("/\\:\0") and safe == safe.rstrip(" .")
