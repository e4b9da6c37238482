"""Lab 0: talk to the tracker, and read the swarm's log.

REGISTER, OWN and NEED are bodies for ``curl --json`` to /tracker; docs/tracker.md has their fields.
"""

from __future__ import annotations

import json

NODE = 7
ADDR = ["127.0.0.1", 4007]
# answer
REGISTER = {"mode": 0, "node_id": NODE, "addr": ADDR}
OWN = {"mode": 1, "node_id": NODE, "addr": ADDR, "filename": "hello.txt"}
NEED = {"mode": 2, "node_id": 8, "filename": "hello.txt"}
# blank
# REGISTER = {"mode": 0}  # yours
# OWN = {"mode": 1}  # yours
# NEED = {"mode": 2}  # yours
# end of answer


def verified(lines: list[str], piece: int) -> list[int]:
    """The nodes that verified ``piece``, in the order of the log. ``lines``: JSON, the header first."""
    # answer
    events = [json.loads(line) for line in lines[1:]]
    return [e["node"] for e in events if e["name"] == "piece:verified" and e["data"]["piece"] == piece]
    # blank
    # return []  # yours
    # end of answer


def rarest(lines: list[str], pieces: int) -> int:
    """The piece with the fewest holders at the end, of pieces 0 to ``pieces`` - 1; of several the lowest."""
    # answer
    return min(range(pieces), key=lambda piece: (len(verified(lines, piece)), piece))
    # blank
    # return 0  # yours
    # end of answer
