"""``python -m bench.page``: the cost of a frame, as a table. Exit code 1 if it is above the bound."""

from __future__ import annotations

import statistics
import sys

from bench.page.browser import launched
from bench.page.frames import MOST, measure


def main() -> int:
    try:
        with launched() as browser:
            costs = measure(browser)
    except (ImportError, OSError) as error:
        print(f"skipped: {error}")
        return 0
    print(f"one frame: 60 nodes x 4,000 pieces, 200 links, {len(costs.frame)} frames, ms of script")
    for name, values in {**costs.parts, "together": costs.frame}.items():
        high = statistics.quantiles(values, n=20)[-1]
        print(f"  {name:10} median {statistics.median(values):5.2f}   95 % {high:5.2f}")
    good = costs.median <= MOST
    print(f"  median at most {MOST:g} ms: {'ok' if good else 'short'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
