"""One torrent being fetched.

coordinator    check what is here, find peers, keep sources busy, finish
swarm          what a download needs of the world: trackers, and the parts of its node
known_peers    the peers known, and why each is used or not (pure)
peer_search    asking every peer source at once
source_pool    which known peers are sources at present
source         one source's thread
state          what the threads share: the scheduler, and a lock around it
write_buffer   bytes on their way to the disk
piece_results  what follows from a right or wrong piece
disk_full      waiting for room
checking       what is here already
reporting      events, and rows of -status and -peers
"""

from node.download.coordinator import Download
from node.download.swarm import MAX_DOWNLOADS, NodeParts, Swarm

__all__ = ["MAX_DOWNLOADS", "Download", "NodeParts", "Swarm"]
