"""The dashboard in a headless Chromium: served by a real tracker, or as one file with a recording.

Without playwright or Chromium these tests are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.page.browser import chromium, launched
from common.one_page import assemble
from tests.sample_log import write_sample
from tests.waiting import until
from tracker.web.page_files import FOLDER

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

STARTED = 60_000.0  # ms that a page may take to start on a busy machine


class Dashboard:
    """A page in the browser, and what it asked for, said and got wrong."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)

    def open(self, address: str) -> None:
        """Load the page; it has drawn a first time."""
        self.page.goto(address, timeout=STARTED)
        self.wait_for("#story [data-part=list] > *, #story [data-part=words]:not([hidden]) p")

    def wait_for(self, selector: str, text: str | re.Pattern[str] = "") -> None:
        """An element of ``selector`` has ``text`` in it, seen or not."""
        self.page.locator(selector, has_text=text).first.wait_for(state="attached", timeout=STARTED)

    def text(self, selector: str) -> str:
        """The words of an element, seen or not."""
        return self.page.locator(selector).first.text_content() or ""

    def story(self) -> list[str]:
        """The sentences near the present."""
        return self.page.locator("#story li span").all_text_contents()

    def press(self, *keys: str) -> None:
        """Keys, one after the other; each is drawn before the next one."""
        for key in keys:
            self.page.keyboard.press(key)
            self.drawn()

    def drawn(self) -> None:
        """Two animation frames have passed, so all changes until now are drawn."""
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def until(self, condition: Callable[[], bool], patience: float = 60.0) -> None:
        """Wait until ``condition()`` is true, while the page goes on."""
        until(lambda: self.page.wait_for_timeout(20) or condition(), patience)

    def counts(self) -> tuple[int, int]:
        """n and m of "event n of m"."""
        words = self.text("#event-count").replace(",", "").split()
        return int(words[1]), int(words[3])


Show = Callable[..., Dashboard]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    pytest.importorskip("playwright.sync_api")
    if chromium() is None:
        pytest.skip("no Chromium is installed")
    with launched() as found:
        yield found


@pytest.fixture
def show(browser: Browser) -> Iterator[Show]:
    """Opens an address at a size. At the end no page may have had an error of a script or of its policy."""
    with ExitStack() as stack:
        yield lambda address, **options: stack.enter_context(shown(browser, address, **options))


@contextmanager
def shown(
    browser: Browser, address: str, width: int = 1280, height: int = 900, theme: Any = "light", **options: Any
) -> Iterator[Dashboard]:
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme, **options)
    dashboard = Dashboard(page)
    try:
        dashboard.open(address)
        yield dashboard
    finally:
        page.close()
    # A browser reports a server that does not answer as an error, too.
    assert [text for text in dashboard.errors if "ERR_CONNECTION_REFUSED" not in text] == []


@pytest.fixture(scope="session")
def replay(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of one file: the page with a made-up recording in which each kind of event occurs."""
    return one_file(tmp_path_factory.mktemp("replay"), nodes=6, pieces=60, seconds=30).as_uri()


def one_file(folder: Path, **sample: int) -> Path:
    """A page with a sample recording."""
    recording = folder / "run.jsonl.gz"
    write_sample(recording, seed=1, **sample)
    files = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir() if path.is_file()}
    page = folder / "run.html"
    page.write_text(assemble(files, recording.read_bytes()), encoding="utf-8")
    return page
