"""Lab 1: a client of the tracker, without a socket.

    next_request(now)      the next request to send, as a dict; None: nothing to send now
    on_answer(...)         the tracker's answer to it
    owners(filename)       the owners in the last answer to NEED, the best first

The harness sends and receives. Requests are described in docs/tracker.md: mode 0 REGISTER, 1 OWN, 2 NEED.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
RETRY = 1.0  # seconds until a request that failed is sent again, if the answer gives no time


class TrackerClient:
    """Registers, announces ``files``, asks for the owners of ``wanted``, and keeps all of it alive."""

    def __init__(self, node_id: int, addr: list[Any], files: list[str], wanted: str) -> None:
        self.node_id = node_id
        self.addr = addr
        self.files = files
        self.wanted = wanted
        # answer
        self.queue = [self.register()]  # requests to send, in order
        self.beat_at = float("inf")  # when the next heartbeat is due
        self.wait_until = 0.0
        self.found: dict[str, list[tuple[int, Any]]] = {}
        # blank
        # end of answer

    def register(self) -> Json:
        """A REGISTER. Given."""
        return {"mode": 0, "node_id": self.node_id, "addr": self.addr}

    def next_request(self, now: float) -> Json | None:
        """The next request to send now, as a dict; None: nothing."""
        # answer
        if now < self.wait_until:
            return None
        if now >= self.beat_at:
            self.beat_at = float("inf")
            self.queue.insert(0, self.register())
        return self.queue.pop(0) if self.queue else None
        # blank
        # return None  # yours
        # end of answer

    def on_answer(self, request: Json, status: int, answer: Json, now: float) -> None:
        """The tracker answered ``request`` with ``status`` (200: it did it) and ``answer``."""
        # answer
        if status != 200:
            self.queue.insert(0, request)
            self.wait_until = now + answer.get("retry_after", RETRY)
            return
        if request["mode"] == 0:
            self.beat_at = now + answer["interval"]
            if not answer["known"]:
                common = {"node_id": self.node_id, "addr": self.addr}
                self.queue = [{"mode": 1, "filename": name, **common} for name in self.files]
                self.queue.append({"mode": 2, "node_id": self.node_id, "filename": self.wanted})
        elif request["mode"] == 2:
            entries = [entry for entry, uploads in answer["search_result"]]
            self.found[answer["filename"]] = [(entry["node_id"], entry["addr"]) for entry in entries]
        # blank
        # pass  # yours
        # end of answer

    def owners(self, filename: str) -> list[tuple[int, Any]]:
        """(node_id, [host, port]) of each owner of ``filename``, in the tracker's order; [] if not known."""
        # answer
        return self.found.get(filename, [])
        # blank
        # return []  # yours
        # end of answer
