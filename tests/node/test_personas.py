"""Nodes that misbehave on purpose, each with an honest owner: the file is right nevertheless."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from node import events
from node.node import Node
from node.peer_tcp import download_side
from node.personas import FREE_RIDER, LIAR, PERSONAS, POLLUTER, STALLER
from node.settings import NodeSettings, TransferSettings

CONTENT = random.Random(1).randbytes(3_000_000)
PATIENCE = 60.0


def check_what_the_fetcher_saw(persona: str, transport: str, seen: list[events.Event]) -> None:
    pieces = [event for event in seen if isinstance(event, events.Piece)]
    if persona in (FREE_RIDER, POLLUTER, STALLER):
        assert all(event.sources == (1,) for event in pieces)
    if persona == POLLUTER:
        assert any(isinstance(event, events.OwnerLost) and event.banned for event in seen)
    if persona == STALLER:
        reasons = [
            event.reason for event in seen if isinstance(event, (events.OwnerLost, events.PeerChanged))
        ]
        assert any(("silent" if transport == "udp" else "snubs") in reason for reason in reasons)
        assert not any("busy" in reason for reason in reasons)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("persona", sorted(PERSONAS))
def test_a_download_beside_a_persona_is_right(
    start_tracker: Callable[..., object],
    tmp_path: Path,
    persona: str,
    transport: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(download_side, "REQUEST_TIMEOUT", 1.0)
    url = start_tracker().url  # type: ignore[attr-defined]
    with ExitStack() as stack:

        def start(
            number: int, persona: str = "", upload: int | None = None
        ) -> tuple[Node, Path, list[events.Event]]:
            seen: list[events.Event] = []
            folder = tmp_path / f"node{number}"
            transfer = TransferSettings(upload_limit=upload)
            settings = NodeSettings(
                *(number, folder, (url,)), transfer=transfer, transports=(transport,), persona=persona
            )
            node = Node(settings, seen.append)
            node.enter_torrent()
            stack.callback(node.exit_torrent)
            return node, folder, seen

        slow = 700_000 if persona == STALLER else None  # so that the silence is noticed before the end
        owner, folder, _ = start(1, upload=slow)
        (folder / "x.bin").write_bytes(CONTENT)
        owner.set_send_mode("x.bin")
        torrent = str(folder / "x.bin.torrent")
        bad, bad_folder, said = start(2, persona)
        if persona != LIAR:
            (bad_folder / "x.bin").write_bytes(CONTENT)
            bad.set_send_mode("x.bin")
        else:
            lies = bad.set_download_mode(torrent)
            assert transport == "tcp" or lies.done.wait(PATIENCE)  # over TCP a seed closes the connection
        assert [event.persona for event in said if isinstance(event, events.Misbehaving)] == [persona]
        fetcher, copied, seen = start(3)
        download = fetcher.set_download_mode(torrent)
        assert download.done.wait(PATIENCE) and download.error is None
        assert (copied / "x.bin").read_bytes() == CONTENT
        check_what_the_fetcher_saw(persona, transport, seen)
