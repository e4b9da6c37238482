"""A browser is also a stranger: requests that a page of another origin makes it send have no effect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tracker.model import Rules
from tracker.service import TrackerService
from tracker.settings import WebSettings
from tracker.storage.memory import MemoryStorage
from tracker.web.app import create_app
from tracker.web.origin_check import is_json, refusal

HOST = "127.0.0.1:12345"
REGISTER = json.dumps({"mode": 0, "node_id": 1, "addr": ["localhost", 4001]})
JSON = "application/json"


@pytest.fixture
def client() -> FlaskClient:
    service = TrackerService(MemoryStorage(Rules()), Rules())
    settings = WebSettings(allowed_hosts=frozenset({"tracker.uni.example"}))
    return create_app(service, settings).test_client()


def send(
    client: FlaskClient, content_type: str | None = JSON, host: str = HOST, **headers: str
) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/tracker", data=REGISTER, content_type=content_type, headers={"Host": host, **named})


def nodes(client: FlaskClient) -> int:
    return int(client.get("/nodes").get_json()["nodes"])


# ---- what forms, beacons and no-cors fetches can send


@pytest.mark.parametrize(
    "content_type",
    [
        None, "", "text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x", "application/octet-stream", "text/json", "json",
        "application/jsonp",
        "application/xml", "text/plain; application/json", "application/json, text/plain",
        "text/plain,application/json",
        "application/x+json+x", "*/*", "application/", "+json", "text/x+json",
    ],
)  # fmt: skip
def test_what_needs_no_preflight_is_refused(client: FlaskClient, content_type: str | None) -> None:
    answer = send(client, content_type)
    assert (answer.status_code, list(answer.get_json())) == (415, ["error"])
    assert nodes(client) == 0


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json", "application/json; charset=utf-8", "Application/JSON ;x=y", "application/json;",
        "application/vnd.swarm+json", "application/problem+json; charset=utf-8",
    ],
)  # fmt: skip
def test_json_by_any_of_its_names_is_taken(client: FlaskClient, content_type: str) -> None:
    assert send(client, content_type).status_code == 200


SIMPLE = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")


@given(st.sampled_from(SIMPLE), st.text(st.characters(codec="latin-1"), max_size=40))
def test_no_parameter_makes_a_form_json(kind: str, parameter: str) -> None:
    """A browser sends these without asking, whatever parameters follow (Fetch standard, 2.2.2)."""
    assert not is_json(f"{kind};{parameter}")


# ---- origins


@pytest.mark.parametrize(
    "origin",
    [
        "null", "", "http://evil.example", "https://127.0.0.1:12346", "http://127.0.0.1",
        "http://localhost:12345",
        "http://127.0.0.1:12345.evil.example", "http://127.0.0.1:12345@evil.example", "file://",
        "http://127.0.0.1:12345, http://evil.example", "ftp://127.0.0.1:12345", "127.0.0.1:12345",
    ],
)  # fmt: skip
def test_a_page_of_another_origin_is_refused(client: FlaskClient, origin: str) -> None:
    for answer in (send(client, Origin=origin), client.get("/", headers={"Host": HOST, "Origin": origin})):
        assert (answer.status_code, list(answer.get_json())) == (403, ["error"])
    assert nodes(client) == 0


def test_a_page_of_ours_may_ask(client: FlaskClient) -> None:
    for scheme in ("http", "https"):
        answer = send(client, Origin=f"{scheme}://{HOST}", Sec_Fetch_Site="same-origin")
        assert answer.status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "same-origin, cross-site", "SAME-ORIGIN"])
def test_fetch_metadata_that_is_not_ours_is_refused(client: FlaskClient, site: str) -> None:
    assert send(client, Sec_Fetch_Site=site).status_code == 403
    for mode, destination in (
        ("no-cors", "script"),
        ("navigate", "iframe"),
        ("navigate", ""),
        ("cors", "empty"),
    ):
        more = {"Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": destination}
        answer = client.get("/", headers={"Host": HOST, "Sec-Fetch-Site": site, **more})
        assert answer.status_code == 403
    assert nodes(client) == 0


def test_a_link_from_elsewhere_leads_here_but_posts_nothing(client: FlaskClient) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/", headers={"Host": HOST, **link}).status_code == 200
    answer = client.post("/tracker", data=REGISTER, content_type=JSON, headers={"Host": HOST, **link})
    assert answer.status_code == 403


def test_a_preflight_gets_no_leave(client: FlaskClient) -> None:
    headers = {"Host": HOST, "Access-Control-Request-Method": "POST"}
    for more in ({}, {"Origin": "http://evil.example"}):
        answer = client.options("/tracker", headers={**headers, **more})
        assert not any(name.lower().startswith("access-control") for name, _ in answer.headers)
    assert answer.status_code == 403


# ---- DNS rebinding


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:12345", "127.0.0.1.evil.example", "localhost.evil.example",
        "notlocalhost",
        "tracker.uni.example.evil.example", "", " ", ":", "[::1", "::1", "127.0.0.1:12345, evil.example",
        "127.0.0.1:x", "2130706433", "0x7f.1", "127.1", "evil.example:127.0.0.1", "[evil.example]",
        "1" * 5000,
        "127.0.0.1@evil.example", "tracker.uni.example.",
    ],
)  # fmt: skip
def test_a_name_that_is_not_ours_is_refused(client: FlaskClient, host: str) -> None:
    for answer in (send(client, host=host), client.get("/", headers={"Host": host})):
        assert (answer.status_code, list(answer.get_json())) == (421, ["error"])
        assert "evil" not in answer.get_data(as_text=True)
    assert nodes(client) == 0


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.1:80", "192.168.1.7:12345", "[::1]", "[::1]:12345", "[2001:db8::1]:1",
        "localhost",
        "LOCALHOST:12345", "tracker.uni.example", "Tracker.Uni.Example:8080",
    ],
)  # fmt: skip
def test_addresses_and_names_of_ours_are_taken(client: FlaskClient, host: str) -> None:
    assert send(client, host=host).status_code == 200


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30), st.sampled_from(["GET", "POST"]))
def test_any_headers_get_a_verdict(host: str, origin: str, site: str, method: str) -> None:
    environ = {
        "HTTP_HOST": host,
        "HTTP_ORIGIN": origin,
        "HTTP_SEC_FETCH_SITE": site,
        "REQUEST_METHOD": method,
    }
    verdict = refusal(environ, frozenset())
    assert verdict is None or verdict.status in (403, 415, 421)


# ---- what we answer


def test_every_answer_forbids_what_a_browser_might_do_with_it(client: FlaskClient) -> None:
    wanted = {
        "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
        "X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin",
    }  # fmt: skip
    answers = [
        send(client), send(client, "text/plain"), send(client, host="evil.example"),
        send(client, Origin="null"),
        client.post("/register", json={}), client.get("/tracker"), client.get("/nowhere"),
        client.get("/nodes"),
    ]  # fmt: skip
    assert {answer.status_code for answer in answers} == {200, 400, 403, 404, 405, 415, 421}
    for answer in answers:
        assert wanted.items() <= dict(answer.headers).items()
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.content_type == JSON
        assert "Set-Cookie" not in answer.headers
        assert not any(name.lower().startswith("access-control") for name, _ in answer.headers)


EVIL = "<script>alert(1)</script>"


def test_nothing_of_a_wrong_request_comes_back(client: FlaskClient) -> None:
    bodies: list[Any] = [
        {"mode": EVIL}, {"mode": 0, "node_id": EVIL}, {"mode": 0, "node_id": 1, "addr": [EVIL, 1]}, [EVIL],
        {"mode": 2, "node_id": 1, "info_hash": EVIL}, {EVIL: 1},
    ]  # fmt: skip
    answers = [client.post("/tracker", json=body) for body in bodies]
    answers += [
        client.post("/tracker", data=EVIL, content_type=JSON),
        client.get(f"/{EVIL}"),
        client.get("/", query_string={"q": EVIL}, headers={"Host": f"{EVIL}"}),
        send(client, Origin=EVIL),
        send(client, EVIL),
    ]
    for answer in answers:
        assert "script" not in answer.get_data(as_text=True) + str(answer.headers)
