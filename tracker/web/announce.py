"""``GET /announce`` and ``GET /scrape`` for every BitTorrent client (BEP 3, 7, 23, 31, 48).

A client shows its user the text in ``failure reason``, and only if the status is 200. So every answer has it,
errors too. A peer's address is the one that its request comes from; see ``tracker.announce_query``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Flask, Response, request

from common import bencode
from common.addresses import unicast_host
from common.compact_peers import encode_peer
from common.errors import MessageError, SwarmError
from tracker.announce_query import AnnounceQuery, derived_key, parse_announce, parse_scrape
from tracker.announce_service import AnnounceService
from tracker.auth import Credentials
from tracker.model import Announcement, PeerAnswer
from tracker.web.middleware import ADDRESS, REMOTE, failure

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Fields = dict[bytes, bencode.Value]

CONTENT_TYPE = "text/plain; charset=iso-8859-1"  # as trackers do: bencoding is bytes
IGNORED_IP = b"ip is ignored: this tracker names the address that your request comes from"


def add_announce(app: Flask, service: AnnounceService) -> None:
    """Add both paths to ``app``."""

    @app.get("/announce")
    def announce() -> Response:
        return _answered(lambda environ: _announce(service, environ))

    @app.get("/scrape")
    def scrape() -> Response:
        return _answered(lambda environ: _scrape(service, environ))


def _answered(answer: Callable[[WSGIEnvironment], Fields]) -> Response:
    try:
        body = bencode.encode(answer(request.environ))
    except SwarmError as error:
        body = failure(error)
    return Response(body, content_type=CONTENT_TYPE)


def _announce(service: AnnounceService, environ: WSGIEnvironment) -> Fields:
    query = parse_announce(environ["QUERY_STRING"])
    host = _client_host(environ)
    key = derived_key(host.encode()) if query.key is None else query.key
    call = Announcement(
        query.info_hash + query.peer_id + key,
        encode_peer((host, query.port)),
        query.complete,
        query.event,
        query.wanted,
        environ[REMOTE],
        not query.compact,
    )
    found = service.announce(call, _credentials(environ, query.swarm_key))
    interval = round(service.interval)
    fields: Fields = {
        b"complete": found.complete,
        b"incomplete": found.incomplete,
        b"interval": interval,
        b"min interval": max(1, interval // 5),
    }
    if query.names_ip:
        fields[b"warning message"] = IGNORED_IP
    return {**fields, **_listed(query, found)}


def _listed(query: AnnounceQuery, found: PeerAnswer) -> Fields:
    """The peers, as a compact list for each address family, or as a list of dictionaries."""
    if query.compact:
        peers: Fields = {b"peers": found.ipv4}
        return {**peers, b"peers6": found.ipv6} if found.ipv6 else peers
    endpoints = [found.ipv4[at : at + 6] for at in range(0, len(found.ipv4), 6)]
    endpoints += [found.ipv6[at : at + 18] for at in range(0, len(found.ipv6), 18)]
    listed: list[bencode.Value] = []
    for endpoint, name in list(zip(endpoints, found.names, strict=True))[: query.wanted]:
        host = str(ipaddress.ip_address(endpoint[:-2])).encode()
        peer: Fields = {b"ip": host, b"port": int.from_bytes(endpoint[-2:], "big")}
        if query.with_ids and isinstance(name, bytes):  # the peer id of a classroom node is not known here
            peer[b"peer id"] = name[20:40]
        listed.append(peer)
    return {b"peers": listed}


def _scrape(service: AnnounceService, environ: WSGIEnvironment) -> Fields:
    query = parse_scrape(environ["QUERY_STRING"])
    found = service.scrape(query.info_hashes, _credentials(environ, query.swarm_key))
    files: Fields = {
        info_hash: {
            b"complete": counts.complete,
            b"downloaded": counts.downloaded,
            b"incomplete": counts.incomplete,
        }
        for info_hash, counts in zip(query.info_hashes, found, strict=True)
    }
    return {b"files": files}


def _client_host(environ: WSGIEnvironment) -> str:
    try:
        return unicast_host(environ[ADDRESS])
    except ValueError as error:
        raise MessageError(f"the address of this request: {error}", "ip") from None


def _credentials(environ: WSGIEnvironment, swarm_key: str | None) -> Credentials:
    return Credentials(None, environ.get("HTTP_X_SWARM_KEY", swarm_key), environ[REMOTE])
