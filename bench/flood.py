"""``python -m bench.flood HOST:PORT``: a flood of a UDP port of this machine, for measurements.

It sends at a stated rate for a stated time, from a given number of made-up source addresses, and reports the
amount really sent: one JSON object a line. It refuses any target but loopback, and ends by itself.

    junk        random bytes, of every length up to an Ethernet packet's
    headers     our magic, version and a known type, then random bytes: the checksum is wrong
    tokenless   good ASKs without a token, each of a transfer of its own
    forged      good REQUESTs with invented tokens
    requests    good REQUESTs without a token
    replayed    good REQUESTs with our own valid token, from the made-up sources (without: from us)
    answers     TOKEN, TELL, REFUSE and DATA, that only a fetcher would look at
    mixed       all of these in turn
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import json
import random
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from common.errors import WireError
from node.chunk_udp import sockets, wire

BATCH = 32  # datagrams of one size and one source that the system sends in one call
POOL = 64  # batches that are made beforehand and sent again and again
REPORT = 0.1  # seconds between two lines
TOKEN_PATIENCE = 1.0  # seconds to wait for a token
MAX_RATE, MAX_SECONDS, MAX_SOURCES = 5_000_000, 600.0, 1 << 24
ETHERNET_PAYLOAD = 1472  # bytes of UDP in one Ethernet packet
IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)  # linux/in.h; with it each call names its own source address
_SOURCE = struct.Struct("@I4s4s")
_FIRST_SOURCE = 0x7F000002  # 127.0.0.2; all of 127.0.0.0/8 is this machine (Linux)
_SIZE = struct.Struct("@H")


@dataclass(frozen=True)
class FloodTarget:
    """The attacker's knowledge: the shared torrent, and a token for its own address."""

    info_hash: bytes
    token: bytes


Make = Callable[[random.Random, FloodTarget, int], bytes]  # the int: a size for all of a batch


def _junk(rng: random.Random, known: FloodTarget, size: int) -> bytes:
    return rng.randbytes(size)


def _headers(rng: random.Random, known: FloodTarget, size: int) -> bytes:
    kind, whole = (wire.Kind.ASK, wire.ASK_SIZE) if size % 2 else (wire.Kind.REQUEST, 72)
    return bytes([wire.MAGIC, wire.VERSION, kind, 0]) + rng.randbytes(whole - 4)


def _tokenless(rng: random.Random, known: FloodTarget, size: int) -> bytes:
    return wire.encode(wire.Ask(rng.getrandbits(64), (1 << 31) + rng.randrange(8), known.info_hash))


def _request(rng: random.Random, info_hash: bytes, token: bytes) -> bytes:
    transfer, sequence = rng.getrandbits(64), rng.randrange(1, 1000)
    return wire.encode(wire.Request(transfer, sequence, 0, wire.MAX_REQUEST, info_hash, token, 16_384))


def _forged(rng: random.Random, known: FloodTarget, size: int) -> bytes:
    return _request(rng, known.info_hash, rng.randbytes(wire.TOKEN_SIZE))


def _replayed(rng: random.Random, known: FloodTarget, size: int) -> bytes:
    return _request(rng, known.info_hash, known.token)


def _requests(rng: random.Random, known: FloodTarget, size: int) -> bytes:
    return _request(rng, known.info_hash, wire.NO_TOKEN)


def _answers(rng: random.Random, known: FloodTarget, size: int) -> bytes:
    transfer, sequence = rng.getrandbits(64), rng.randrange(1, 1000)
    if size % 3 == 0:
        return wire.encode(wire.Token(transfer, sequence, rng.randbytes(wire.TOKEN_SIZE)))
    if size % 3 == 1:
        return wire.encode(wire.Tell(transfer, sequence, rng.getrandbits(40), True))
    return wire.encode(wire.Data(transfer, sequence, rng.getrandbits(40), rng.randbytes(1200), True))


MAKERS: dict[str, tuple[Make, ...]] = {
    "junk": (_junk,),
    "headers": (_headers,),
    "tokenless": (_tokenless,),
    "forged": (_forged,),
    "requests": (_requests,),
    "replayed": (_replayed,),
    "answers": (_answers,),
    "mixed": (_junk, _headers, _tokenless, _forged, _requests, _replayed, _answers),
}
KINDS = tuple(MAKERS)


def batches(kind: str, known: FloodTarget, seed: int) -> list[tuple[bytes, int]]:
    """``POOL`` batches of ``BATCH`` datagrams of one size (the system cuts at equal distances); that size."""
    rng = random.Random(seed)
    made = []
    for number in range(POOL):
        make = MAKERS[kind][number % len(MAKERS[kind])]
        size = rng.randrange(1, ETHERNET_PAYLOAD + 1)
        datagrams = [make(rng, known, size) for _ in range(BATCH)]
        made.append((b"".join(datagrams), len(datagrams[0])))
    return made


def sources(count: int) -> Iterator[bytes]:
    """``count`` addresses of 127.0.0.0/8 in turn, packed."""
    while True:
        for number in range(count):
            yield (_FIRST_SOURCE + number).to_bytes(4, "big")


class Flood:
    """Sends to ``target``. ``count`` made-up sources; 0: its own address."""

    def __init__(self, target: tuple[str, int], kind: str, info_hash: bytes, count: int, seed: int) -> None:
        self.sent = 0
        self._target = target
        self._sources = sources(count) if count else None
        self._sock = socket.socket(sockets.family_of(target[0]), socket.SOCK_DGRAM)
        self._splits = sockets.supports_gso(self._sock)
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # answers are hardly read
        self._pool = batches(kind, FloodTarget(info_hash, self._own_token(info_hash)), seed)

    def _own_token(self, info_hash: bytes) -> bytes:
        """A token, got as every fetcher gets it; NO_TOKEN if the port gives no token."""
        self._sock.settimeout(TOKEN_PATIENCE)
        try:
            self._sock.sendto(wire.encode(wire.Ask(1, 1 << 31, info_hash)), self._target)
            answer = wire.decode(self._sock.recv(sockets.MAX_RECEIVE))
        except (OSError, WireError):
            return wire.NO_TOKEN
        finally:
            self._sock.settimeout(None)
        return answer.token if isinstance(answer, wire.Token) else wire.NO_TOKEN

    def burst(self, number: int) -> None:
        """Send one batch; datagrams that the system does not take are not counted."""
        joined, size = self._pool[number % len(self._pool)]
        ancillary = []
        if self._sources is not None:
            source = _SOURCE.pack(0, next(self._sources), bytes(4))
            ancillary.append((socket.IPPROTO_IP, IP_PKTINFO, source))
        with contextlib.suppress(OSError):  # an earlier datagram was refused, or no room: go on
            if self._splits:
                ancillary.append((socket.IPPROTO_UDP, sockets.UDP_SEGMENT, _SIZE.pack(size)))
                self._sock.sendmsg([joined], ancillary, 0, self._target)
                self.sent += len(joined) // size
            else:
                for at in range(0, len(joined), size):
                    self._sock.sendto(joined[at : at + size], self._target)
                    self.sent += 1

    def close(self) -> None:
        """Let go of the socket."""
        self._sock.close()


def run(flood: Flood, rate: int, seconds: float, stopping: Callable[[], bool]) -> None:
    """Send ``rate`` a second in even batches, never catching up more than a tenth of a second."""
    begun = due = next_report = time.monotonic()
    number = 0
    while (now := time.monotonic()) - begun < seconds and not stopping():
        if now >= next_report:
            report(flood, now - begun)
            next_report = now + REPORT
        if now < due:
            time.sleep(min(due - now, REPORT))
            continue
        flood.burst(number)
        number += 1
        due = max(due, now - REPORT) + BATCH / rate
    report(flood, time.monotonic() - begun, "completed")


def report(flood: Flood, seconds: float, event: str = "flooding") -> None:
    """One line: how much, for how long, and when (monotonic; on one machine the same for all processes)."""
    line = {"event": event, "sent": flood.sent, "seconds": round(seconds, 4), "at": time.monotonic()}
    print(json.dumps(line), flush=True)


def target(text: str) -> tuple[str, int]:
    """HOST:PORT on this machine's loopback, and nothing else."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    try:
        good = ipaddress.ip_address(host).is_loopback and 0 < int(port) < 65_536
    except ValueError:
        good = False
    if not good:
        raise argparse.ArgumentTypeError(f"{text!r} is no loopback HOST:PORT; others are not flooded")
    return host, int(port)


def bounded(kind: type, most: float) -> Callable[[str], float]:
    """A number from 0 to ``most``."""

    def number(text: str) -> float:
        value: float = kind(text)
        if not 0 <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not from 0 to {most}")
        return value

    return number


def main(words: list[str] | None = None) -> int:
    """Flood until the time is over, or until SIGTERM or SIGINT."""
    usage, _, kinds = (__doc__ or "").partition("\n\n    junk")
    parser = argparse.ArgumentParser(
        prog="python -m bench.flood",
        description=usage,
        epilog="    junk" + kinds,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("target", type=target, metavar="HOST:PORT")
    add("--kind", choices=KINDS, default="mixed")
    add(
        "--rate",
        type=bounded(int, MAX_RATE),
        default=100_000,
        metavar="N",
        help="datagrams a second (100000)",
    )
    add("--seconds", type=bounded(float, MAX_SECONDS), default=10.0, metavar="N", help="then it ends (10)")
    add(
        "--sources", type=bounded(int, MAX_SOURCES), default=0, metavar="N", help="addresses (Linux; its own)"
    )
    add("--info-hash", type=bytes.fromhex, default=bytes(20), metavar="HEX", help="what is asked for")
    add("--seed", type=int, default=1, metavar="N")
    given = parser.parse_args(words)
    if given.sources and not sockets.LINUX:
        parser.error("--sources: only Linux lets a socket choose its address for each datagram")
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: stopped.append(number))
    flood = Flood(given.target, given.kind, given.info_hash.ljust(20, b"\0"), given.sources, given.seed)
    try:
        run(flood, max(1, given.rate), given.seconds, lambda: bool(stopped))
    except BrokenPipeError:  # the reader of our reports has ended
        return 1
    finally:
        flood.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
