"""No part of the page covers or cuts another one, at the sizes that people have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.dashboard.conftest import Dashboard, Show

WIDE = [(1280, 800), (1440, 900), (1920, 1080)]
# Pairs of parts that share more than a hairline, parts that reach out of the page, and panels whose content
# reaches below them.
FAULTS = """() => {
  const all = [...document.querySelectorAll(".top, #notice, main > section, .dock")];
  const parts = all.filter((each) => each.offsetParent);
  const name = (each) => each.id || each.className;
  const boxes = new Map(parts.map((each) => [name(each), each.getBoundingClientRect()]));
  const found = [];
  for (const [one, a] of boxes) {
    for (const [other, b] of boxes) {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (one < other && across > 1 && down > 1) found.push(`${one} covers ${other}: ${Math.round(down)} px`);
    }
    if (a.right > innerWidth + 1 || a.left < -1) found.push(`${one} is wider than the page`);
  }
  for (const panel of document.querySelectorAll("main > section")) {
    const { bottom } = panel.getBoundingClientRect();
    for (const child of panel.children) {
      const low = child.matches(".twin") ? 0 : child.getBoundingClientRect().bottom;
      if (low > bottom + 1) found.push(`${panel.id} is ${Math.round(low - bottom)} px too short`);
    }
  }
  return found;
}"""


def in_the_middle(at: Dashboard) -> None:
    """Half of the run is over, and a leecher with its messages is selected."""
    at.press("Home", "Shift+ArrowRight", "1", "ArrowRight", "Enter")


def faults(at: Dashboard) -> Any:
    at.drawn()
    return at.page.evaluate(FAULTS)


@pytest.mark.timeout(300)
def test_panels_and_notices_stand_beside_each_other(show: Show, replay: str, tmp_path: Path) -> None:
    at = show(replay)
    in_the_middle(at)
    (tmp_path / "rubbish.jsonl").write_text("nothing\n")
    for width, height in WIDE:
        at.page.set_viewport_size({"width": width, "height": height})
        assert faults(at) == []
        assert not at.page.evaluate("document.documentElement.scrollHeight > innerHeight")
        assert is_whole(at, "#messages .is-now .hit", "#messages [data-part=diagram]")
        assert is_whole(at, "#story .now", "#story [data-part=list]")
    at.page.locator("#recording-file").set_input_files(tmp_path / "rubbish.jsonl")
    at.wait_for("#notice", "This file is no recording")
    for width, height in WIDE:
        at.page.set_viewport_size({"width": width, "height": height})
        assert faults(at) == []


def is_whole(at: Dashboard, row: str, inside: str) -> bool:
    """The row is not cut by the edge of what scrolls."""
    [one, box] = (at.page.locator(each).first.bounding_box() for each in (row, inside))
    assert one and box
    return box["y"] <= one["y"] + 1 and one["y"] + one["height"] <= box["y"] + box["height"] + 1


@pytest.mark.timeout(300)
def test_a_phone_reaches_everything(show: Show, replay: str) -> None:
    at = show(replay, width=360, height=740)
    in_the_middle(at)
    assert at.page.evaluate("document.documentElement.scrollWidth") == 360
    at.page.locator("#show-help").click()
    assert at.page.locator("#help").is_visible()
    at.page.locator("#help button").click()
    for button in at.page.locator(".top button:visible").all():
        box = button.bounding_box()
        assert box and box["width"] >= 44 and box["height"] >= 44 and box["x"] + box["width"] <= 360
