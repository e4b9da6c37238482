"""Magnet links (BEP 9): a torrent named by its info hash alone.

    magnet:?xt=urn:btih:HASH&dn=NAME&tr=TRACKER&x.pe=HOST:PORT

    xt     the info hash, 40 hexadecimal or 32 base32 digits, in either case; required
    dn     a name to show until the metadata is here
    tr     a tracker's URL; may be repeated
    x.pe   the address of a peer, an IPv6 address in brackets; may be repeated

Other keys are ignored, and so are trackers and peers that cannot be used: a link travels through chats and
web pages, and its info hash is enough. A link without a usable info hash is refused.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote_plus, unquote_to_bytes

from common.addresses import Addr, join_host_port, split_host_port, unicast_host
from common.errors import MagnetError
from common.text import sanitize
from common.torrent_fields import as_url
from common.tracker_tiers import MAX_TRACKERS

MAX_LINK_LENGTH = 1 << 16  # characters of a magnet link
MAX_LINK_NAME_LENGTH = 255  # characters of its name that are used
MAX_LINK_PEERS = 32  # addresses of peers in a magnet link that are used

_SCHEME = "magnet:?"
_HASH_OF_VERSION_1 = "urn:btih:"
_HASH_OF_VERSION_2 = "urn:btmh:"
_NUMBER = re.compile(r"\.[0-9]+\Z")  # xt.1 and tr.2 mean xt and tr
_BASE32 = re.compile(r"[A-Z2-7]{32}")
_HEX = re.compile(r"[0-9A-F]{40}")


@dataclass(frozen=True)
class Magnet:
    """A magnet link. ``name`` is for people: "" if the link has none, and never the name of a file."""

    info_hash: bytes
    name: str = ""
    trackers: tuple[str, ...] = ()
    peers: tuple[Addr, ...] = ()


def is_magnet(text: str) -> bool:
    """True if ``text`` begins as a magnet link does."""
    return text.strip()[: len(_SCHEME)].lower() == _SCHEME


def parse_magnet(text: str) -> Magnet:
    """The link in ``text``, around which blanks are allowed. MagnetError has the reason of a refusal."""
    if len(text) > MAX_LINK_LENGTH:
        raise MagnetError(f"a magnet link has at most {MAX_LINK_LENGTH} characters, not {len(text)}")
    if not is_magnet(text):
        raise MagnetError(f"not a magnet link: it does not begin with {_SCHEME}")
    fields = list(_fields(text.strip()[len(_SCHEME) :]))
    trackers = dict.fromkeys(filter(None, (_tracker(raw) for raw in _all(fields, "tr"))))
    peers = dict.fromkeys(filter(None, (_peer(raw) for raw in _all(fields, "x.pe"))))
    return Magnet(
        _info_hash([unquote_plus(raw) for raw in _all(fields, "xt")]),
        sanitize(unquote_plus(next(_all(fields, "dn"), ""))).strip()[:MAX_LINK_NAME_LENGTH],
        tuple(itertools.islice(trackers, MAX_TRACKERS)),
        tuple(itertools.islice(peers, MAX_LINK_PEERS)),
    )


def format_magnet(magnet: Magnet) -> str:
    """The link that every client reads; ``parse_magnet`` gives ``magnet`` back."""
    fields = [f"xt={_HASH_OF_VERSION_1}{magnet.info_hash.hex()}"]
    if magnet.name:
        fields.append(f"dn={quote(magnet.name, safe='')}")
    fields += [f"tr={quote(url, safe='')}" for url in magnet.trackers]
    fields += [f"x.pe={join_host_port(*peer)}" for peer in magnet.peers]
    return _SCHEME + "&".join(fields)


def _fields(query: str) -> Iterator[tuple[str, str]]:
    """Keys, and values with their percent signs. In a link out of a page's source, ``&`` may be ``&amp;``."""
    for part in query.split("&"):
        key, _, value = part.removeprefix("amp;").partition("=")
        yield _NUMBER.sub("", key.lower()), value


def _all(fields: list[tuple[str, str]], key: str) -> Iterator[str]:
    return (value for found, value in fields if found == key)


def _info_hash(topics: list[str]) -> bytes:
    """The info hash among the exact topics (``xt``) of a link."""
    wanted = (
        topic[len(_HASH_OF_VERSION_1) :] for topic in topics if topic.lower().startswith(_HASH_OF_VERSION_1)
    )
    hashes = {_decoded(digits.strip().upper()) for digits in wanted}
    if len(hashes) > 1:
        raise MagnetError("the magnet link names several torrents; one link is for one torrent")
    if hashes:
        return hashes.pop()
    if any(topic.lower().startswith(_HASH_OF_VERSION_2) for topic in topics):
        raise MagnetError("a magnet link of version 2 only (btmh, BEP 52) is not supported")
    raise MagnetError(f"the magnet link has no info hash (xt={_HASH_OF_VERSION_1}...)")


def _decoded(digits: str) -> bytes:
    if _HEX.fullmatch(digits):
        return binascii.unhexlify(digits)
    if _BASE32.fullmatch(digits):
        return base64.b32decode(digits)
    raise MagnetError(
        "the info hash of the magnet link is cut off or broken: "
        f"40 hexadecimal or 32 base32 digits are needed, not {len(digits)} characters"
    )


def _tracker(raw: str) -> str | None:
    """The URL; None if it cannot be one, or has half a character."""
    return as_url(unquote_to_bytes(raw.encode("utf-8", "surrogatepass")))


def _peer(raw: str) -> Addr | None:
    """A numeric address and its port; None for anything else. A host's name would need a lookup."""
    try:
        host, port = split_host_port(unquote_plus(raw))
        return (unicast_host(host), port) if port else None
    except ValueError:
        return None
