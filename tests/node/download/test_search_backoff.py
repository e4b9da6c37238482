"""When a download searches again, and when it gives up."""

from __future__ import annotations

import itertools

from node.download.search_backoff import REFRESH, SEARCH, SearchBackoff, SearchStep


def test_waits_grow_and_end_in_giving_up() -> None:
    backoff = SearchBackoff(limit=30.0, now=0.0)
    backoff.note_progress(0, 0.0)
    now, waits = 0.0, []
    while True:
        what, new = backoff.next_step(now)
        if what is SearchStep.GIVE_UP:
            break
        if what is SearchStep.WAIT:
            assert new
            waits.append(backoff.seconds_left(now))
            assert backoff.next_step(now) == (SearchStep.WAIT, False)
            now += backoff.seconds_left(now)
    assert waits[:4] == [SEARCH.first, 2 * SEARCH.first, 4 * SEARCH.first, 8 * SEARCH.first]
    assert max(waits) == SEARCH.limit
    assert 30.0 < now < 30.0 + 2 * SEARCH.limit


def test_new_bytes_put_off_giving_up() -> None:
    backoff = SearchBackoff(limit=30.0, now=0.0)
    backoff.note_progress(0, 0.0)
    backoff.note_progress(1, 29.0)
    assert backoff.next_step(31.0)[0] is SearchStep.WAIT
    backoff.note_progress(1, 40.0)
    assert backoff.next_step(60.0)[0] is SearchStep.GIVE_UP


def test_more_peers_are_searched_for_now_and_then() -> None:
    backoff = SearchBackoff(limit=30.0, now=0.0)
    asked = [now / 100 for now in range(10_000) if backoff.wants_refresh(now / 100)]
    waits = [after - before for before, after in zip([0.0, *asked], asked, strict=False)]
    assert abs(waits[0] - REFRESH.first) < 0.02
    assert abs(waits[1] - REFRESH.first * REFRESH.growth) < 0.02
    assert all(longer >= shorter - 0.02 for shorter, longer in itertools.pairwise(waits))
    assert abs(waits[-1] - REFRESH.limit) < 0.02
