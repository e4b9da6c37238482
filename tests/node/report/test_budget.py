"""The reports of a node stay below max(1 kB/s, 1% of the bytes moved), averaged over five seconds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.report.budget import BUDGET_SECONDS, Budget

STEPS = st.lists(
    st.tuples(
        st.floats(0.0, 2.0),  # seconds until the step
        st.integers(0, 50_000_000),  # bytes moved in it
        st.integers(0, 70_000),  # bytes that wait to be reported
    ),
    max_size=60,
)


@given(STEPS)
def test_no_five_seconds_have_more_than_the_budget(steps: list[tuple[float, int, int]]) -> None:
    now, budget = 100.0, Budget(100.0)
    moved: list[tuple[float, int]] = []
    sent: list[tuple[float, int]] = []
    for seconds, amount, wanted in steps:
        now += seconds
        budget.moved(amount, now)
        moved.append((now, amount))
        size = min(wanted, budget.left(now))
        if size:
            budget.sent(size, now)
            sent.append((now, size))
            window = [sum(a for at, a in rows if at > now - BUDGET_SECONDS) for rows in (sent, moved)]
            assert window[0] <= max(1000 * BUDGET_SECONDS, window[1] / 100)


def test_a_node_with_much_to_say_is_read_every_half_second() -> None:
    """A large report never causes a long silence."""
    budget, now, sizes = Budget(0.0), 0.0, []
    for _ in range(60):
        now += 0.5
        sizes.append(budget.left(now))
        budget.sent(sizes[-1], now)
    assert max(sizes) <= 1500 and set(sizes[10:]) == {350}


def test_one_percent_of_what_moves_may_be_reported() -> None:
    budget, total = Budget(0.0), 0
    for step in range(1, 41):
        now = step / 2
        budget.moved(5_000_000, now)
        total += (size := budget.left(now))
        budget.sent(size, now)
    assert 0.55 * 2_000_000 < total <= 2_000_000
