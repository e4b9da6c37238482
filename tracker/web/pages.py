"""The pages for programs: /nodes, /stats, /torrents, /metrics, /health and /openapi.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from http import HTTPStatus
from time import monotonic
from typing import Any

from flask import Blueprint, Response, request

from common.errors import MessageError
from tracker.service import TrackerService
from tracker.web.api import credentials
from tracker.web.metrics import CONTENT_TYPE, Metrics
from tracker.web.middleware import UNLIMITED_PATHS
from tracker.web.openapi import document

MAX_LISTED_NODES = 100  # at /nodes
MAX_LISTED_TORRENTS, DEFAULT_LISTED_TORRENTS = 200, 100  # at /torrents
MAX_LISTED_SWARMS = 50  # at /stats, those with the most owners
JSON = "application/json"
ABOUT = (
    "A classroom swarm's tracker: nodes POST to /tracker; see / in a browser, /stats, and /openapi.json for "
    "the API"
)


def create_pages(service: TrackerService, metrics: Metrics) -> Blueprint:
    """The blueprint that shows ``service`` and ``metrics``."""
    pages = Blueprint("pages", __name__)

    @pages.before_request
    def check_swarm_key() -> None:
        """All but /health want the key, in the header or, for browsers, as ``?swarm_key=``."""
        if request.path not in UNLIMITED_PATHS:
            check_viewer(service)

    def add(path: str, view: Callable[[], Response]) -> None:
        pages.add_url_rule(path, path.strip("/").removesuffix(".json"), view, methods=["GET"])

    stats, text = _once_a_second(lambda: _dumped(_stats(service, metrics))), _once_a_second(metrics.render)
    add("/nodes", lambda: _overview(service))
    add("/stats", lambda: _conditional(stats(), JSON))
    add("/torrents", lambda: _json(service.torrents(_listed_torrents())))
    add("/metrics", lambda: _conditional(text(), CONTENT_TYPE))
    add("/openapi.json", lambda: Response(_openapi(), mimetype=JSON))
    add("/health", lambda: _health(service.health()))
    return pages


def check_viewer(service: TrackerService) -> None:
    """Forbidden unless the request has the swarm key, in the header or as ``?swarm_key=``."""
    service.check_key(credentials(request.environ, request.args))


def overview(service: TrackerService) -> Response:
    """The answer of ``/nodes`` for a request that is not checked yet."""
    check_viewer(service)
    return _overview(service)


def _overview(service: TrackerService) -> Response:
    return _json({"about": ABOUT, **service.overview(MAX_LISTED_NODES)})


def _listed_torrents() -> int:
    """The query's ``limit``. MessageError if it is no number in its range."""
    text = request.args.get("limit", str(DEFAULT_LISTED_TORRENTS))
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= MAX_LISTED_TORRENTS):
        raise MessageError(f"limit must be a whole number from 0 to {MAX_LISTED_TORRENTS}", "limit")
    return int(text)


def _once_a_second(render: Callable[[], bytes]) -> Callable[[], bytes]:
    """``render``, called at most about once a second however many clients poll."""

    @lru_cache(1)
    def rendered(second: int) -> bytes:
        return render()

    return lambda: rendered(int(monotonic()))


def _conditional(body: bytes, content_type: str) -> Response:
    """An answer with an entity tag, or 304 for a client that has it."""
    response = Response(body, content_type=content_type, headers={"Cache-Control": "no-cache"})
    response.add_etag()
    response.make_conditional(request.environ)
    return response


@lru_cache(1)
def _openapi() -> bytes:
    return _dumped(document())


def _stats(service: TrackerService, metrics: Metrics) -> dict[str, Any]:
    counts = asdict(service.counts())
    counts["unclaimed"] = counts["nodes"] - counts["claimed"]
    swarms = [asdict(swarm) for swarm in service.swarms(MAX_LISTED_SWARMS)]
    return {**counts, "swarms": swarms, **metrics.to_json()}


def _health(fault: str) -> Response:
    if not fault:
        return _json({"status": "ok"})
    return _json({"status": "failing", "reason": fault}, HTTPStatus.SERVICE_UNAVAILABLE)


def _json(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(_dumped(value), status=status, mimetype=JSON)


def _dumped(value: object) -> bytes:
    return json.dumps(value).encode()
