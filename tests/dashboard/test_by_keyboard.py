"""Every task is done by keyboard alone, and axe finds no barrier."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.dashboard.conftest import Dashboard, Show

SERIOUS = ("serious", "critical")


def focused(dashboard: Dashboard) -> str:
    """The id of the panel that has the focus."""
    return str(dashboard.page.evaluate("() => document.activeElement.closest('section, dialog')?.id ?? ''"))


@pytest.mark.timeout(300)
def test_a_list_of_tasks_is_done_by_keyboard_alone(show: Show, replay: str) -> None:
    at = show(replay)
    _, events = at.counts()
    go_through_time(at, events)
    node = select_a_node(at)
    only_that_node(at, node)
    find_the_faults(at, events)
    read_the_story(at)
    look_at_messages(at)
    set_the_pace(at)
    turn_keys_off(at)
    before = at.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    at.page.locator("#theme").focus()
    at.press("Enter")
    assert at.page.evaluate("() => getComputedStyle(document.body).backgroundColor") != before


def go_through_time(at: Dashboard, events: int) -> None:
    at.press("Home")
    assert at.counts() == (0, events) and at.text("#clock") == "0:00.000"
    at.press(".", ".", ".", ",")
    assert at.counts() == (2, events)
    at.press("End", "ArrowLeft")
    clock = at.text("#clock")
    at.press("Shift+ArrowLeft", "Shift+ArrowRight")
    assert at.text("#clock") == clock and at.counts()[0] < events


def select_a_node(at: Dashboard) -> str:
    """A leecher, in the picture; its panel and the picture's table are one Tab away."""
    at.press("Home")
    at.press(*["Shift+ArrowRight"] * 1, "1")
    assert focused(at) == "swarm"
    at.press("ArrowRight", "Enter")
    title = at.text("#node-title")
    assert re.fullmatch(r"Node \d+", title)
    figures = re.sub(r"\d[\d.,]*", "0", at.text("#node dl"))
    assert figures == "down0 MB/sup, limit 0 MB/spieces0 of 0rank0 of 0"
    assert re.search(r"node \d+\.\d\d MB/s", at.text("#node .peers"))
    at.press("Tab")
    assert at.page.locator("#swarm .twin").evaluate("(twin) => twin === document.activeElement")
    assert title.split()[1] in at.text("#swarm .twin")
    return title


def only_that_node(at: Dashboard, node: str) -> None:
    at.press("n")
    assert f"only {node.lower()}" in at.text("#chips")
    position = at.counts()[0]
    at.press(".", ".", ",")
    assert at.counts()[0] > position
    assert node in at.text("#story .now") or node.lower() in at.text("#story .now")
    assert all(node.lower() in sentence.lower() for sentence in at.story())
    at.press("n")


def find_the_faults(at: Dashboard, events: int) -> None:
    at.press("Home", "f")
    assert at.page.locator("#story [aria-pressed=true]").text_content() == "faults"
    at.press(".", ".")
    assert at.counts()[0] < events
    assert at.page.locator("#story li").count() == at.page.locator("#story li.fault, #story .room").count()
    at.press("Escape")
    assert at.text("#chips") == ""


def read_the_story(at: Dashboard) -> None:
    at.press("4")
    assert focused(at) == "story"
    before = at.counts()[0]
    at.press("ArrowDown", "ArrowDown", "ArrowUp")
    assert at.counts()[0] == before + 1
    current = at.page.locator("#story [data-part=list]").get_attribute("aria-activedescendant")
    assert at.page.locator(f"#{current}").get_attribute("aria-selected") == "true"
    at.press("Enter")
    assert at.text("#node-title") != "Nodes"
    at.until(lambda: at.text("#live") != "")


def look_at_messages(at: Dashboard) -> None:
    at.press("5")
    assert focused(at) == "messages"
    at.press("ArrowDown")
    assert at.page.locator("#messages .is-now").count() == 1
    assert at.text("#messages [data-part=fields]") != ""


def set_the_pace(at: Dashboard) -> None:
    at.press("e", "+")
    assert at.page.locator("#speed option:checked").text_content() == "5 a second"
    at.press("-", "-", "-", "e")
    assert at.page.locator("#speed option:checked").text_content() == "1×"
    at.press("Home", " ")
    assert at.page.locator("#play").get_attribute("aria-label") == "Pause"
    at.until(lambda: at.counts()[0] > 0)
    at.press(" ")


def turn_keys_off(at: Dashboard) -> None:
    at.press("?")
    assert focused(at) == "help"
    at.page.locator("#single-keys").focus()
    at.press(" ", "Escape", "Home")
    at.press(".")
    assert at.counts()[0] == 0
    at.press("?")
    at.page.locator("#single-keys").focus()
    at.press(" ", "Escape", ".")
    assert at.counts()[0] == 1


@pytest.mark.timeout(300)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(show: Show, replay: str, theme: Any) -> None:
    pytest.importorskip("axe_playwright_python")
    from axe_playwright_python.sync_playwright import Axe

    at, found = show(replay, height=1080, theme=theme), []
    at.press("Home", "Shift+ArrowRight", "1", "ArrowRight", "Enter", "n", "2", "ArrowRight", "Enter")
    for width in (360, 1280, 1920):
        at.page.set_viewport_size({"width": width, "height": 1080})
        at.drawn()
        found += [(width, each) for each in Axe().run(at.page).response["violations"]]
    at.press("?")
    found += [(0, each) for each in Axe().run(at.page, "#help").response["violations"]]
    serious = [(width, each) for width, each in found if each["impact"] in SERIOUS]
    assert [
        (width, each["id"], [node["html"][:120] for node in each["nodes"]]) for width, each in serious
    ] == []
