"""Which file names are safe on every system, not only on this one.

A name is not safe if it leaves the folder, names a device on some system, or looks like another name on a
terminal. A new torrent is not made of such a file. In a torrent that is read, such names are replaced
(``common/safe_paths.py``), because anyone may have written the torrent.
"""

from __future__ import annotations

import re

from common.errors import MetainfoError
from common.text import sanitize

TORRENT_SUFFIX = ".torrent"
PART_SUFFIX = ".part"  # an unfinished download of NAME is NAME.part
RESUME_SUFFIX = ".resume"  # the verified pieces of NAME, next to it
SIDE_SUFFIX = ".side"  # bytes of files of NAME that are not selected
MAX_COMPONENT_BYTES = 255  # UTF-8; the limit of ext4, APFS, NTFS and most other file systems
MAX_NAME_BYTES = MAX_COMPONENT_BYTES - len(TORRENT_SUFFIX)  # NAME.torrent must fit, too

_CONTROL_CHARACTERS = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_DIRECTION_CHARACTERS = r"\u202a-\u202e\u2066-\u2069"  # these show exe.gpj as jpg.exe
_WINDOWS_CHARACTERS = r'<>:"|?*'
_CONTROL = re.compile(f"[{_CONTROL_CHARACTERS}]")
_TEXT_DIRECTION = re.compile(f"[{_DIRECTION_CHARACTERS}]")
_FORBIDDEN = re.compile(f"[{_WINDOWS_CHARACTERS}]")
# Also lone surrogates: Python decodes bytes that are not UTF-8 to them.
UNSTORABLE = re.compile(
    rf"[/\\{_CONTROL_CHARACTERS}{_DIRECTION_CHARACTERS}{_WINDOWS_CHARACTERS}\ud800-\udfff]"
)
_DEVICE = re.compile(
    r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9\u00b9\u00b2\u00b3]) *(\..*)?", re.IGNORECASE | re.DOTALL
)


def check_name(name: str) -> str:
    """``name`` if a torrent may have it; MetainfoError names the reason otherwise.

    The name leaves room for ``.torrent`` and ``.part``. It does not end in ``.part``, because NAME.part is
    the unfinished download of NAME.
    """
    check_component(name)
    if len(name.encode("utf-8")) > MAX_NAME_BYTES:
        raise _refused(name, f"longer than {MAX_NAME_BYTES} bytes")
    if name.lower().endswith(PART_SUFFIX):
        raise _refused(name, f"ends in {PART_SUFFIX}, the ending of unfinished downloads")
    return name


def check_component(name: str) -> str:
    """``name`` if it is safe as one component of a path on every system; MetainfoError otherwise."""
    reason = why_not_component(name)
    if reason:
        raise _refused(name, reason)
    return name


def is_device_name(name: str) -> bool:
    """True if Windows takes ``name`` for a device, in any folder."""
    return _DEVICE.fullmatch(name) is not None


def why_not_component(name: str) -> str:
    """The reason why ``name`` is not safe as one component of a path; "" if it is."""
    if name in ("", ".", ".."):
        return "names no file"
    try:
        length = len(name.encode("utf-8"))
    except UnicodeEncodeError:  # a lone surrogate: Python decodes local names that are not UTF-8 to it
        return "not valid UTF-8"
    if "/" in name or "\\" in name:
        return "has a slash or backslash; a name is not a path"
    if _CONTROL.search(name):
        return "has a control character"
    if _TEXT_DIRECTION.search(name):
        return "has a character that changes the direction of text"
    if _FORBIDDEN.search(name):
        return 'has one of < > : " | ? *, which Windows does not store'
    if name[-1] in ". ":
        return "ends in a dot or a space, which Windows drops"
    if is_device_name(name):
        return "names a device on Windows"
    if length > MAX_COMPONENT_BYTES:
        return f"longer than {MAX_COMPONENT_BYTES} bytes"
    return ""


def _refused(name: str, reason: str) -> MetainfoError:
    shown = sanitize(_TEXT_DIRECTION.sub("\ufffd", name)).encode("utf-8", "replace").decode("utf-8")
    if len(shown) > 60:
        shown = shown[:57] + "..."
    return MetainfoError(f'file name "{shown}" cannot be used: {reason}')
