"""Announces over HTTP: against small trackers that are right, slow, huge, broken or malicious."""

from __future__ import annotations

import gzip
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from common import bencode
from common.compact_peers import encode_peers
from common.errors import RemoteFault, TrackerRefused, TrackerUnavailable
from common.udp_tracker import AnnounceEvent
from node.discovery import announce_url
from node.discovery.announce import AnnounceParams
from node.discovery.announce_url import parse_announce_url
from node.discovery.base import TransferTotals
from node.discovery.http_tracker import MAX_BODY, HttpTrackerClient
from tests.node.discovery.pretend_trackers import PEERS, HttpServer, Talk, response

PARAMS = AnnounceParams(
    bytes(range(20)), b"-CS0100-abcdefghijkl", 6881, TransferTotals(1, 2, 3), AnnounceEvent.STARTED, 7
)
BODY = bencode.encode({b"interval": 900, b"peers": encode_peers(PEERS)})
Serve = Callable[..., HttpServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[HttpServer] = []

    def make(talk: Talk | bytes, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> HttpServer:
        servers.append(HttpServer(talk, host, tls))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


def announce(url: str, timeout: float = 10.0, params: AnnounceParams = PARAMS, host: str = ""):  # type: ignore[no-untyped-def]
    return HttpTrackerClient(host, timeout).announce(parse_announce_url(url), params)


def test_an_announce_and_its_answer(serve: Serve) -> None:
    server = serve(response(BODY))
    result = announce(server.url + "?passkey=1")
    assert result.peers == PEERS
    assert result.interval == 900.0
    target = server.requests[0].split(b" ")[1].decode()
    fields = parse_qs(urlsplit(target).query, encoding="latin-1")
    assert urlsplit(target).path == "/announce"
    assert fields["passkey"] == ["1"]
    assert fields["info_hash"] == [bytes(range(20)).decode("latin-1")]
    assert (fields["event"], fields["left"], fields["key"]) == (["started"], ["3"], ["00000007"])


def test_the_tracker_sees_the_address_where_this_peer_listens(serve: Serve) -> None:
    server = serve(response(BODY))
    announce(server.url, host="127.0.0.3")
    announce(server.url, host="10.99.99.99")  # loopback cannot be asked from it
    assert server.clients == ["127.0.0.3", "127.0.0.1"]


@pytest.mark.parametrize("headers", [("Content-Encoding: gzip",), ()])
def test_gzip_is_unpacked_whether_announced_or_not(serve: Serve, headers: tuple[str, ...]) -> None:
    assert announce(serve(response(gzip.compress(BODY), *headers)).url).peers == PEERS


def test_plain_bytes_that_claim_to_be_gzip_are_read(serve: Serve) -> None:
    assert announce(serve(response(BODY, "Content-Encoding: gzip")).url).peers == PEERS


def test_an_answer_without_a_length_ends_with_the_connection(serve: Serve) -> None:
    assert announce(serve(b"HTTP/1.0 200 OK\r\n\r\n" + BODY).url).peers == PEERS


def test_a_refusal_with_any_status(serve: Serve) -> None:
    body = bencode.encode({b"failure reason": b"unregistered torrent", b"retry in": b"2"})
    for status in ("200 OK", "404 Not Found"):
        with pytest.raises(TrackerRefused, match="refuses: unregistered torrent") as caught:
            announce(serve(response(body, status=status)).url)
        assert caught.value.retry_in == 120.0


def trickle(sock: socket.socket, _: bytes) -> None:
    sock.settimeout(0.05)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:  # until the client has left
        sock.sendall(b"d")
        try:
            if not sock.recv(1):
                return
        except TimeoutError:
            continue


def trickle_head(sock: socket.socket, _: bytes) -> None:
    sock.settimeout(0.05)
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        sock.sendall(b"X: y\r\n")
        try:
            if not sock.recv(1):
                return
        except TimeoutError:
            continue


def silent(sock: socket.socket, _: bytes) -> None:
    sock.recv(1)


@pytest.mark.parametrize("talk", [trickle, trickle_head, silent])
def test_a_slow_answer_has_a_deadline(serve: Serve, talk: Talk) -> None:
    with pytest.raises(TrackerUnavailable, match="tracker"):
        announce(serve(talk).url, timeout=0.4)


def endless(sock: socket.socket, _: bytes) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\n\r\nd5:peers99999999:")
    while True:
        sock.sendall(bytes(65536))


@pytest.mark.parametrize(
    ("talk", "reason"),
    [
        (endless, f"longer than {MAX_BODY} bytes"),
        (response(gzip.compress(b"5:" + bytes(MAX_BODY + 10), mtime=0)), "longer than .* unpacked"),
        (response(gzip.compress(BODY, mtime=0)[:-20]), "not bencoded|damaged"),
        (response(b"\x1f\x8bnonsense"), "damaged gzip"),
        (response(b"<html>hello</html>"), "not bencoded"),
        (response(b"", status="500 Oops"), "HTTP status 500"),
        (response(b"d5:peersi1ee"), "neither bytes nor a list"),
        (response(b""), "not bencoded"),
        (b"", "connection lost"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nd8:inter", "connection lost|not bencoded"),
        (b"SSH-2.0-OpenSSH\r\n", "HTTP|connection lost"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", "connection lost"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n", "connection lost"),
    ],
)
def test_a_broken_answer_is_a_fault_of_that_tracker(serve: Serve, talk: Talk | bytes, reason: str) -> None:
    with pytest.raises(TrackerUnavailable, match=reason):
        announce(serve(talk).url)


def test_a_tracker_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    with pytest.raises(TrackerUnavailable, match="connection refused"):
        announce(f"http://127.0.0.1:{port}/announce")


def redirect(location: str) -> bytes:
    return response(b"", f"Location: {location}", status="302 Found")


def test_a_redirect_is_followed_and_the_query_goes_along(serve: Serve) -> None:
    there = serve(response(BODY))
    here = serve(redirect(there.url))
    assert announce(here.url).peers == PEERS
    assert b"info_hash=%00%01" in there.requests[0]


def test_a_redirect_that_repeats_the_query_is_taken_as_it_is(serve: Serve) -> None:
    there = serve(response(BODY))

    def move(sock: socket.socket, head: bytes) -> None:
        query = head.split(b" ")[1].partition(b"?")[2].decode()
        sock.sendall(redirect(f"{there.url}?{query}"))

    assert announce(serve(move).url).peers == PEERS
    assert there.requests[0].count(b"info_hash=") == 1


def test_redirects_in_a_circle_end(serve: Serve) -> None:
    def move(sock: socket.socket, _: bytes) -> None:
        sock.sendall(redirect("/announce"))

    server = serve(move)
    with pytest.raises(TrackerUnavailable, match="redirects more than 3 times"):
        announce(server.url)
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://127.0.0.1/announce", "udp://127.0.0.1:1/announce"]
)
def test_redirects_to_other_protocols_are_not_followed(serve: Serve, location: str) -> None:
    with pytest.raises(TrackerUnavailable, match="redirects"):
        announce(serve(redirect(location)).url)


def test_inside_no_other_path_is_requested(serve: Serve) -> None:
    server = serve(response(BODY))
    admin = server.url.replace("/announce", "/admin?reboot=1")
    with pytest.raises(TrackerRefused, match="is not asked: it leads to 127.0.0.1"):
        announce(admin)
    with pytest.raises(TrackerRefused, match="is not asked"):
        announce(serve(redirect(admin)).url)
    assert server.requests == []


def test_no_redirect_leads_from_outside_to_inside(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = serve(response(BODY), "127.0.0.2")
    outside = serve(redirect(inside.url))
    for module in (announce_url, "node.discovery.http_tracker"):
        monkeypatch.setattr(
            f"{module}.is_inside" if isinstance(module, str) else f"{module.__name__}.is_inside",
            lambda ip: ip != "127.0.0.1",
        )
    with pytest.raises(TrackerRefused, match="redirects from outside this network to 127.0.0.2"):
        announce(outside.url)
    assert inside.requests == []
    assert announce(inside.url).peers == PEERS


def test_every_fault_names_the_tracker(serve: Serve) -> None:
    for talk in (b"", response(b"x"), redirect("file:///x")):
        server = serve(talk)
        with pytest.raises(RemoteFault, match=server.url):
            announce(server.url, params=replace(PARAMS, event=AnnounceEvent.NONE))


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, and its key."""
    program = shutil.which("openssl")
    if not program:
        pytest.skip("openssl is not installed")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=tracker"
    words += f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}"
    subprocess.run([program, *words.split()], check=True, capture_output=True)
    return certificate, key


def test_https_with_a_certificate_that_is_trusted_and_with_one_that_is_not(
    serve: Serve, certificate: tuple[Path, Path]
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = serve(response(BODY), tls=context)
    url = parse_announce_url(server.url)
    assert url.scheme == "https"
    trusting = HttpTrackerClient("127.0.0.3", verify=str(certificate[0]))
    assert trusting.announce(url, PARAMS).peers == PEERS
    assert server.clients == ["127.0.0.3"]
    with pytest.raises(TrackerUnavailable, match="its certificate is not valid"):
        HttpTrackerClient().announce(url, PARAMS)
    plain = serve(b"")
    with pytest.raises(TrackerUnavailable, match="does not answer"):
        HttpTrackerClient(timeout=0.5).announce(
            parse_announce_url(plain.url.replace("http:", "https:")), PARAMS
        )
