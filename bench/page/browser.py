"""The dashboard's page in a headless Chromium, with another ``app.js`` and without a server.

The browser's requests to an invented address are answered from the files of the page, under the page's own
Content-Security-Policy. Needs the Python package playwright and a Chromium of the system.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from tracker.web.dashboard import PAGE_POLICY, STATIC
from tracker.web.page_files import INDEX, PageFile, PageFiles

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

ORIGIN = "http://page.invalid"
MADE = "/made/"  # the files of this folder
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 100_000.0  # ms: the machine may be busy
FOLDER = Path(__file__).resolve().parent


def chromium() -> str | None:
    """The path of the system's Chromium; None without it."""
    return next((path for name in CHROMIUMS if (path := shutil.which(name))), None)


@contextmanager
def launched() -> Iterator[Browser]:
    """A headless Chromium. ImportError without playwright, OSError without Chromium."""
    from playwright.sync_api import sync_playwright

    path = chromium()
    if path is None:
        raise OSError("no Chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser,
    app: Path,
    width: int = 1280,
    height: int = 900,
    motion: Literal["reduce", "no-preference"] = "no-preference",
    theme: Literal["light", "dark"] = "light",
) -> Iterator[Page]:
    """The page at this size, with ``app`` as its app.js. An error of a script is raised at the end."""
    page = browser.new_page(
        viewport={"width": width, "height": height}, reduced_motion=motion, color_scheme=theme
    )
    page.set_default_timeout(PATIENCE)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.route("**/*", lambda route: _answer(route, app))
    try:
        page.goto(f"{ORIGIN}/")
        yield page
    finally:
        page.close()
    assert not errors, errors


def _answer(route: Route, app: Path) -> None:
    path = urlsplit(route.request.url).path
    found = _found(path, app)
    if found is None:
        route.fulfill(status=404, body="")
        return
    headers = {"Content-Type": found.content_type, "Content-Security-Policy": PAGE_POLICY}
    route.fulfill(status=200, body=found.body, headers=headers)


def _found(path: str, app: Path) -> PageFile | None:
    """The file at this path of the invented address."""
    if path == f"{STATIC}app.js":
        return PageFiles(app.parent).find(app.name)
    if path.startswith(MADE):
        return PageFiles(FOLDER).find(path.removeprefix(MADE))
    return PageFiles().find(INDEX if path == "/" else path.removeprefix(STATIC))
