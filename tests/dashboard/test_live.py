"""The page beside a real tracker and real nodes: waiting, one origin, one file, a restart, a key."""

from __future__ import annotations

import base64
import gzip
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from common.events import SwarmEvent, decode_event
from common.swarm_state import SwarmState
from common.vocabulary import KEYFRAME

if TYPE_CHECKING:
    from tests.dashboard.conftest import Show

MB = 1_000_000
WAITS = ".twin td:nth-of-type(4)"  # the column "waits at" of the table twin


@pytest.mark.timeout(300)
def test_with_one_slot_two_askers_are_shown_waiting_and_all_comes_from_the_tracker(
    show: Show, start_tracker: Any, start_node: Callable[..., Any], tmp_path: Path
) -> None:
    """Afterwards the run is saved as one file, which shows the same without a request."""
    tracker = start_tracker()
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * (4 * MB // 256))

    def node(number: int, *words: str, **settings: str) -> Any:
        return start_node("-node_id", str(number), "-tracker", tracker.url, "--json", *words, **settings)

    owner = node(1, "-up", "500kB", UPLOAD_SLOTS="1")
    owner.type('torrent -setMode send "a.bin"')
    torrent = tmp_path / owner.wait_for("sharing")["torrent"]
    askers = [node(number, "-setMode", "download", str(torrent)) for number in (2, 3, 4)]

    at = show(f"{tracker.url}/")

    at.page.locator("#story button", has_text="waiting").click()
    queue = re.compile(r"At node 1 nodes (\d) and (\d) wait; node (\d) has a slot\.")
    at.wait_for("#story li", queue)
    at.press(" ")  # the picture stays
    while not queue.fullmatch(at.text("#story .now span")):
        at.press(",")
    at.page.locator("#swarm .twin").focus()
    both = ["node 1, place 1", "node 1, place 2"]
    for _ in range(60):  # the askers' own reports come a little later
        if (
            sorted(text for text in at.page.locator(f"#swarm {WAITS}").all_text_contents() if text != "-")
            == both
        ):
            break
        at.press(".")
    else:
        raise AssertionError("the page never shows both with their places")
    at.page.locator("#story li.now").click()
    assert "slot" in at.text("#story .now") or "waits, place" in at.text("#node [data-part=body]")

    for asker in askers:
        assert asker.end(120) == 0
    assert {url.split("/")[2] for url in at.requests} == {tracker.url.split("/")[2]}
    at.press("l", "Escape")
    saved = saved_page(at, tmp_path)
    *events, end = recorded(saved)
    state = SwarmState()
    for event in events:
        state.apply(event)
    assert end.name == KEYFRAME and end.data == state.as_json()
    again = show(saved.as_uri())
    assert again.requests == [saved.as_uri()]
    assert again.counts()[1] >= at.counts()[1] - 50 and again.text("#file-name") == "a.bin"


def saved_page(at: Any, folder: Path) -> Path:
    """The page as one file, which its user saves in ``folder``."""
    with at.page.expect_download() as download:
        at.press("s")
    saved = folder / "saved.html"
    download.value.save_as(saved)
    return saved


def recorded(page: Path) -> list[SwarmEvent]:
    """The events in a saved page."""
    text = page.read_text(encoding="utf-8").split('<script type="text/plain" id="recording">')[1]
    lines = gzip.decompress(base64.b64decode(text.split("<")[0])).splitlines()
    return [decode_event(line) for line in lines[1:]]


def test_a_tracker_that_is_killed_and_returns(show: Show, start_tracker: Any) -> None:
    tracker = start_tracker()
    register(tracker.url, 1)
    at = show(f"{tracker.url}/")
    at.wait_for("#story li", "Node 1 registers")
    tracker.kill()
    killed = time.monotonic()
    at.wait_for("#notice", f"The tracker at {tracker.url[7:]} has not answered since 0:")
    assert time.monotonic() - killed < 20  # 2 s on a machine that is not busy
    assert at.text("#mode") == "Stopped"
    tracker.restart()
    at.wait_for("#notice", "The tracker was started again. This is a new run.")
    register(tracker.url, 2)
    at.wait_for("#story li", "Node 2 registers")
    assert at.text("#mode") == "Live" and not any("Node 1 " in text for text in at.story())
    at.page.locator("#notice button").click()
    at.wait_for("#story li", "Node 1 registers")
    at.page.locator("#notice button").click()
    at.wait_for("#story li", "Node 2 registers")


def register(url: str, number: int) -> None:
    fields = {"node_id": number, "addr": ["127.0.0.1", 40_000 + number]}
    assert requests.post(f"{url}/register", json=fields, timeout=30).status_code == 200


def test_a_swarm_with_a_key_asks_for_it(show: Show, start_tracker: Any) -> None:
    tracker = start_tracker(SWARM_KEY="a long enough secret")
    at = show(f"{tracker.url}/")
    at.wait_for("#key-form:not([hidden])", "This swarm has a key. Enter it to look.")
    at.page.keyboard.type("wrong\n")  # the field has the focus
    at.wait_for("#key-form:not([hidden])", "This is not the key of the swarm.")
    at.page.keyboard.type("a long enough secret\n")
    at.wait_for("#story li", "The tracker starts.")
    assert at.page.locator("#key-form").is_hidden()
    at.errors = [error for error in at.errors if "403" not in error]
