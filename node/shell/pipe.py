"""Driven through a pipe: commands are carried out in order."""

from __future__ import annotations

import codecs
import os
import select
import threading
from collections.abc import Iterable, Iterator

from node.node import Node
from node.shell.execute import Executor
from node.shell.signals import wait_until
from node.show.screen import Screen

LINE_LIMIT = 65536  # characters of one command; no system has longer paths


def read_bytes(descriptor: int) -> Iterator[bytes]:
    """The bytes from ``descriptor`` as they arrive, until its end.

    This reads below sys.stdin: a thread blocked there would still hold its lock when the program ends.
    """
    while True:
        try:
            data = os.read(descriptor, 65536)
        except BlockingIOError:  # another process has made it non-blocking
            select.select([descriptor], [], [])
            continue
        except OSError:  # closed, or a terminal that is gone
            return
        if not data:
            return
        yield data


def split_lines(chunks: Iterable[bytes], screen: Screen) -> Iterator[str]:
    """Lines of UTF-8 in ``chunks``. A line longer than LINE_LIMIT is refused and skipped.

    Bytes that are not UTF-8 become surrogates: file names on Linux may have any bytes.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    rest = ""
    skipping = False  # the next characters belong to a line that is too long
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
        screen.error(f"a line longer than {LINE_LIMIT} characters is not a command")
    return len(line) <= LINE_LIMIT


def run_pipe(node: Node, screen: Screen, lines: Iterator[str], stop: threading.Event) -> int:
    """Carry out ``lines``, let downloads finish, then serve until ``stop`` if there is anything to serve.

    The exit code.
    """
    screen.say("ENTER YOUR COMMAND!")
    executor = Executor(node, screen, stop)
    for line in lines:
        if not executor.line(line):
            return 0
    node.wait_for_downloads()
    if node.is_sharing():
        screen.say("input has ended; sharing until stopped (SIGINT or SIGTERM)")
        wait_until(stop)
    return 0
