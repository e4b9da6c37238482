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


def make_controller(
    name: str | Callable[[int], CongestionController], segment_size: int
) -> CongestionController:
    """A controller for segments of ``segment_size`` bytes: by its name, or by a function that makes it.

    SettingError if there is no controller of that name.
    """
    if not isinstance(name, str):
        return name(segment_size)
    if name not in CONTROLLERS:
        raise SettingError(f"no congestion control {name!r}; there is {', '.join(sorted(CONTROLLERS))}")
    return CONTROLLERS[name](segment_size)
