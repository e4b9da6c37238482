"""Congestion controllers, chosen by name (``-cc``, CONGESTION_CONTROL)."""

from __future__ import annotations

from collections.abc import Callable

from common.errors import SettingError
from node.chunk_udp.congestion.base import CongestionController
from node.chunk_udp.congestion.bbr import Bbr
from node.chunk_udp.congestion.cubic import Cubic
from node.chunk_udp.congestion.fixed import Fixed
from node.chunk_udp.congestion.ledbat import Ledbat
from node.chunk_udp.congestion.reno import Reno

CONTROLLERS: dict[str, Callable[[int], CongestionController]] = {
    "bbr": Bbr,
    "cubic": Cubic,
    "fixed": Fixed,
    "ledbat": Ledbat,
    "reno": Reno,
}


def make_controller(name: str, segment_size: int) -> CongestionController:
    """The controller called ``name`` for segments of ``segment_size`` bytes; else SettingError."""
    if name not in CONTROLLERS:
        raise SettingError(f"no congestion control {name!r}; there is {', '.join(sorted(CONTROLLERS))}")
    return CONTROLLERS[name](segment_size)
