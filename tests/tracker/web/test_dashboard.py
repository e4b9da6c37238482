"""The dashboard's page and files: a browser's requests, and no name that leads out of their folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from common.one_page import RECORDING_OPENS
from tracker.auth import SwarmKey
from tracker.model import Rules
from tracker.service import TrackerService
from tracker.storage.memory import MemoryStorage
from tracker.web.app import create_app
from tracker.web.dashboard import PAGE_POLICY
from tracker.web.page_files import FOLDER, PageFiles

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def client() -> FlaskClient:
    service = TrackerService(MemoryStorage(Rules()), Rules(), swarm_key=SwarmKey("the join code"))
    return create_app(service).test_client()


@pytest.mark.parametrize("headers", [BROWSER, {"Accept": "*/*"}, {}])
def test_the_page_is_sent_without_a_key_under_a_strict_policy(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    page = client.get("/", headers=headers)
    assert (page.status_code, page.content_type) == (200, "text/html; charset=utf-8")
    assert page.data == (FOLDER / "index.html").read_bytes()
    assert page.headers.getlist("Content-Security-Policy") == [PAGE_POLICY]
    assert "'unsafe" not in PAGE_POLICY and "http" not in PAGE_POLICY
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_a_program_that_wants_json_at_the_root_needs_the_key(client: FlaskClient) -> None:
    wanted = {"Accept": "application/json"}
    assert client.get("/", headers=wanted).status_code == 403
    assert client.get("/", headers={**wanted, "X-Swarm-Key": "the join code"}).get_json()["nodes"] == 0


def test_every_file_of_the_page_is_sent_and_an_unchanged_one_only_once(client: FlaskClient) -> None:
    paths = [path for path in FOLDER.rglob("*") if path.suffix in (".js", ".css", ".html", ".svg")]
    assert paths
    for path in paths:
        address = f"/static/{path.relative_to(FOLDER).as_posix()}"
        answer = client.get(address)
        assert answer.data == path.read_bytes()
        again = client.get(address, headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")


def test_the_page_is_there_as_one_file(client: FlaskClient) -> None:
    answer = client.get("/static/one-file.html")
    assert (answer.status_code, answer.content_type) == (200, "text/html; charset=utf-8")
    assert RECORDING_OPENS in answer.get_data(as_text=True) and b'src="/static' not in answer.data
    again = client.get("/static/one-file.html", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_the_protocol_is_sent_as_text_and_no_other_document(client: FlaskClient) -> None:
    answer = client.get("/docs/protocol.md")
    assert (answer.status_code, answer.content_type) == (200, "text/plain; charset=utf-8")
    assert answer.data.startswith(b"# ")
    assert client.get("/docs/security.md").status_code == 404


def test_a_module_and_a_style_have_the_types_that_browsers_demand(tmp_path: Path) -> None:
    files = PageFiles(tmp_path)
    for name, kind in (("a.js", "text/javascript"), ("b.css", "text/css")):
        (tmp_path / name).write_text("x")
        found = files.find(name)
        assert found is not None and found.content_type.startswith(kind)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    files = PageFiles(tmp_path)
    (tmp_path / "a.js").write_text("one")
    first = files.find("a.js")
    (tmp_path / "a.js").write_text("three")
    second = files.find("a.js")
    assert first is not None and second is not None
    assert (first.body, second.body) == (b"one", b"three") and first.tag != second.tag


@pytest.mark.parametrize(
    "name",
    ["", "/", "..", "../pages.py", "a/../../pages.py", "%2e%2e/pages.py", ".hidden.js", "a//b.js", "a\\b.js",
     "pages.py", "nothing.js", "a/b/c/d.js", "index.html/", "index.html\0.js", "C:x.js"],
)  # fmt: skip
def test_other_names_are_answered_404(client: FlaskClient, name: str) -> None:
    answer = client.get(f"/static/{name}")
    assert answer.status_code in (404, 308) and b"def " not in answer.data


@given(st.text(st.sampled_from("ab./\\\0:~%-_js "), max_size=20))
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    files = PageFiles(FOLDER / "nowhere")
    assert files.find(name) is None
    assert PageFiles().find(name) is None or ".." not in name
