"""Your TrackerClient and a real tracker, for a minute: python labs/01-tracker/live.py [URL]"""

from __future__ import annotations

import importlib
import sys
import time

import requests

TrackerClient = importlib.import_module("mine").TrackerClient  # of mine.py in this folder
URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:12345"
SECONDS = 60


def main() -> None:
    """Ask the client ten times a second for its next request, send it, and hand it the answer."""
    client = TrackerClient(42, ["127.0.0.1", 4042], ["notes.pdf", "slides.pdf"], "film.mp4")
    began = time.monotonic()
    while (now := time.monotonic() - began) < SECONDS:
        request = client.next_request(now)
        if request is None:
            time.sleep(0.1)
            continue
        try:
            response = requests.post(f"{URL}/tracker", json=request, timeout=5)
            status, answer = response.status_code, response.json()
        except (requests.RequestException, ValueError) as error:  # no tracker there: as if it were busy
            status, answer = 503, {"error": type(error).__name__}
        print(f"{now:7.3f} s  {request}\n           {status} {answer}", flush=True)
        client.on_answer(request, status, answer, time.monotonic() - began)
    print("owners of film.mp4:", client.owners("film.mp4"))


if __name__ == "__main__":
    main()
