"""A part file to fill, on every kind of system."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common.metainfo import Metainfo, decode_metainfo, encode_metainfo
from node.content import positional_file
from node.content.part_file import PartFile

SIZE = 100_000  # bytes of "x.bin"


def make_metainfo(size: int = SIZE, name: str = "x.bin") -> Metainfo:
    piece_length = 32 << 10
    return decode_metainfo(
        encode_metainfo(name, size, piece_length, bytes(20 * -(-size // piece_length)), "")
    )


@pytest.fixture
def metainfo_of() -> Callable[..., Metainfo]:
    """``metainfo_of(size=SIZE, name="x.bin")``: a torrent whose hashes are zeros."""
    return make_metainfo


@pytest.fixture
def raising() -> Callable[[int], Callable[..., Any]]:
    """``raising(errno)``: a stand-in for a system call that fails."""

    def make(number: int) -> Callable[..., Any]:
        def call(*arguments: object, **named: object) -> Any:
            raise OSError(number, os.strerror(number))

        return call

    return make


@pytest.fixture(params=["positional", "with a lock"])
def any_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of reading and writing at an offset."""
    if request.param == "with a lock":
        monkeypatch.setattr(positional_file, "HAS_POSITIONAL", False)
    elif not positional_file.HAS_POSITIONAL:
        pytest.skip("this system has no pread and pwrite")


@pytest.fixture
def part(any_system: None, tmp_path: Path) -> Iterator[PartFile]:
    opened = PartFile.open(tmp_path, make_metainfo())
    yield opened
    opened.close()
