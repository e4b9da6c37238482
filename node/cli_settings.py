"""The node's settings: options over ``configs``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from common.addresses import join_host_port
from common.errors import SettingError
from configs import CFG
from node import option_values as values
from node.chunk_udp.congestion import CONTROLLERS
from node.options import Options
from node.plugins import Plugin
from node.scheduling.piece_order import PIECE_ORDERS
from node.settings import NodeSettings, PeerWireSettings, TransferSettings

Checked = TypeVar("Checked")


def settings_for(given: Options) -> NodeSettings:
    """Options over settings; SettingError names a setting that cannot be used."""
    constants = CFG["constants"]
    own = {plugin.kind: plugin for plugin in given.use or ()}
    is_standard = given.node_id is None
    return NodeSettings(
        node_id=given.node_id,
        folder=given.folder or _folder(given.node_id),
        trackers=() if is_standard else given.trackers or _trackers(),
        swarm_key=_setting("SWARM_KEY", "{0}", values.swarm_key),
        host=given.host or _setting("NODE_HOST", "{0}", values.listening_host),
        port_range=(constants["AVAILABLE_PORTS_RANGE"][0], constants["AVAILABLE_PORTS_RANGE"][1]),
        heartbeat=constants["NODE_TIME_INTERVAL"],
        max_owners=constants["MAX_SPLITTNES_RATE"],
        max_partial_owners=constants["MAX_PARTIAL_OWNERS"],
        search_limit=constants["OWNER_SEARCH_LIMIT"],
        piece_order=own["piece-order"].order if "piece-order" in own else _piece_order(given.order),
        owner_ranking=own["ranking"].ranking if "ranking" in own else None,
        choker=own["choker"].choker if "choker" in own else None,
        transfer=_transfer(given, own.get("congestion")),
        peer_wire=_peer_wire(given),
        transports=given.transports or (("tcp",) if is_standard else values.TRANSPORTS),
        peers=tuple(given.peers or ()),
        selected=given.select,
        report=(given.report or _setting("REPORT", "{0}", values.word_of(values.SWITCH))) == "on",
        pcap=given.pcap,
        faults=given.faults,
        persona=given.persona or "",
        seeds=given.seed or given.command is None or given.command.verb != "download",
    )


def _transfer(given: Options, own: Plugin | None) -> TransferSettings:
    constants = CFG["constants"]
    control = given.congestion_control or _setting("CONGESTION_CONTROL", "{0}", values.word_of(CONTROLLERS))
    return TransferSettings(
        congestion_control=control
        if own is None
        else lambda size: own.controller(size, CONTROLLERS[control]),
        segment_size=constants["CHUNK_PIECES_SIZE"],
        max_datagram=constants["MAX_UDP_SEGMENT_DATA_SIZE"],
        datagram_limit=constants["BUFFER_SIZE"],
        upload_limit=_rate(given.up, "UPLOAD_LIMIT"),
        download_limit=_rate(given.down, "DOWNLOAD_LIMIT"),
        upload_slots=constants["UPLOAD_SLOTS"],
        owner_timeout=constants["OWNER_TIMEOUT"],
    )


def _peer_wire(given: Options) -> PeerWireSettings:
    constants = CFG["constants"]
    return PeerWireSettings(
        port=constants["TCP_PORT"] if given.port is None else given.port,
        max_peers=given.max_peers or constants["MAX_PEERS"],
        encryption=given.encryption or _setting("ENCRYPTION", "{0}", values.word_of(values.ENCRYPTIONS)),
    )


def _folder(node_id: int | None) -> Path:
    """The folder of a node; a standard peer downloads into the current folder."""
    return Path() if node_id is None else Path(CFG["directory"]["node_files_dir"]) / f"node{node_id}"


def _piece_order(name: str | None) -> Callable[[], Any] | None:
    """The piece order of this name, else that of the setting. None: rarest first, the node's own order."""
    name = name or _setting("PIECE_ORDER", "{0}", values.word_of(PIECE_ORDERS))
    return None if name == "rarest" else PIECE_ORDERS[name]


def _trackers() -> tuple[str, ...]:
    """The trackers of the setting TRACKERS, else the one at TRACKER_ADDR."""
    if CFG["constants"]["TRACKERS"] != "none":
        return _setting("TRACKERS", "{0}", values.tracker_urls)
    return _setting("TRACKER_ADDR", join_host_port(*CFG["constants"]["TRACKER_ADDR"]), values.tracker_urls)


def _rate(given: int | None, name: str) -> int | None:
    """Bytes per second: as given, else of the setting ``name``. None: no limit."""
    return (_setting(name, "{0}", values.rate) if given is None else given) or None


def _setting(name: str, form: str, check: Callable[[str], Checked]) -> Checked:
    text = form.format(CFG["constants"][name])
    try:
        return check(text)
    except argparse.ArgumentTypeError as error:
        raise SettingError(f"setting {name}: {error}") from None
