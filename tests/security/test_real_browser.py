"""A real Chromium, on a page of another origin that tries everything on a real tracker, without effect."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tracker.model import Rules
from tracker.service import TrackerService
from tracker.storage.memory import MemoryStorage
from tracker.web import middleware
from tracker.web.app import create_app
from tracker.web.server import WebServer, listening_socket

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 60.0  # seconds
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here")

ATTACK = (Path(__file__).parent / "attack.html").read_text(encoding="utf-8")


@pytest.fixture
def evil() -> Iterator[type[http.server.BaseHTTPRequestHandler]]:
    """A foreign web server: another port is another origin."""

    class Page(http.server.BaseHTTPRequestHandler):
        content = ""
        port = 0

        def do_GET(self) -> None:
            body = self.content.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        Page.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Page
        server.shutdown()
        thread.join()


def shown(url: str, profile: Path, *more: str) -> str:
    """The page's content after a few seconds of (virtual) time."""
    words = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={profile}", "--virtual-time-budget=10000", "--dump-dom", *more, url,
    ]  # fmt: skip
    return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE).stdout


def application() -> Any:
    service = TrackerService(MemoryStorage(Rules()), Rules())
    return create_app(service)


def known(url: str) -> dict[str, int]:
    with requests.Session() as session:
        session.trust_env = False
        told = session.get(f"{url}/nodes", timeout=PATIENCE).json()
    return {"nodes": told["nodes"], "files": told["files"]}


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"], ids=["same address", "another name"])
def test_a_page_of_another_origin_changes_and_reads_nothing(
    tracker_process: Any, evil: type[Any], tmp_path: Path, name: str
) -> None:
    evil.content = ATTACK.replace("TRACKER", tracker_process.url)
    page = shown(f"http://{name}:{evil.port}/", tmp_path / "profile")
    assert "finished" in page, page
    assert known(tracker_process.url) == {"nodes": 0, "files": 0}
    for attempt in ("json", "json blob", "read", "swarm", "module", "report", "credentials"):
        assert f"{attempt}:failed" in page


def test_the_same_page_does_harm_where_nobody_looks_at_it(
    evil: type[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the attack is one: without the guard it brings a node in."""
    monkeypatch.setattr(middleware, "refusal", lambda environ, allowed: None)
    with listening_socket("127.0.0.1", 0) as sock:
        web = WebServer(application(), sock, 2)
        web.start()
        evil.content = ATTACK.replace("TRACKER", web.url)
        page = shown(f"http://127.0.0.1:{evil.port}/", tmp_path / "profile")
        after = known(web.url)
        web.stop()
    assert "finished" in page
    assert after["nodes"] == 1 and after["files"] >= 3


def test_a_name_that_leads_to_our_address_meanwhile_gets_nowhere(
    tracker_process: Any, tmp_path: Path
) -> None:
    """DNS rebinding, at its end: to the browser all is of one origin, and only the name is left to check."""
    rule = f"--host-resolver-rules=MAP rebound.example 127.0.0.1:{tracker_process.port}"
    page = shown(f"http://rebound.example:{tracker_process.port}/stats", tmp_path / "profile", rule)
    assert "names no address of this tracker" in page
    assert "minutes" not in page
