"""Driven through a pipe: commands are carried out in order, one after the other."""

from __future__ import annotations

import codecs
import os
import threading
from collections.abc import Iterator

from node.shell.actions import carry_out_line
from node.shell.interfaces import DrivenNode, Screen
from node.shell.stop import wait_until

LINE_LIMIT = 65536  # characters of one command; no path is longer anywhere


def read_lines(descriptor: int, screen: Screen) -> Iterator[str]:
    """Lines of UTF-8 from ``descriptor`` until its end; one beyond LINE_LIMIT is refused and skipped.

    Reads below sys.stdin, whose lock a thread blocked in a read would still hold when the program ends.
    Bytes that are no UTF-8 stay what they are (surrogates), as file names on Linux may be anything.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    rest = ""
    skipping = False
    while data := _read(descriptor):
        *lines, rest = (rest + decoder.decode(data)).split("\n")
        for line in lines:
            if not skipping:
                yield line
            skipping = False
        if len(rest) > LINE_LIMIT:
            screen.error(f"a line longer than {LINE_LIMIT} characters is no command")
            skipping = True
        if skipping:
            rest = ""
    if rest and not skipping:
        yield rest


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # closed, or a terminal that is gone
        return b""


def run_pipe(node: DrivenNode, screen: Screen, lines: Iterator[str], stop: threading.Event) -> int:
    """Carry out ``lines``; at their end let downloads finish, then serve until ``stop`` if there is anything
    to serve. The exit code."""
    screen.say("ENTER YOUR COMMAND!")
    for line in lines:
        if not carry_out_line(line, node, screen, stop):
            return 0
    node.wait_for_downloads()
    if node.is_sharing():
        screen.say("input has ended; sharing until stopped (SIGINT or SIGTERM)")
        wait_until(stop)
    return 0
