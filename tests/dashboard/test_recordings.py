"""Recordings in the page: opened, cut, foreign, and very long ones."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.dashboard.conftest import Dashboard, Show

HEADER = '{"log": "swarm/1", "run": "ab"}\n'


def events(count: int) -> str:
    """A recording of ``count`` events, 10 ms apart."""
    line = '{"time": %d, "node": null, "seq": %d, "name": "tracker:exit", "data": {"node": %d}}\n'
    return HEADER + "".join(line % (10 * n, n, n % 900) for n in range(1, count + 1))


def open_file(at: Dashboard, name: str, content: bytes) -> None:
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    at.page.locator("#recording-file").set_input_files(file)


def test_a_bad_file_says_so_and_leaves_the_picture(show: Show, replay: str, tmp_path: Path) -> None:
    at = show(replay)
    before = at.counts()
    for content in (b"PK\x03\x04rubbish", b"{}\n", gzip.compress(b"[]\n"), b"\x1f\x8bno gzip at all", b""):
        open_file(at, "x", content)
        at.wait_for("#notice", 'This file is no recording: line 1 has no "log".')
        assert at.counts() == before
        at.page.locator("#notice button").click()
        at.until(lambda: at.page.locator("#notice").is_hidden())
    whole = events(3000).encode()
    zipped = gzip.compress(whole)
    for content in (whole[:-20], zipped[: len(zipped) // 2]):
        open_file(at, "cut.jsonl", content)
        at.wait_for("#notice", "The recording ends in the middle of line ")
        n, all_events = at.counts()
        assert 100 < n == all_events < 3000
        at.page.locator("#notice button").click()
        at.until(lambda: at.page.locator("#notice").is_hidden())
    open_file(at, "good.jsonl.gz", zipped)
    at.until(lambda: at.counts() == (3000, 3000))
    assert at.page.locator("#notice").is_hidden() and "good.jsonl.gz" in at.text("#tracker-name")


@pytest.mark.timeout(300)
def test_a_story_of_100_000_events_has_few_rows_in_the_page(show: Show, replay: str) -> None:
    at = show(replay)
    open_file(at, "long.jsonl", events(100_000).encode())
    at.until(lambda: at.counts() == (100_000, 100_000))
    rows = at.page.locator("#story li[data-index]")
    for keys, last in ((["End"], 99_999), (["Home", "."], 0), (["End", ","], 99_998)):
        at.press(*keys)
        assert rows.count() < 200
        assert at.page.locator("#story .now").get_attribute("data-index") == str(last)
        assert at.page.locator("#story .now").get_attribute("aria-setsize") == "100000"
    scroll = "(list, share) => { list.scrollTop = share * list.scrollHeight; }"
    at.page.locator("#story [data-part=list]").evaluate(scroll, 0.5)
    at.until(lambda: 40_000 < int(rows.nth(50).get_attribute("data-index") or 0) < 60_000)
    assert rows.count() < 200
    at.page.locator("#story input").fill("Node 777")
    at.until(lambda: bool(at.story()) and all("Node 777 " in sentence for sentence in at.story()))
    assert rows.first.get_attribute("aria-setsize") == "111"
