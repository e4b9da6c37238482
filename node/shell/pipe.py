"""Driven through a pipe: commands are carried out in order, one after the other."""

from __future__ import annotations

import codecs
import os
import threading
from collections.abc import Iterable, Iterator

from node.shell.actions import carry_out_line
from node.shell.interfaces import DrivenNode, Screen
from node.shell.stop import wait_until

LINE_LIMIT = 65536  # characters of one command; no path is longer anywhere


def read_bytes(descriptor: int) -> Iterator[bytes]:
    """What comes from ``descriptor``, as it comes, until its end.

    Reads below sys.stdin, whose lock a thread blocked in a read would still hold when the program ends.
    """
    while True:
        try:
            data = os.read(descriptor, 65536)
        except OSError:  # closed, or a terminal that is gone
            return
        if not data:
            return
        yield data


def split_lines(chunks: Iterable[bytes], screen: Screen) -> Iterator[str]:
    """Lines of UTF-8, however they are cut into ``chunks``; one beyond LINE_LIMIT is refused and skipped.

    Bytes that are no UTF-8 stay what they are (surrogates), as file names on Linux may be anything.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    rest = ""
    skipping = False  # the rest of a line that is too long
    for data in chunks:
        *lines, rest = (rest + decoder.decode(data)).split("\n")
        for line in lines:
            if not skipping and _fits(line, screen):
                yield line
            skipping = False
        if not skipping and not _fits(rest, screen):
            skipping = True
        if skipping:
            rest = ""
    rest += decoder.decode(b"", final=True)
    if rest and not skipping:
        yield rest


def _fits(line: str, screen: Screen) -> bool:
    if len(line) > LINE_LIMIT:
        screen.error(f"a line longer than {LINE_LIMIT} characters is no command")
    return len(line) <= LINE_LIMIT


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
