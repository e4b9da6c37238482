"""Floods: honest transfers go on, and no stranger costs memory, however many there are."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from bench import under_flood
from bench.content import make_content
from node.chunk_udp import address_validation, slots, sockets, wire
from node.chunk_udp.address_validation import AddressValidator
from node.chunk_udp.fetcher import Fetcher
from node.chunk_udp.owner import Owner
from node.chunk_udp.responder import Responder
from node.chunk_udp.slots import Slots
from node.chunk_udp.upload_log import MAX_REMEMBERED
from node.settings import TransferSettings
from simulator.served import MemoryTorrent, memory_info
from tests.node.chunk_udp.loopback import LoopbackDownload

ROOT = Path(__file__).resolve().parents[2]
STRANGERS = 1_000_000
SLACK = 12 << 20  # bytes; a dictionary of a million addresses takes more than ten times that
INFO_HASH = b"i" * 20
CONTENT = random.Random(2).randbytes(2_000_000)
INFO = memory_info(len(CONTENT), info_hash=INFO_HASH)
SETTINGS = TransferSettings(owner_timeout=20.0, loopback_segment_size=1400, socket_buffer_size=1 << 16)

linux = pytest.mark.skipif(not sockets.LINUX, reason="only Linux lets a socket choose its address each time")


def memory() -> int:
    """Bytes of this process that are in memory."""
    return int(psutil.Process().memory_info().rss)


def test_a_million_addresses_leave_no_trace() -> None:
    """With and without tokens, junk and well-formed, some answered and most not: nothing grows."""
    answerer = Responder(AddressValidator(b"secret"), {INFO_HASH: MemoryTorrent(CONTENT)}, Slots(16))
    rng = random.Random(3)
    ask = wire.encode(wire.Ask(1, 1 << 31, INFO_HASH))
    request = wire.Request(1, 1, 0, 65_536, INFO_HASH, NO, 1440)
    forged = wire.encode(wire.Request(1, 1, 0, 65_536, INFO_HASH, rng.randbytes(16), 1440))
    datagrams = [ask, wire.encode(request), forged, ask[:50], rng.randbytes(128), rng.randbytes(72)]
    now, answered, before = 1000.0, 0, 0
    for number in range(STRANGERS):
        addr = (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1 + number % 65_535)
        answer = answerer.handle_requests(datagrams[number % 6], addr, now)
        answered += answer is not None
        now += 1e-5  # 100,000 a second
        if number == STRANGERS // 10:
            before = memory()
    assert answered > 10_000, "hardly anybody got an answer: this was no test"
    assert memory() - before < SLACK
    assert sum(answerer.counts.values()) == STRANGERS
    assert len(answerer.counts) < 20


NO = wire.NO_TOKEN


def test_many_who_prove_themselves_fill_bounded_tables_only() -> None:
    """An attacker may own many addresses, too: a token each, and every one asks for bytes."""
    mint, served = AddressValidator(b"secret"), Slots(16)
    answerer = Responder(mint, {INFO_HASH: MemoryTorrent(CONTENT)}, served)
    for number in range(5000):
        addr = (f"10.0.{number // 250}.{number % 250}", 4000)
        for datagram in (
            wire.encode(wire.Ask(1, 1 << 31, INFO_HASH, mint.make(addr, 5.0))),
            wire.encode(wire.Request(1, 1, 0, 65_536, INFO_HASH, mint.make(addr, 5.0), 1440)),
        ):
            answerer.handle_requests(datagram, addr, 5.0)
    assert len(served.served()) <= 16
    assert len(served.queue()) <= slots.MAX_QUEUE
    tables = [value for value in vars(mint).values() if isinstance(value, dict)]
    assert tables and all(len(table) <= address_validation.MAX_VALIDATED for table in tables)


@pytest.fixture
def owner() -> Iterator[Owner]:
    sock = sockets.udp_socket("127.0.0.1", 0, 4 << 20)
    serving = Owner(sock, {INFO_HASH: MemoryTorrent(CONTENT)}, b"secret")
    thread = threading.Thread(target=serving.listen)
    thread.start()
    yield serving
    serving.stop()
    thread.join(20)
    sock.close()


@contextmanager
def flood(addr: tuple[str, int], *words: str, rate: int = 20_000) -> Iterator[Callable[[], int]]:
    """Flood ``addr`` from another process, which has begun; call the value for the number sent so far."""
    command = [sys.executable, "-m", "bench.flood", f"{addr[0]}:{addr[1]}", "--rate", str(rate)]
    with subprocess.Popen(
        [*command, "--seconds", "30", *words], cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8"
    ) as attacker:
        assert attacker.stdout is not None
        lines = iter(attacker.stdout)

        def sent() -> int:
            return int(json.loads(next(lines))["sent"])

        while not sent():
            pass
        try:
            yield sent
        finally:
            attacker.terminate()


@linux
@pytest.mark.parametrize("kind", ["tokenless", "mixed"])
def test_an_owner_keeps_nothing_of_real_strangers_from_a_hundred_thousand_addresses(
    owner: Owner, kind: str
) -> None:
    """Real datagrams from 127.0.0.0/8; and an honest fetcher gets its file meanwhile."""
    addr = owner._sock.getsockname()
    before = memory()
    supply = LoopbackDownload(len(CONTENT))
    words = ["--kind", kind, "--sources", "100000", "--info-hash", INFO_HASH.hex()]
    with flood(addr, *words) as sent:
        Fetcher(addr, INFO, supply, SETTINGS).run()
        while sent() < 20_000:
            pass
    assert supply.data == CONTENT
    assert len(owner.uploads.rows((), 0.0)) <= MAX_REMEMBERED
    assert memory() - before < SLACK


def test_a_flood_at_the_fetchers_port_does_not_get_in(owner: Owner) -> None:
    """The system drops what does not come from the owner's address, before the fetcher sees any of it."""
    supply = LoopbackDownload(len(CONTENT))
    fetcher = Fetcher(owner._sock.getsockname(), INFO, supply, SETTINGS)
    with flood(fetcher._sock.getsockname(), "--kind", "answers") as sent:
        fetcher.receive_chunk()
        assert sent() > 0
    counters = fetcher.connection.stats
    assert supply.data == CONTENT
    assert (counters.stale, counters.malformed) == (0, 0)


def test_nodes_as_processes_under_a_flood(tmp_path: Path) -> None:
    """``python -m bench --only flood`` in small: the file is right; the bench judges the speed."""
    content = make_content(tmp_path, 1 << 20)
    (flooded,) = under_flood.measure(tmp_path, content, ["mixed"])
    assert flooded.seconds is not None, "the download failed"
    assert flooded.sent > 1000, "hardly a flood"


@pytest.mark.parametrize("target", ["10.0.0.1:5", "example.org:80", "127.0.0.1:0", "127.0.0.1", "0.0.0.0:9"])
def test_nobody_else_can_be_flooded(target: str) -> None:
    from bench.flood import main

    with pytest.raises(SystemExit):
        main([target])
