"""One torrent being fetched.

candidates   the owners known, and why each is used or not (pure)
board        the state that the download's threads share: who fetches what, what has arrived
source       one owner's thread: the fetcher works for it, it works for the board
room         landing on a disk that is full: waiting for room
download     the coordinator: check what is here, find owners, keep them busy, finish
"""

from node.download.coordinator import MAX_DOWNLOADS, Download, Surroundings

__all__ = ["MAX_DOWNLOADS", "Download", "Surroundings"]
