"""A pixel's colour is its piece's state, a frame is cheap, and an empty swarm says what to do."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.page import frames
from bench.page.browser import opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

APP = Path(__file__).with_name("drawing.js")
COUNTED = re.compile(r"pieces (\d+) to (\d+) at node (\d+): (.*)")
WORDS = {".": "missing", "r": "requested", "c": "received", "v": "verified", "x": "bad"}


def drawn(page: Page, nodes: int, pieces: int, cells: int) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """Random cells of a made swarm as they are drawn and named, and the letters of each node's pieces."""
    page.evaluate("(size) => fill(size)", {"nodes": nodes, "pieces": pieces, "links": 30, "seed": 11})
    found = page.evaluate("(count) => cells(count)", cells)
    assert found["rows"] == nodes and found["columns"] == min(pieces, 600)
    return found["cells"], {node: page.evaluate("(id) => letters(id)", node) for node in range(1, nodes + 1)}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_colours_of_200_random_cells_are_their_states(browser: Browser, theme: Any) -> None:
    with opened(browser, APP, theme=theme) as page:
        cells, letters = drawn(page, nodes=9, pieces=200, cells=200)
        colours = page.evaluate("palette()")
    for cell in cells:
        node, piece = cell["node"], cell["piece"]
        letter = letters[node][piece]
        assert re.match(rf"piece {piece} at node {node}: {WORDS[letter]}\b", cell["text"]), cell["text"]
        assert shape(cell["colours"], colours) == letter, cell
    assert {letters[cell["node"]][cell["piece"]] for cell in cells} >= set(".rcv")


def shape(downwards: list[str], colours: dict[str, str]) -> str:
    """The state that a reader sees in a cell's column of pixels. A bad piece below covers the last 3."""
    bar = [colour for colour in downwards[:-3] if colour]
    dark = bar.count(colours["ink"]) / len(bar)
    if bar.count(colours["bad"]) > len(bar) / 2:
        return "x"
    if bar.count(colours["data"]) == len(bar):
        return "v"
    assert bar.count(colours["track"]) + bar.count(colours["ink"]) == len(bar), bar
    return "." if dark == 0 else "r" if dark < 0.45 else "c"


def test_more_pieces_than_pixels_are_counted_and_one_bad_piece_stays_visible(browser: Browser) -> None:
    with opened(browser, APP) as page:
        cells, letters = drawn(page, nodes=12, pieces=4000, cells=400)
        colours = page.evaluate("palette()")
        page.evaluate("onlyBad(7, 2345)")
        widest = page.evaluate("(wanted) => widest(wanted)", colours["bad"])
    tones: dict[str, set[float]] = {}
    for cell in cells:
        found = COUNTED.match(cell["text"])
        assert found and (int(found[1]), int(found[3])) == (cell["piece"], cell["node"])
        held = letters[cell["node"]][int(found[1]) : int(found[2]) + 1]
        assert found[4] == ", ".join(f"{held.count(key)} {WORDS[key]}" for key in "vcrx." if key in held)
        if "x" not in letters[cell["node"]]:
            tones.setdefault(cell["colours"][2], set()).add(held.count("v") / len(held))
    assert tones.pop(colours["track"]) == {0} and tones.pop(colours["data"]) == {1}
    steps = sorted((min(shares), max(shares)) for shares in tones.values())
    assert len(steps) == 3 and all(one[1] < other[0] for one, other in pairwise(steps))
    assert widest >= 4


def test_script_of_a_frame_is_short(browser: Browser) -> None:
    """The bound is 8 ms on a machine at rest (``python -m bench.page``); other programs run beside a test."""
    costs = frames.measure(browser, frames=40, warm_up=15)
    assert min(costs.frame) <= 3 * frames.MOST, costs.parts


def test_an_empty_swarm_says_what_to_do(browser: Browser) -> None:
    with opened(browser, APP) as page:
        page.evaluate("settle()")
        assert page.inner_text("#swarm [data-part=words]").split("\n\n") == [
            "No node is here yet.",
            "Start one: python TorrentClient.py -node_id 1",
        ]
        assert not page.is_visible("#swarm canvas")
        page.evaluate("addNode(1, false)")
        assert page.inner_text("#swarm [data-part=words]").split("\n\n") == [
            "1 node is here. Nothing is shared yet.",
            "At the prompt of node 1: torrent -setMode send FILE",
        ]
        assert page.is_visible("#swarm canvas") and not page.is_visible("#pieces canvas")


def test_a_node_without_the_file_is_no_leecher_of_it(browser: Browser) -> None:
    with opened(browser, APP) as page:
        page.evaluate("(size) => fill(size)", {"nodes": 4, "pieces": 40, "links": 4, "seed": 2})
        before = page.inner_text("#swarm [data-part=summary]")
        page.evaluate("addNode(77, false)")
        assert page.inner_text("#swarm [data-part=summary]") == before != ""
        row = page.locator("#node tr", has_text="node 77")
        assert row.inner_text().split("\t") == ["node 77", "no file"]
        row.click()
        page.evaluate("settle()")
        assert page.inner_text("#node .why") == "It has no file yet."


def test_reduced_motion_ends_every_movement(browser: Browser) -> None:
    change = """() => {
      const link = Object.values(model.state.links)[0];
      const torrent = Object.keys(link)[0];
      model.player.playing = true;
      model.select({ node: 2 });
      draw();
      for (const other of Object.values(model.state.links)) other[torrent].in.bytes = 9;
      model.mark("state");
      return draw();
    }"""
    moves = {}
    for motion in ("reduce", "no-preference"):
        with opened(browser, APP, motion=motion) as page:
            page.evaluate("(size) => fill(size)", {"nodes": 8, "pieces": 40, "links": 20, "seed": 2})
            moves[motion] = page.evaluate(change)
    assert moves == {"reduce": False, "no-preference": True}


def test_the_keyboard_selects_a_node_and_a_cell_and_reads_the_table(browser: Browser) -> None:
    with opened(browser, APP) as page:
        page.evaluate("(size) => fill(size)", {"nodes": 6, "pieces": 90, "links": 12, "seed": 4})
        page.focus("#swarm canvas")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        assert page.evaluate("model.selected.node") is not None
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.dataset.part") == "twin"
        assert page.locator("#swarm [data-part=twin]").bounding_box() is not None
        assert "verified" in page.inner_text("#swarm [data-part=twin]")
        page.focus("#pieces canvas")
        for key in ("ArrowDown", "ArrowRight", "ArrowRight", "Enter"):
            page.keyboard.press(key)
        assert page.evaluate("model.selected.piece") is not None
