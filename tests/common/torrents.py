"""Torrents to read: good ones, with any field changed or taken out."""

from __future__ import annotations

from common import bencode

KIB = 1 << 10
ANNOUNCE = "http://127.0.0.1:12345/announce"


def info(**changes: bencode.Value | None) -> dict[bytes, bencode.Value]:
    """The info of a good torrent of 40,000 bytes; underscores are spaces, None takes a key out."""
    values: dict[bytes, bencode.Value] = {
        b"name": b"x.bin",
        b"length": 40_000,
        b"piece length": 32 * KIB,
        b"pieces": bytes(range(40)),
    }
    for key, value in changes.items():
        values.pop(key.replace("_", " ").encode(), None)
        if value is not None:
            values[key.replace("_", " ").encode()] = value
    return values


def torrent(**changes: bencode.Value | None) -> bytes:
    return bencode.encode({b"announce": ANNOUNCE.encode(), b"info": info(**changes)})


def folder(*files: bencode.Value) -> bytes:
    return torrent(length=None, files=list(files))


def entry(length: bencode.Value, *path: bytes) -> bencode.Value:
    return {b"length": length, b"path": list(path)}


def outside(**values: bencode.Value) -> bytes:
    """A good torrent with ``values`` outside ``info``. In a key ``_`` stands for a blank, ``__`` for a
    dash."""
    keys = {key.replace("__", "-").replace("_", " ").encode(): value for key, value in values.items()}
    return bencode.encode({**keys, b"info": info()})
