"""A few of the transfers over real sockets that ``make soak`` does by the thousand."""

from __future__ import annotations

import pytest

from simulator import sockets


def test_real_downloads_among_liars_and_losses_end_identical(capsys: pytest.CaptureFixture[str]) -> None:
    assert sockets.soak(0, 12) == 0, capsys.readouterr().out
    assert "12 of 12 over sockets: 0 broken" in capsys.readouterr().out
