"""Other people's BitTorrent software on loopback: marks, settings and sessions for all interop tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

INTEROP = [
    pytest.mark.interop,
    # libtorrent 2.1 prefers names that 2.0 does not have. The names that both have are used here.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
QUIET = (
    "enable_dht", "enable_lsd", "enable_upnp", "enable_natpmp", "enable_outgoing_utp", "enable_incoming_utp",
)  # fmt: skip
"""Settings of libtorrent that are off, so that nothing leaves loopback."""


def session(libtorrent: Any, host: str, **settings: Any) -> Any:
    """A libtorrent session at an address of its own."""
    loopback = {"listen_interfaces": f"{host}:0", "outgoing_interfaces": host}
    shared_address = {"allow_multiple_connections_per_ip": True}
    return libtorrent.session({**dict.fromkeys(QUIET, False), **loopback, **shared_address, **settings})


def encryption(libtorrent: Any, policy: str) -> dict[str, Any]:
    """Settings of a session that requires ("forced"), offers ("enabled") or refuses ("disabled") MSE."""
    chosen = int(getattr(libtorrent.enc_policy, f"pe_{policy}"))
    return {"out_enc_policy": chosen, "in_enc_policy": chosen}


def their_peer(libtorrent: Any, torrent: Path, folder: Path, host: str, **settings: Any) -> tuple[Any, Any]:
    """A session and its torrent, started at once."""
    parameters = libtorrent.add_torrent_params()
    parameters.ti = libtorrent.torrent_info(str(torrent))
    parameters.save_path = str(folder)
    parameters.flags &= ~(libtorrent.torrent_flags.paused | libtorrent.torrent_flags.auto_managed)
    started = session(libtorrent, host, **settings)
    return started, started.add_torrent(parameters)
