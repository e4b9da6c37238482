"""An owner's address is taken away and given back, in a network namespace of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from common.errors import LocalFault, PeerFault
from node.chunk_udp import sockets
from node.chunk_udp.transport import UdpTransport
from node.peer import Peer
from node.settings import TransferSettings
from simulator.served import MemoryTorrent
from tests.node.chunk_udp.loopback import CONTENT, INFO, INFO_HASH, LoopbackDownload

ROOT = Path(__file__).parents[3]
HOST = "10.9.9.9"
SETTINGS = TransferSettings(owner_timeout=20.0)
NAMESPACE = ["unshare", "--user", "--map-root-user", "--net"]


class AddressEvents:
    """Lets a test wait for a transport's reports."""

    def __init__(self) -> None:
        self.lost, self.restored = threading.Event(), threading.Event()

    def on_address_lost(self, host: str) -> None:
        self.lost.set()

    def on_address_restored(self, host: str) -> None:
        self.restored.set()

    def on_failed(self, fault: LocalFault) -> None:
        raise AssertionError(fault)


def can_have_namespaces() -> bool:
    if not (sockets.LINUX and shutil.which("unshare") and shutil.which("ip")):
        return False
    return subprocess.run([*NAMESPACE, "ip", "link"], capture_output=True).returncode == 0


@pytest.mark.skipif(not can_have_namespaces(), reason="no network namespaces, or no ip command")
def test_an_owner_notices_that_its_address_is_gone_and_serves_again_when_it_is_back() -> None:
    command = [*NAMESPACE, sys.executable, "-m", "tests.node.chunk_udp.test_address_lost"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)


def address(change: str) -> None:
    subprocess.run(["ip", "addr", change, f"{HOST}/32", "dev", "lo"], check=True)


def fetch_from(owner: UdpTransport, fetching: UdpTransport) -> bool:
    download = LoopbackDownload()
    fetching.connect(Peer(*owner.addr), INFO, download).run()
    return download.is_identical()


def in_the_namespace() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    address("add")
    observer = AddressEvents()
    owner, fetching = (UdpTransport(SETTINGS, sockets.udp_socket(HOST, 0, 1 << 20)) for _ in range(2))
    owner.start({INFO_HASH: MemoryTorrent(CONTENT)}, observer)
    assert fetch_from(owner, fetching)
    address("del")
    assert observer.lost.wait(20)
    with pytest.raises(PeerFault, match="no socket for it"):
        fetch_from(owner, fetching)
    address("add")
    assert observer.restored.wait(20)
    assert fetch_from(owner, fetching)
    owner.stop()
    fetching.stop()


if __name__ == "__main__":
    in_the_namespace()
