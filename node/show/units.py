"""Numbers for people: decimal sizes, rates, times. Pure."""

from __future__ import annotations

import math

_STEPS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def size(amount: float) -> str:
    """Bytes in decimal units, three digits or so: ``999 B``, ``1.0 kB``, ``104.9 MB``."""
    if not math.isfinite(amount):
        return "?"
    step = 0
    # 999.95 would be shown as 1000.0
    while abs(amount) >= (1000 if step == 0 else 999.95) and step < len(_STEPS) - 1:
        amount /= 1000
        step += 1
    return f"{amount:.0f} B" if step == 0 else f"{amount:.1f} {_STEPS[step]}"


def binary_size(amount: int) -> str:
    """``1 MiB``, ``16 KiB``; bytes if it is no whole number of KiB. For lengths of pieces."""
    for unit, factor in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if amount and amount % factor == 0:
            return f"{amount // factor} {unit}"
    return f"{amount} B"


def part(amount: float, whole: float) -> str:
    """``39.8 of 100.0 MB``; both units if they differ."""
    shown, unit = size(amount).split()
    whole_size = size(whole)
    return (
        f"{shown} of {whole_size}" if whole_size.endswith(f" {unit}") else f"{shown} {unit} of {whole_size}"
    )


def rate(amount: float) -> str:
    """Bytes a second: ``83.2 MB/s``."""
    return f"{size(amount)}/s"


def duration(seconds: float | None) -> str:
    """Seconds: ``0.84 s``, ``12.3 s``, ``3:05``, ``1:02:03``; ``-`` if unknown."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def eta(seconds: float | None) -> str:
    """Time left, in whole seconds: ``0:07``; ``-:--`` if nothing moves."""
    if seconds is None or not math.isfinite(seconds):
        return "-:--"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def percent(done: int, whole: int) -> str:
    """Rounded down, so that 100.0% means all of it; an empty whole is done."""
    if whole <= 0 or done >= whole:
        return "100.0%"
    return f"{done * 1000 // whole / 10:.1f}%"
