"""Software that a machine may lack: each fixture skips its tests and names the way to install it."""

from __future__ import annotations

import shutil
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def libtorrent() -> ModuleType:
    return pytest.importorskip("libtorrent", reason="libtorrent is not installed (make interop)")


@pytest.fixture(scope="session")
def aria2() -> str:
    """The path of aria2c."""
    return program("aria2c", "aria2")


@pytest.fixture(scope="session")
def mktorrent() -> str:
    """The path of mktorrent."""
    return program("mktorrent", "mktorrent")


def program(name: str, package: str) -> str:
    found = shutil.which(name)
    if not found:
        pytest.skip(f"{package} is not installed (your package manager has it)")
    return found
