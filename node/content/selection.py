"""The files of a torrent that the user selected, and the pieces that hold their bytes. Pure."""

from __future__ import annotations

from collections.abc import Collection

from common.bitfield import Bitfield
from common.errors import CommandError
from common.metainfo import Metainfo


def selectable(info: Metainfo) -> list[int]:
    """The files that a user can select, by index: all but padding. File 1 of a user is the first of them."""
    return [index for index, entry in enumerate(info.files) if not entry.padding]


def select(info: Metainfo, numbers: Collection[int] | None) -> frozenset[int]:
    """The indexes of files ``numbers``, from 1; None: all. CommandError if there is no such file."""
    files = selectable(info)
    if numbers is None:
        return frozenset(files)
    if wrong := [number for number in numbers if not 1 <= number <= len(files)]:
        raise CommandError(f"{info.name} has no file {wrong[0]}: its files are 1 to {len(files)}")
    if not numbers and files:
        raise CommandError(f"{info.name}: no file is selected")
    return frozenset(files[number - 1] for number in numbers)


def size_of(info: Metainfo, selected: Collection[int]) -> int:
    """Bytes of the selected files; of the whole content, with padding, if all are selected."""
    if len(selected) == len(selectable(info)):
        return info.size
    return sum(info.files[index].length for index in selected)


def verified_size_of(info: Metainfo, selected: Collection[int], have: Bitfield) -> int:
    """Bytes of the selected files in verified pieces."""
    total = start = 0
    for index, entry in enumerate(info.files):
        end = start + entry.length
        if index in selected:
            for piece in info.geometry.pieces_touched(start, end):
                if piece in have:
                    first, last = info.geometry.piece_range(piece)
                    total += min(last, end) - max(first, start)
        start = end
    return total


def wanted_pieces(info: Metainfo, selected: Collection[int]) -> Bitfield:
    """The pieces with at least one byte of a selected file."""
    wanted = Bitfield(info.geometry.piece_count)
    if len(selected) == len(selectable(info)):
        return Bitfield.full(wanted.size)
    start = 0
    for index, entry in enumerate(info.files):
        if index in selected and not entry.padding:
            for piece in info.geometry.pieces_touched(start, start + entry.length):
                wanted.set(piece)
        start += entry.length
    return wanted
