"""Numbers for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.show import units


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (104_857_600, "104.9 MB"),
        (2**40, "1.1 TB"),
        (float("inf"), "?"),
    ],
)
def test_sizes(amount: float, text: str) -> None:
    assert units.size(amount) == text


def test_rates() -> None:
    assert units.rate(83_200_000) == "83.2 MB/s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.844, "0.84 s"), (9.999, "10.0 s"), (59.96, "1:00"), (185, "3:05"), (3723, "1:02:03")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-:--"), (float("inf"), "-:--"), (0.1, "0:01"), (0, "0:00"), (61, "1:01"), (3600, "1:00:00")],
)
def test_time_left(seconds: float | None, text: str) -> None:
    assert units.eta(seconds) == text


@given(st.integers(1, 2**50), st.data())
def test_only_all_of_it_is_one_hundred_percent(whole: int, data: st.DataObject) -> None:
    done = data.draw(st.integers(0, whole - 1))
    assert 0 <= float(units.percent(done, whole)[:-1]) < 100
    assert units.percent(whole, whole) == units.percent(0, 0) == "100.0%"


@pytest.mark.parametrize(
    ("amount", "whole", "text"),
    [(39.8e6, 100e6, "39.8 of 100.0 MB"), (999, 2000, "999 B of 2.0 kB"), (1, 2, "1 of 2 B")],
)
def test_a_part_of_a_whole(amount: float, whole: float, text: str) -> None:
    assert units.part(amount, whole) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(32_768, "32 KiB"), (1 << 20, "1 MiB"), (3 << 19, "1536 KiB"), (1000, "1000 B"), (0, "0 B")],
)
def test_piece_lengths(amount: int, text: str) -> None:
    assert units.binary_size(amount) == text
