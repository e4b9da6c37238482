"""Fixtures for the tests of discovery."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.node.discovery.announcer_scene import LIMIT, AnnouncerScene


@pytest.fixture
def scene() -> Iterator[AnnouncerScene]:
    made = AnnouncerScene()
    yield made
    made.announcer.stop()
    if made.thread.ident is not None:
        made.thread.join(LIMIT)
        assert not made.thread.is_alive()
