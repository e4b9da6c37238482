"""The node's settings: options over ``configs``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from common.addresses import join_host_port
from common.errors import SettingError
from configs import CFG
from node import options
from node.chunk_udp.congestion import CONTROLLERS
from node.options import Options
from node.settings import NodeSettings, TransferSettings

Checked = TypeVar("Checked")


def settings_for(given: Options) -> NodeSettings:
    """Options over settings; SettingError names a setting that cannot be used."""
    constants = CFG["constants"]
    node_id = given.node_id
    own = {plugin.kind: plugin.factory for plugin in given.use or ()}
    congestion_control = given.congestion_control or constants["CONGESTION_CONTROL"]
    if congestion_control not in CONTROLLERS:
        known = ", ".join(sorted(CONTROLLERS))
        raise SettingError(f"setting CONGESTION_CONTROL={congestion_control!r}: one of {known} is wanted")
    return NodeSettings(
        node_id=node_id,
        folder=given.folder or Path(CFG["directory"]["node_files_dir"]) / f"node{node_id}",
        trackers=given.trackers or _trackers(),
        swarm_key=_setting("SWARM_KEY", "{0}", options.swarm_key),
        host=given.host or _setting("NODE_HOST", "{0}", options.listening_host),
        port_range=(constants["AVAILABLE_PORTS_RANGE"][0], constants["AVAILABLE_PORTS_RANGE"][1]),
        heartbeat=constants["NODE_TIME_INTERVAL"],
        max_owners=constants["MAX_SPLITTNES_RATE"],
        max_partial_owners=constants["MAX_PARTIAL_OWNERS"],
        search_limit=constants["OWNER_SEARCH_LIMIT"],
        piece_order=own.get("piece-order"),
        owner_ranking=own.get("ranking"),
        transfer=TransferSettings(
            congestion_control=own.get("congestion", congestion_control),
            segment_size=constants["CHUNK_PIECES_SIZE"],
            max_datagram=constants["MAX_UDP_SEGMENT_DATA_SIZE"],
            datagram_limit=constants["BUFFER_SIZE"],
            upload_limit=_rate(given.up, "UPLOAD_LIMIT"),
            download_limit=_rate(given.down, "DOWNLOAD_LIMIT"),
            upload_slots=constants["UPLOAD_SLOTS"],
            owner_timeout=constants["OWNER_TIMEOUT"],
        ),
    )


def _trackers() -> tuple[str, ...]:
    """The trackers of the setting TRACKERS, else the one at TRACKER_ADDR."""
    if CFG["constants"]["TRACKERS"] != "none":
        return _setting("TRACKERS", "{0}", options.tracker_urls)
    return _setting("TRACKER_ADDR", join_host_port(*CFG["constants"]["TRACKER_ADDR"]), options.tracker_urls)


def _rate(given: int | None, name: str) -> int | None:
    """Bytes per second: as given, else of the setting ``name``. None: no limit."""
    return (_setting(name, "{0}", options.rate) if given is None else given) or None


def _setting(name: str, form: str, check: Callable[[str], Checked]) -> Checked:
    text = form.format(CFG["constants"][name])
    try:
        return check(text)
    except argparse.ArgumentTypeError as error:
        raise SettingError(f"setting {name}: {error}") from None
