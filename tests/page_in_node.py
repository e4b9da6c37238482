"""The page's JavaScript in node.js: questions and answers are JSON (``dashboard/states.mjs``)."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

NODE_JS = shutil.which("node")
Json = Any


class PageInNode:
    """The page's modules in node.js."""

    def __init__(self) -> None:
        assert NODE_JS is not None
        self._process = subprocess.Popen(
            [NODE_JS, str(Path(__file__).with_name("dashboard") / "states.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def ask(self, **question: Json) -> Json:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the page's modules failed: see above"
        return json.loads(answer)

    def close(self) -> None:
        self._process.communicate()
        assert self._process.returncode == 0
