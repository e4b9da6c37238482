"""Congestion controllers, by name (``-cc``, CONGESTION_CONTROL) or from a file of the user (``-use``)."""

from __future__ import annotations

from collections.abc import Callable

from common.errors import SettingError
from node.chunk_udp.congestion.base import CongestionController
from node.chunk_udp.congestion.bbr import Bbr
from node.chunk_udp.congestion.cubic import Cubic
from node.chunk_udp.congestion.fixed import Fixed
from node.chunk_udp.congestion.ledbat import Ledbat
from node.chunk_udp.congestion.reno import Reno

ControllerFactory = Callable[[int], CongestionController]  # takes the segment size in bytes

CONTROLLERS: dict[str, ControllerFactory] = {
    "bbr": Bbr,
    "cubic": Cubic,
    "fixed": Fixed,
    "ledbat": Ledbat,
    "reno": Reno,
}


def make_controller(choice: str | ControllerFactory, segment_size: int) -> CongestionController:
    """A controller by its name or factory; SettingError if there is no controller of that name."""
    if not isinstance(choice, str):
        return choice(segment_size)
    if choice not in CONTROLLERS:
        raise SettingError(f"no congestion control {choice!r}; there is {', '.join(sorted(CONTROLLERS))}")
    return CONTROLLERS[choice](segment_size)
