"""2,000 datagrams to a slow reader on real sockets: python labs/02-loss/live.py [--flood]

--flood    all back to back; without it, your Pacer decides
"""

from __future__ import annotations

import importlib
import socket
import sys
import threading
import time

Pacer = importlib.import_module("mine").Pacer  # of mine.py in this folder
COUNT, SIZE = 2000, 1472  # datagrams, and bytes of each
BUFFER = 64 * SIZE  # bytes that the reader's socket keeps
DRAIN = 400  # datagrams that the reader takes a second


def read_slowly(reader: socket.socket, arrived: list[int]) -> None:
    """Take DRAIN datagrams a second, until none has come for a second."""
    began = time.monotonic()
    while True:
        try:
            arrived.append(int.from_bytes(reader.recv(SIZE)[:4], "big"))
        except TimeoutError:
            return
        time.sleep(max(0.0, began + len(arrived) / DRAIN - time.monotonic()))


def send(sender: socket.socket, flood: bool) -> None:
    """Send COUNT numbered datagrams."""
    pacer, began, sent = Pacer(SIZE, BUFFER, float(DRAIN * SIZE)), time.monotonic(), 0
    while sent < COUNT:
        allowed = COUNT if flood else pacer.allow(time.monotonic() - began)
        for number in range(sent, min(COUNT, sent + allowed)):
            sender.send(number.to_bytes(4, "big") + bytes(SIZE - 4))
        sent = min(COUNT, sent + allowed)
        time.sleep(0 if flood else 0.002)


def main() -> None:
    """Send, read, and print the numbers that arrived."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reader,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        # Linux counts about 2,304 bytes for such a datagram, and doubles the size that a program sets
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER * 2304 // SIZE // 2)
        reader.bind(("127.0.0.1", 0))
        reader.settimeout(1.0)
        sender.connect(reader.getsockname())
        arrived: list[int] = []
        reading = threading.Thread(target=read_slowly, args=(reader, arrived))
        reading.start()
        began = time.monotonic()
        send(sender, "--flood" in sys.argv)
        seconds = time.monotonic() - began
        reading.join()
    print(f"{COUNT} sent in {seconds:.2f} s, {len(arrived)} arrived, {COUNT - len(arrived)} lost")
    missing = sorted(set(range(COUNT)) - set(arrived))
    print(f"the first that is missing: number {missing[0]}" if missing else "none is missing")


if __name__ == "__main__":
    main()
