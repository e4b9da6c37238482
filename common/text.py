"""Text from other machines, made safe to show."""

from __future__ import annotations

import re

_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"  # also line separators and lone surrogates
_DIRECTION = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # these show exe.gpj as jpg.exe
# Characters without width make two names look alike: soft hyphen, joiners, fillers, tags.
_INVISIBLE = r"\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u206a-\u206f\u3164"
_INVISIBLE += r"\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff"
_HARMFUL = re.compile(f"[{_CONTROL}{_DIRECTION}{_INVISIBLE}]")


def sanitize(text: object) -> str:
    """``text`` for people: control, invisible and direction characters and lone surrogates become "�".

    Then no name can forge or colour a line, or look like another name. Only shown text is changed, never the
    name itself.
    """
    return _HARMFUL.sub("�", str(text))
