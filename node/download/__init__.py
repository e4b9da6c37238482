"""One torrent being fetched.

coordinator     a download's phases, from the check of existing bytes to the file in place
live            the parts of a download that exist while it fetches
swarm           a download's environment: its torrent's trackers, and the shared parts of its node
known_peers     candidates, and why each one is used or not (pure)
peer_search     asks all peer sources side by side
search_backoff  when to search again, and when to give up (pure)
source_pool     the number of sources, and their replacement
source          a source: the session of a connection, and its thread
state           the scheduler behind a lock
write_buffer    runs of bytes on their way to the disk
piece_results   the consequences of right and wrong pieces
disk_full       waits for room on the disk
checking        checks before a download
reporting       events, and rows of -status and -peers
unexpected      faults of the program itself
"""

from node.download.coordinator import Download
from node.download.swarm import MAX_DOWNLOADS, NodeParts, SwarmTrackers

__all__ = ["MAX_DOWNLOADS", "Download", "NodeParts", "SwarmTrackers"]
