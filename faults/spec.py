"""Faults as text: ``-faults "loss=5%,delay=40ms,rate=10mbit,seed=7"`` and ``'drop "DATA 2" once'``. Pure.

A specification is a list of parts, separated by commas or semicolons:

    loss=5%  duplicate=1%  corrupt=1%  reorder=2%      probabilities, for each datagram
    delay=40ms  jitter=10ms                            for each datagram
    rate=10mbit  rate=500kB                            bits or bytes a second
    burst=1%/20%                                       a burst of losses begins, ends
    partition=3+4                                      nothing from or to nodes 3 and 4
    seed=7                                             of all chances
    drop "DATA 2" once                                 exactly this message
    delay "REQUEST 3" 200ms                            exactly this one, later
    corrupt "PIECE 1" once                             one byte of it is changed
    drop "piece 17 from node 3"                        everything that carries it, always

The quotes of a message may be left out: inside others, Windows' PowerShell splits the argument at them.
docs/faults.md says what each part does to a datagram, and to a message over TCP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from common.errors import CommandError
from faults.link import LinkFaults

ACTIONS = ("drop", "delay", "corrupt")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_RATES = {"bit": 1 / 8, "kbit": 125.0, "mbit": 125_000.0, "gbit": 125e6, "b": 1.0, "kb": 1e3, "mb": 1e6}
_RULE = re.compile(
    r'(\w+)\s+(?:"([^"]*)"(?:\s+(.*))?|([^"]+?)((?:\s+(?:once|\d+ times|\d[\d.]*\s*(?:us|ms|s)))*))'
)
_MESSAGE = re.compile(
    r"(?:(piece) (\d+)|([A-Za-z_-]+(?: (?!from\b|to\b)[A-Za-z]+)?)(?: (\d+))?)"
    r"(?: from node (\d+))?(?: to node (\d+))?"
)
MAX_RULES = 64  # exact faults of one specification
MAX_TIMES = 1_000_000  # times that one of them may be asked for


@dataclass(frozen=True)
class Rule:
    """An exact fault: ``action`` for the messages that it names."""

    action: str
    message: str = ""  # its name in capitals as in docs/protocol.md or the BEPs; "": any
    number: int | None = None  # its sequence number; None: any. Over TCP: see ``exact.Facts``
    piece: int | None = None  # messages that carry bytes of this piece
    sender: int | None = None  # a node_id
    receiver: int | None = None
    times: int | None = None  # how often; None: always
    seconds: float = 0.0  # of delay
    text: str = field(default="", compare=False)


@dataclass(frozen=True)
class FaultSpec:
    """The parsed ``-faults`` option."""

    link: LinkFaults = field(default_factory=LinkFaults)
    rules: tuple[Rule, ...] = ()
    cut_off: frozenset[int] = frozenset()  # nodes that nothing comes from or goes to
    seed: int = 1
    text: str = field(default="", compare=False)

    @property
    def is_empty(self) -> bool:
        """True if there is no fault at all."""
        return not self.rules and not self.cut_off and self.link == LinkFaults()


def parse_faults(text: str) -> FaultSpec:
    """The specification in ``text``; "" and "off": no fault. CommandError names the part that is wrong."""
    spec, link, rules = FaultSpec(text=text.strip()), dict[str, float](), list[Rule]()
    if text.strip() in ("", "off"):
        return FaultSpec()
    for part in _parts(text):
        if part.split(maxsplit=1)[0] in ACTIONS:
            rules.append(_rule(part))
            continue
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals:
            raise CommandError(f'faults: {part!r} is neither name=value nor {", ".join(ACTIONS)} "MESSAGE"')
        if name == "seed":
            spec = replace(spec, seed=_whole(part, value))
        elif name == "partition":
            spec = replace(spec, cut_off=frozenset(_whole(part, node) for node in value.split("+")))
        else:
            link |= _link_field(part, name, value)
    if len(rules) > MAX_RULES:
        raise CommandError(f"faults: more than {MAX_RULES} rules")
    try:
        return replace(spec, rules=tuple(rules), link=LinkFaults(**link))  # type: ignore[arg-type]  # floats
    except ValueError as error:
        raise CommandError(f"faults: {error}") from None


def _parts(text: str) -> Iterator[str]:
    """The parts between commas and semicolons that are not in quotes."""
    for part in re.findall(r'(?:[^,;"]|"[^"]*"?)+', text):
        if part.strip():
            yield part.strip()


def _rule(part: str) -> Rule:
    found = _RULE.fullmatch(part)
    if found is None:
        raise CommandError(f'faults: {part!r} needs a message: drop "DATA 2" once')
    action, words, rest = found[1], (found[2] or found[4] or "").strip(), (found[3] or found[5] or "").split()
    message = _MESSAGE.fullmatch(words)
    if message is None:
        raise CommandError(f'faults: "{words}" names no message; try "DATA 2" or "piece 17 from node 3"')
    rule = Rule(
        action,
        message=re.sub("[_-]", " ", message[3] or "").upper(),
        number=None if message[4] is None else int(message[4]),
        piece=None if message[2] is None else int(message[2]),
        sender=None if message[5] is None else int(message[5]),
        receiver=None if message[6] is None else int(message[6]),
        text=part,
    )
    return _with_rest(part, rule, rest)


def _with_rest(part: str, rule: Rule, rest: list[str]) -> Rule:
    """``rule`` with ``once``, ``3 times`` and the seconds of a delay."""
    while rest:
        word = rest.pop(0)
        if word == "once":
            rule = replace(rule, times=1)
        elif word.isdecimal() and rest[:1] == ["times"]:
            rest.pop(0)
            rule = replace(rule, times=min(int(word), MAX_TIMES))
        elif rule.action == "delay":
            rule = replace(rule, seconds=_seconds(part, word))
        else:
            raise CommandError(f"faults: {part!r}: {word!r} is none of once, N times")
    if rule.action == "delay" and not rule.seconds:
        raise CommandError(f'faults: {part!r} needs a time: delay "REQUEST 3" 200ms')
    return rule


def _link_field(part: str, name: str, value: str) -> dict[str, float]:
    if name in ("loss", "duplicate", "corrupt", "reorder"):
        return {name: _share(part, value)}
    if name in ("delay", "jitter"):
        return {name: _seconds(part, value)}
    if name == "rate":
        return {"rate": _rate(part, value)}
    if name == "burst":
        begin, slash, end = value.partition("/")
        return {"burst_begin": _share(part, begin), "burst_end": _share(part, end) if slash else 0.2}
    names = "loss, duplicate, corrupt, reorder, delay, jitter, rate, burst, partition, seed"
    raise CommandError(f"faults: there is no {name!r}; there is {names}")


def _share(part: str, value: str) -> float:
    number = _number(part, value.removesuffix("%"))
    share = number / 100 if value.endswith("%") else number
    if not 0 <= share <= 1:
        raise CommandError(f"faults: {part!r} is no probability; 5% or 0.05")
    return share


def _seconds(part: str, value: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s)", value)
    if found is None:
        raise CommandError(f"faults: {part!r} needs a time like 40ms or 0.5s")
    return _number(part, found[1]) * _UNITS[found[2]]


def _rate(part: str, value: str) -> float:
    found = re.fullmatch(r"([\d.]+)([kmg]?bit|[kKmM]?B)", value)
    rate = 0.0 if found is None else _number(part, found[1]) * _RATES[found[2].lower()]
    if rate < 1:
        raise CommandError(f"faults: {part!r} needs a rate like 10mbit (bits) or 500kB (bytes), a second")
    return rate


def _number(part: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise CommandError(f"faults: {value!r} in {part!r} is no number") from None
    if not 0 <= number < 1e12:
        raise CommandError(f"faults: {value!r} in {part!r} is out of range")
    return number


def _whole(part: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 11):
        raise CommandError(f"faults: {value!r} in {part!r} is no whole number")
    return int(value)
