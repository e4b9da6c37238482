"""Refuses requests that a web page of another origin may have caused in its visitor's browser.

A page anywhere may have its visitor's browser send requests to 127.0.0.1 or into the campus network. Each of
three checks closes one way in, and none costs a node's request anything:

* ``Host`` must be a numeric address, localhost, or a name from the setting ALLOWED_HOSTS. A page that
  pointed its own name at our address (DNS rebinding) sends that name.
* ``Origin`` and ``Sec-Fetch-Site`` (Fetch Metadata), which browsers add and pages cannot change, must be
  ours.
* A POST must have a JSON content type. Forms, beacons and ``no-cors`` fetches cannot: a browser asks first (a
  CORS preflight), and this tracker never agrees.

There are no cookies to steal, and no ``Access-Control-Allow`` header is ever sent, so no other origin can
read an answer. Pure: a WSGI environment in, a refusal or None out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any

MAX_HOST_HEADER = 260  # characters: the longest name, and a port
SCHEMES = ("http://", "https://")  # https: behind a proxy

SECURITY_HEADERS = (  # on every answer
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),  # for browsers that do not know frame-ancestors
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
LOAD_NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""The default Content-Security-Policy: the answer loads nothing and is shown in no frame."""


@dataclass(frozen=True)
class OriginRefusal:
    """Why a request is not looked at. The text repeats nothing of the request."""

    status: HTTPStatus
    error: str


FOREIGN_HOST = OriginRefusal(
    HTTPStatus.MISDIRECTED_REQUEST,
    "the Host header names no address of this tracker: use its numeric address, or have the name added to "
    "the tracker's setting ALLOWED_HOSTS",
)
FOREIGN_PAGE = OriginRefusal(HTTPStatus.FORBIDDEN, "a web page of another origin may not use this tracker")
NOT_JSON = OriginRefusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the Content-Type must be application/json")


def refusal(environ: Mapping[str, Any], allowed: Collection[str]) -> OriginRefusal | None:
    """None if no page of another origin can cause the request. ``allowed``: host names in lower case."""
    host = environ.get("HTTP_HOST")
    if host is not None and not (
        len(host) <= MAX_HOST_HEADER and (_is_numeric(host) or _name(host) in allowed)
    ):
        return FOREIGN_HOST
    if "HTTP_ORIGIN" in environ and not _is_own(environ["HTTP_ORIGIN"], host):
        return FOREIGN_PAGE
    if "HTTP_SEC_FETCH_SITE" in environ and not _is_same_site_or_navigation(environ):
        return FOREIGN_PAGE
    if environ["REQUEST_METHOD"] == "POST" and not is_json(environ.get("CONTENT_TYPE", "")):
        return NOT_JSON
    return None


def is_json(content_type: str) -> bool:
    """True for application/json and application/ANYTHING+json (RFC 6839), with any parameters."""
    if content_type == "application/json":
        return True
    kind = content_type.partition(";")[0].strip(" \t").lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


@lru_cache(1024)
def _is_numeric(host: str) -> bool:
    """True if a Host header is a numeric address or localhost, with or without a port."""
    name = _name(host)
    if name == "localhost":
        return True
    try:
        if name.startswith("["):
            return name.endswith("]") and bool(ipaddress.IPv6Address(name[1:-1]))
        return bool(ipaddress.IPv4Address(name))
    except ValueError:
        return False


def _name(host: str) -> str:
    """A Host header without its port, in lower case; "" if it is malformed."""
    name, colon, port = host.lower().rpartition(":")
    if not colon or "]" in port:
        return host.lower()
    return name if port.isascii() and (port.isdigit() or not port) else ""


def _is_own(origin: str, host: str | None) -> bool:
    return host is not None and origin.lower() in [scheme + host.lower() for scheme in SCHEMES]


def _is_same_site_or_navigation(environ: Mapping[str, Any]) -> bool:
    """The same origin, the user's own doing, or a link to here, because the sender cannot read its page."""
    if environ["HTTP_SEC_FETCH_SITE"] in ("same-origin", "none"):
        return True
    return (
        environ["REQUEST_METHOD"] in ("GET", "HEAD")
        and environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
        and environ.get("HTTP_SEC_FETCH_DEST") == "document"
    )
