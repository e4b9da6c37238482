"""``python -m bench.network``: the same as ``python -m bench network``."""

from __future__ import annotations

import sys

from bench.network.cli import main

if __name__ == "__main__":
    sys.exit(main())
