"""The way from a magnet link or an info hash to a torrent: its metadata comes from peers (BEP 9).

peers   the peers that may have it, and the words for what is awaited (pure)
fetch   the thread that asks them
known   what is known of a torrent before its metadata is here
"""

from node.metadata.fetch import MagnetDownload
from node.metadata.known import known_of

__all__ = ["MagnetDownload", "known_of"]
