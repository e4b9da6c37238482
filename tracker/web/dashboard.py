"""The dashboard: ``GET /`` and its files at ``/static/``. They are the same for everybody and need no key.

The page asks for the swarm key and sends it with each ``GET /swarm``. It loads nothing from elsewhere, and
runs no script that is not one of these files.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from flask import Blueprint, Response, abort, request

from common.errors import PageError
from common.logs import log
from common.one_page import assemble
from tracker.web.page_files import CONTENT_TYPES, INDEX, PageFile, PageFiles, page_file

STATIC = "/static/"
ONE_FILE = "one-file.html"
"""The page as one file. The page fetches it and puts a recording into it: see ``common.one_page``."""
DOCUMENTS = Path(__file__).resolve().parents[2] / "docs"
PROTOCOL = "/docs/protocol.md"
"""The only document that is sent: the page explains messages by it."""
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
)
"""The Content-Security-Policy of the page and its files."""


def create_dashboard(files: PageFiles, overview: Callable[[], Response]) -> Blueprint:
    """The blueprint. ``overview`` answers a program that asks for JSON at ``/``, as it always did."""
    dashboard = Blueprint("dashboard", __name__)
    documents = PageFiles(DOCUMENTS)

    @dashboard.get("/")
    def index() -> Response:
        if _wants_json():
            answer = overview()
            answer.vary.add("Accept")
            return answer
        return _sent(files.find(INDEX))

    @dashboard.get(f"{STATIC}{ONE_FILE}")
    def one_file() -> Response:
        answer = _sent(_one_file(files))
        answer.headers["Content-Disposition"] = "attachment"  # opened here, its scripts would not run
        return answer

    @dashboard.get(f"{STATIC}<path:name>")
    def static(name: str) -> Response:
        return _sent(files.find(name))

    @dashboard.get(PROTOCOL)
    def protocol() -> Response:
        return _sent(documents.find(Path(PROTOCOL).name))

    return dashboard


def _one_file(files: PageFiles) -> PageFile | None:
    """The page as one file without a recording; None if the files of this folder make no page."""
    try:
        return _assembled(tuple(files.texts((".html", ".js", ".css")).items()))
    except PageError as error:
        log(f"the page cannot be saved as one file: {error}")
        return None


@lru_cache(2)
def _assembled(texts: tuple[tuple[str, str], ...]) -> PageFile:
    return page_file(assemble(dict(texts)).encode(), CONTENT_TYPES[".html"])


def _wants_json() -> bool:
    accepted = request.accept_mimetypes
    return accepted.best_match(["text/html", "application/json"], "text/html") == "application/json"


def _sent(file: PageFile | None) -> Response:
    """The file, or 304 for a browser that has it; a missing file is answered 404."""
    if file is None:
        abort(404)
    headers = {"Cache-Control": "no-cache", "Content-Security-Policy": PAGE_POLICY, "Vary": "Accept"}
    response = Response(file.body, content_type=file.content_type, headers=headers)
    response.set_etag(file.tag)
    response.make_conditional(request.environ)
    return response
