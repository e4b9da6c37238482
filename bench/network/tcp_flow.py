"""TCP over plain sockets, without iperf3: ``python -m bench.network.tcp_flow receive|send HOST ...``.

The receiver prints ``{"event": "ready", "port": N}``, takes connections for ``--seconds`` after the first and
prints ``{"event": "received", ...}``: bytes, and seconds from the first to the last of them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import selectors
import socket
import time

BLOCK = 1 << 16
PATIENCE = 60.0  # seconds for a first connection
TCP_CONGESTION = 13  # linux/tcp.h; not in the socket module elsewhere


def receive(host: str, seconds: float) -> None:
    """Take what comes until ``seconds`` after the first byte."""
    amount, first, last = 0, 0.0, 0.0
    with socket.create_server((host, 0)) as listener, selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        print(json.dumps({"event": "ready", "port": listener.getsockname()[1]}), flush=True)
        deadline = time.monotonic() + PATIENCE
        while (now := time.monotonic()) < deadline:
            for key, _ in selector.select(deadline - now):
                assert isinstance(key.fileobj, socket.socket)
                if key.fileobj is listener:
                    selector.register(listener.accept()[0], selectors.EVENT_READ)
                    continue
                size = _read(key.fileobj)
                if not size:
                    selector.unregister(key.fileobj)
                    continue
                last = time.monotonic()
                if not amount:
                    first, deadline = last, last + seconds
                amount += size
    print(json.dumps({"event": "received", "bytes": amount, "seconds": last - first}), flush=True)


def _read(sock: socket.socket) -> int:
    with contextlib.suppress(ConnectionError):
        return len(sock.recv(BLOCK))
    return 0


def send(host: str, port: int, seconds: float, flows: int, control: str) -> None:
    """Send over ``flows`` connections for ``seconds``, and print the congestion control in use."""
    block = bytes(BLOCK)
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        deadline = time.monotonic() + seconds
        used = ""
        for _ in range(flows):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, control.encode())
            used = sock.getsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, 16).rstrip(b"\0").decode()
            sock.setblocking(False)
            sock.connect_ex((host, port))
            selector.register(sock, selectors.EVENT_WRITE)
        print(json.dumps({"event": "sending", "congestion_control": used}), flush=True)
        while (now := time.monotonic()) < deadline and selector.get_map():
            for key, _ in selector.select(deadline - now):
                assert isinstance(key.fileobj, socket.socket)
                try:
                    key.fileobj.send(block)
                except BlockingIOError:
                    continue
                except OSError:  # the receiver has enough
                    selector.unregister(key.fileobj)


def main() -> None:
    """Send or receive."""
    parser = argparse.ArgumentParser(prog="python -m bench.network.tcp_flow")
    parser.add_argument("role", choices=("receive", "send"))
    parser.add_argument("host")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--flows", type=int, default=1)
    parser.add_argument("--cc", default="cubic")
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        if given.role == "receive":
            receive(given.host, given.seconds)
        else:
            send(given.host, given.port, given.seconds, given.flows, given.cc)


if __name__ == "__main__":
    main()
