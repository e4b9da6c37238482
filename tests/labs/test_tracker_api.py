"""The lab client against a real tracker: its example runs as it stands, and refusals say what they say."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from typing import Any

import pytest

from labs import tracker_api
from labs.tracker_api import Refused, Tracker


@pytest.fixture
def one(start_tracker: Any) -> Iterator[Tracker]:
    tracker = Tracker(start_tracker(NODE_RATE="1").url, 1, ("127.0.0.1", 4001))
    yield tracker
    tracker._session.close()


def test_the_example_runs_as_it_stands(tracker_process: Any) -> None:
    text = (tracker_api.__doc__ or "").replace("http://127.0.0.1:12345", tracker_process.url)
    example = doctest.DocTestParser().get_doctest(text, {"Tracker": Tracker}, "example", None, 0)
    told: list[str] = []
    results = doctest.DocTestRunner().run(example, out=told.append)
    assert results.attempted and not results.failed, "".join(told)


def test_a_refusal_says_what_is_wrong_and_when_to_come_again(one: Tracker) -> None:
    with pytest.raises(Refused) as refused:
        one.own("a\nb")
    assert (refused.value.status, refused.value.field) == (400, "filename")
    with pytest.raises(Refused) as refused:
        for _ in range(1000):
            one.need("f")
    assert refused.value.status == 429
    assert refused.value.retry_after is not None and refused.value.retry_after >= 1


def test_a_claimed_node_id_is_refused_to_others(one: Tracker) -> None:
    one.register(claim=True)
    assert one.secret
    other = Tracker(one.url, 1, ("127.0.0.1", 4001))
    with pytest.raises(Refused) as refused:
        other.exit()
    assert refused.value.status == 403
    again = Tracker(one.url, 1, ("127.0.0.1", 4001), secret=one.secret)
    again.exit()
    other._session.close()
