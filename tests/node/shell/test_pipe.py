"""Bytes of a pipe as lines, and lines carried out in order."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.shell.pipe import LINE_LIMIT, read_bytes, run_pipe, split_lines
from node.show.output import PlainOutput
from node.show.screen import TextScreen


def lines_of(*chunks: bytes) -> tuple[list[str], str]:
    """The lines, and the errors shown."""
    err = io.StringIO()
    return list(split_lines(chunks, TextScreen(PlainOutput(err), PlainOutput(err)))), err.getvalue()


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_any_bytes_however_cut_are_lines_and_nothing_is_lost(data: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    lines, complaints = lines_of(*(data[a:b] for a, b in zip(places, places[1:], strict=False)))
    assert "\n".join(lines).encode("utf-8", "surrogateescape") == data.removesuffix(b"\n")
    assert complaints == ""


@pytest.mark.parametrize("size", [1, 1000, 65536, 10**6])
def test_a_line_that_is_too_long_is_refused_once_and_skipped(size: int) -> None:
    data = b"first\n" + b"x" * (LINE_LIMIT + 1) + b"yz\nlast"
    lines, complaints = lines_of(*(data[at : at + size] for at in range(0, len(data), size)))
    assert lines == ["first", "last"]
    assert complaints == f"a line longer than {LINE_LIMIT} characters is not a command\n"


def test_a_line_that_just_fits() -> None:
    assert lines_of(b"x" * LINE_LIMIT) == (["x" * LINE_LIMIT], "")


def test_reading_ends_with_the_input_and_with_a_closed_descriptor() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"help")
    os.close(writing)
    assert b"".join(read_bytes(reading)) == b"help"
    os.close(reading)
    assert list(read_bytes(reading)) == []


class RecordingNode:
    """A node that writes down what it is asked, in order."""

    def __init__(self, shares: bool) -> None:
        self.asked: list[Any] = []
        self.shares = shares

    def set_send_mode(self, filename: str) -> None:
        self.asked.append(("send", filename))

    def set_download_mode(self, torrent_filename: str) -> None:
        self.asked.append(("download", torrent_filename))

    def wait_for_downloads(self, timeout: float | None = None) -> bool:
        self.asked.append("wait")
        return True

    def is_sharing(self) -> bool:
        self.asked.append("sharing?")
        return self.shares


def typed(*lines: str) -> Iterator[str]:
    yield from lines


def run(node: RecordingNode, stop: threading.Event, *lines: str) -> tuple[int, str]:
    out = io.StringIO()
    code = run_pipe(node, TextScreen(PlainOutput(out), PlainOutput(out)), typed(*lines), stop)  # type: ignore[arg-type]  # part of a node
    return code, out.getvalue()


def test_commands_are_carried_out_in_order_then_downloads_finish() -> None:
    node = RecordingNode(shares=False)
    assert (
        run(node, threading.Event(), "torrent -setMode send a", "bad", "torrent -setMode download b")[0] == 0
    )
    assert node.asked == [("send", "a"), ("download", "b"), "wait", "sharing?"]


def test_leaving_waits_for_nothing() -> None:
    node = RecordingNode(shares=True)
    assert run(node, threading.Event(), "torrent -setMode send a", "exit", "torrent -setMode send b")[0] == 0
    assert node.asked == [("send", "a")]


def test_who_shares_serves_until_stopped() -> None:
    node = RecordingNode(shares=True)
    stop = threading.Event()
    serving = threading.Thread(target=run, args=(node, stop), daemon=True)
    serving.start()
    serving.join(0.3)
    assert serving.is_alive()
    stop.set()
    serving.join(10)
    assert not serving.is_alive()
