"""A tracker that a test plays, over HTTP."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable
from typing import Any

Answer = tuple[int, dict[str, Any], dict[str, str]]


class PlayedTracker:
    """A tracker that the test plays.

    ``answer(mode, fields)`` gives status, object and headers, or None: the connection is closed without an
    answer. ``heard`` lists the requests: (mode, fields, headers).
    """

    def __init__(self) -> None:
        self.heard: list[tuple[int, dict[str, Any], dict[str, str]]] = []
        self.answer: Callable[[int, dict[str, Any]], Answer | None] = lambda mode, fields: (
            200,
            OBJECTS[mode],
            {},
        )
        played = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                played.heard.append((fields["mode"], fields, dict(self.headers)))
                told = played.answer(fields["mode"], fields)
                if told is None:
                    self.close_connection = True
                    return
                status, answered, headers = told
                body = json.dumps(answered).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def modes(self) -> list[int]:
        """The modes of all requests, in order."""
        return [mode for mode, _, _ in self.heard]

    def refuse(self, status: int, text: str = "no", **headers: str) -> None:
        """Answer everything with this error; a header's name has ``_`` for ``-``."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = lambda mode, fields: (status, {"error": text}, told)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


OBJECTS: dict[int, dict[str, Any]] = {
    0: {"status": "Node registered", "interval": 11, "known": True, "files": 0, "claimed": True},
    1: {"status": "File owner added"},
    2: {"dest_node_id": 1, "filename": "f", "search_result": []},
    3: {"status": "Database updated", "counted": True},
    4: {"status": "Node removed"},
}
