"""QUIC by aioquic: ``python -m bench.network.quic_flow receive|send HOST ...``, as ``tcp_flow`` does it.

The receiver prints ``{"event": "ready", "port": N}``, takes streams for ``--seconds`` after the first byte
and prints ``{"event": "received", ...}``: bytes, and seconds from the first to the last of them. The sender
opens ``--flows`` connections with one stream each, and keeps each stream's buffer filled.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import json
import ssl
import time
from typing import Any, cast

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent, StreamDataReceived
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

BLOCK = 1 << 16
BUFFERED = 2 << 20  # bytes of a stream that wait, or are not acknowledged: more than any link holds
FLOW_CONTROL = 64 << 20  # bytes; so large that flow control never limits the rate
LOOK = 0.02  # seconds between two looks at the buffer
PATIENCE = 10.0  # seconds for a first byte: a path on which no handshake succeeds carries nothing
PROTOCOL = "bench"


class Sink:
    """Counts what arrives on all connections."""

    def __init__(self) -> None:
        self.amount = 0
        self.first = self.last = 0.0
        self.begun = asyncio.Event()

    def take(self, size: int) -> None:
        """``size`` bytes came just now."""
        self.last = time.monotonic()
        if not self.amount:
            self.first = self.last
            self.begun.set()
        self.amount += size


def configuration(control: str, *, is_client: bool) -> QuicConfiguration:
    """Both ends': packets of 1,500 bytes on the wire, no flow control to speak of."""
    return QuicConfiguration(
        alpn_protocols=[PROTOCOL],
        congestion_control_algorithm=control,
        is_client=is_client,
        max_data=FLOW_CONTROL,
        max_stream_data=FLOW_CONTROL,
        max_datagram_size=1472,
        verify_mode=ssl.CERT_NONE,
    )


def certified(settings: QuicConfiguration) -> QuicConfiguration:
    """Add a certificate, which QUIC demands and the client does not check."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - day).not_valid_after(now + day)
    settings.certificate = cast(Any, builder.sign(key, hashes.SHA256()))
    settings.private_key = key
    return settings


async def receive(host: str, seconds: float) -> None:
    """Take what comes until ``seconds`` after the first byte."""
    sink = Sink()

    class Receiving(QuicConnectionProtocol):
        def quic_event_received(self, event: QuicEvent) -> None:
            if isinstance(event, StreamDataReceived):
                sink.take(len(event.data))

    settings = certified(configuration("cubic", is_client=False))
    server = await serve(host, 0, configuration=settings, create_protocol=Receiving)
    transport = cast(Any, server)._transport
    port = transport.get_extra_info("sockname")[1]
    print(json.dumps({"event": "ready", "port": port}), flush=True)
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(sink.begun.wait(), PATIENCE)
        await asyncio.sleep(seconds)
    seconds = sink.last - sink.first
    print(json.dumps({"event": "received", "bytes": sink.amount, "seconds": seconds}), flush=True)
    server.close()


async def send_one(host: str, port: int, seconds: float, control: str) -> None:
    """Send over one connection for ``seconds``. Buffered data is then dropped."""
    until = time.monotonic() + seconds
    async with connect(host, port, configuration=configuration(control, is_client=True)) as client:
        quic: Any = client._quic
        stream = quic.get_next_available_stream_id(is_unidirectional=True)
        while time.monotonic() < until:
            quic.send_stream_data(stream, bytes(BLOCK))
            sender = quic._streams[stream].sender  # there is no public way to ask how much waits
            if len(sender._buffer) >= BUFFERED:
                client.transmit()
            while len(sender._buffer) >= BUFFERED and time.monotonic() < until:
                await asyncio.sleep(LOOK)


async def send(host: str, port: int, seconds: float, flows: int, control: str) -> None:
    """Send over ``flows`` connections for ``seconds``."""
    print(json.dumps({"event": "sending", "congestion_control": control}), flush=True)
    each = (send_one(host, port, seconds, control) for _ in range(flows))
    await asyncio.gather(*each, return_exceptions=True)  # a failed connection does not end the rest


def main() -> None:
    """Send or receive."""
    parser = argparse.ArgumentParser(prog="python -m bench.network.quic_flow")
    parser.add_argument("role", choices=("receive", "send"))
    parser.add_argument("host")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--flows", type=int, default=1)
    parser.add_argument("--cc", default="cubic")
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        if given.role == "receive":
            asyncio.run(receive(given.host, given.seconds))
        else:
            asyncio.run(send(given.host, given.port, given.seconds, given.flows, given.cc))


if __name__ == "__main__":
    main()
