"""``python -m bench.page.opening RUN.html``: how long a replay takes to open from the disk in Chromium.

Until the story is drawn at the end of the run; the best of three. Exit code 1 if it is above the bound.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.page.browser import launched

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MOST = 2.0  # seconds
TRIES = 3
PATIENCE = 120_000.0  # ms


def seconds_to_open(browser: Browser, file: Path) -> float:
    """Seconds from the address to the first lines of the story."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    try:
        begun = time.monotonic()
        page.goto(file.resolve().as_uri(), timeout=PATIENCE)
        page.locator("#story li[data-index]").first.wait_for(state="attached", timeout=PATIENCE)
        return time.monotonic() - begun
    finally:
        page.close()


def main() -> int:
    """Print the figure; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.page.opening", description=__doc__)
    parser.add_argument("file", type=Path, metavar="RUN.html", help="written by python -m labs replay")
    file: Path = parser.parse_args().file
    try:
        with launched() as browser:
            best = min(seconds_to_open(browser, file) for _ in range(TRIES))
    except (ImportError, OSError) as error:
        print(f"skipped: {error}")
        return 0
    size = file.stat().st_size / 1e6
    print(f"{file.name}: {size:.1f} MB, open after {best:.2f} s; at most {MOST:g} s")
    return 0 if best <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
