"""Bytes pass at a rate that changes, and the two ways of asking agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faults.rates import Rates

STEPS = Rates(10.0, [(5.0, 1.0), (10.0, 20.0)])


@pytest.mark.parametrize(
    ("begins", "size", "at"),
    [(0, 10, 1), (0, 50, 5), (4, 20, 10.25), (4, 15, 10), (4, 11, 6), (9, 21, 11), (20, 40, 22)],
)
def test_when_bytes_have_passed(begins: float, size: float, at: float) -> None:
    assert STEPS.passed_at(begins, size) == pytest.approx(at)


@pytest.mark.parametrize(
    ("begins", "ends", "size"),
    [(0, 1, 10), (0, 5, 50), (4, 6, 11), (4, 11, 35), (20, 22, 40), (3, 3, 0), (3, 1, 0)],
)
def test_how_many_bytes_pass(begins: float, ends: float, size: float) -> None:
    assert STEPS.passing(begins, ends) == pytest.approx(size)


@given(st.floats(0, 20), st.floats(0.001, 500))
def test_as_many_pass_as_had_to(begins: float, size: float) -> None:
    assert STEPS.passing(begins, STEPS.passed_at(begins, size)) == pytest.approx(size, rel=1e-6)


def test_one_rate_for_ever() -> None:
    assert Rates(4.0).passed_at(1.0, 8.0) == 3.0
    assert Rates(4.0).passing(1.0, 3.0) == 8.0
