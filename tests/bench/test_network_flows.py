"""TCP and QUIC streams, the references for our transfers, between two ends of this machine."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.network import tcp

ROOT = Path(__file__).resolve().parents[2]
SECONDS = "0.3"
quic = pytest.param(
    tcp.QUIC,
    "cubic",
    marks=pytest.mark.skipif(bool(tcp.no_quic()), reason=tcp.no_quic() or "there is aioquic"),
)
plain = pytest.param(
    tcp.FLOW,
    "cubic",
    marks=pytest.mark.skipif(bool(tcp.missing("cubic")), reason=tcp.missing("cubic") or "there is cubic"),
)


@pytest.mark.parametrize(("flow", "control"), [plain, quic])
def test_two_connections_carry_what_is_counted(flow: list[str], control: str) -> None:
    words = [sys.executable, *flow]
    receiver = [*words, "receive", "127.0.0.1", "--seconds", SECONDS]
    with subprocess.Popen(receiver, cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8") as there:
        assert there.stdout is not None
        port = str(json.loads(there.stdout.readline())["port"])
        sender = [*words, "send", "127.0.0.1", "--port", port, "--seconds", SECONDS]
        sender += ["--flows", "2", "--cc", control]
        sent = subprocess.run(sender, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60, check=True)
        received = json.loads(there.stdout.readline())
        assert there.wait(timeout=60) == 0
    assert json.loads(sent.stdout) == {"event": "sending", "congestion_control": control}
    assert received["bytes"] > 100_000
    assert 0.0 < received["seconds"] <= 2.0


def test_without_aioquic_quic_is_left_out_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "not installed" in tcp.no_quic()
