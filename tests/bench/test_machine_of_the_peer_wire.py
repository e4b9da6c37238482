"""The benchmark of the pure peer wire exchanges every byte."""

from __future__ import annotations

from bench.bittorrent.machine import PIECE, measure


def test_both_rates_are_measured() -> None:
    rates = measure(32 * PIECE)
    assert rates.leecher > 0 and rates.seed > 0
