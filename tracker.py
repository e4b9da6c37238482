"""``python tracker.py [--host HOST] [--port PORT]``: launches the package beside it."""

from tracker.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
