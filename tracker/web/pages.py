"""What is there to look at: /, /stats, /metrics, /health and /openapi.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, request

from tracker.service import TrackerService
from tracker.web.api import presented
from tracker.web.cached import Cached
from tracker.web.front import UNLIMITED
from tracker.web.metrics import CONTENT_TYPE, renderer
from tracker.web.openapi import document
from tracker.web.traffic import Traffic

MAX_LISTED = 100  # nodes named at /
MAX_SWARMS = 50  # files named at /stats, those with the most owners
FRESH = 1.0  # seconds for which a rendered answer is given again
JSON = "application/json"
ABOUT = "A classroom swarm's tracker: nodes POST to /tracker; see /stats, and /openapi.json for the API"


def create_pages(service: TrackerService, traffic: Traffic) -> Blueprint:
    """The blueprint that shows ``service`` and ``traffic``."""
    pages = Blueprint("pages", __name__)

    def add(path: str, view: Callable[[], Response]) -> None:
        pages.add_url_rule(path, path.strip("/").removesuffix(".json") or "index", view, methods=["GET"])

    @pages.before_request
    def ask_for_the_key() -> None:
        """All but /health want it, in the header or, for people with a browser, as ``?swarm_key=``."""
        if request.path not in UNLIMITED:
            service.check_key(presented(request.environ, request.args))

    add("/", lambda: _json({"about": ABOUT, **service.overview(MAX_LISTED)}))
    add("/stats", _view(Cached(lambda: _dumped(_stats(service, traffic)), FRESH), JSON))
    add("/metrics", _view(Cached(renderer(service.counts, traffic), FRESH), CONTENT_TYPE))
    add("/openapi.json", lambda: Response(_openapi(), mimetype=JSON))
    add("/health", lambda: _health(service.health()))
    return pages


@lru_cache(1)
def _openapi() -> bytes:
    return _dumped(document())


def _view(cached: Cached, content_type: str) -> Callable[[], Response]:
    def view() -> Response:
        body, tag = cached.get()
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if request.headers.get("If-None-Match") == tag:
            return Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(body, content_type=content_type, headers=headers)

    return view


def _stats(service: TrackerService, traffic: Traffic) -> dict[str, Any]:
    counts = asdict(service.counts())
    counts["unclaimed"] = counts["nodes"] - counts["claimed"]
    swarms = [asdict(swarm) for swarm in service.swarms(MAX_SWARMS)]
    return {**counts, "swarms": swarms, **traffic.to_json()}


def _health(fault: str) -> Response:
    if not fault:
        return _json({"status": "ok"})
    return _json({"status": "failing", "reason": fault}, HTTPStatus.SERVICE_UNAVAILABLE)


def _json(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(_dumped(value), status=status, mimetype=JSON)


def _dumped(value: object) -> bytes:
    return json.dumps(value).encode()
