"""The faults of one node: the fate of each datagram, and of each message over TCP. Pure.

    MessageFaults     the rules, the chances and their counts, of one specification
    ConnectionFaults  the messages of one TCP connection that are on their way, in both directions

A node applies them on its sockets (``node.fault_tap``), the simulator in virtual time: the same specification
hits the same messages. docs/faults.md says what each fault is over UDP and over TCP.
"""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from common.errors import CommandError, WireError
from faults.exact import ExactFaults, Facts
from faults.link import Link, LinkFaults, damaged
from faults.ordered import OrderedPath
from faults.spec import FaultSpec, Rule, parse_faults
from node.chunk_udp import wire
from node.peer_tcp.messages import PIECE_HEADER, MessageId
from node.tap import Address

OnHit = Callable[[str, str], None]  # the rule as it was written, and the message that it hit
DATAGRAMS = frozenset(kind.name for kind in wire.Kind) | {"MALFORMED"}
STREAM_MESSAGES = frozenset(str(kind).upper() for kind in MessageId) | {"KEEP ALIVE", "UNKNOWN"}
_NEVER = float("inf")


def parse_node_faults(text: str) -> FaultSpec:
    """As ``parse_faults``. CommandError, too, if a rule names a message that neither transport has."""
    spec = parse_faults(text)
    for rule in spec.rules:
        if rule.message and rule.message not in DATAGRAMS | STREAM_MESSAGES:
            names = ", ".join(sorted(DATAGRAMS | STREAM_MESSAGES))
            raise CommandError(f"faults: no message is called {rule.message}; there are {names}")
    return spec


def effects_of(spec: FaultSpec, transports: tuple[str, ...]) -> list[str]:
    """What a user of these transports ("udp", "tcp") should know about ``spec``."""
    said = []
    link = spec.link
    if "tcp" in transports and (link.loss or link.burst_begin):
        said.append("over TCP a lost message comes later, with all behind it")
    if "tcp" in transports and (link.duplicate or link.reorder):
        said.append("over TCP nothing is duplicated or reordered")
    names = {"udp": DATAGRAMS, "tcp": STREAM_MESSAGES}
    here = frozenset[str]().union(*(names[each] for each in transports))
    for message in sorted({rule.message for rule in spec.rules} - here - {""}):
        said.append(f"{message} is no message of {' or '.join(transports)}")
    return said


class MessageFaults:
    """``piece_length()``: of the torrent in use, in bytes; 0: no torrent. ``own_id``: this node.

    For one thread at a time.
    """

    def __init__(
        self, spec: FaultSpec, own_id: int | None, piece_length: Callable[[], int], on_hit: OnHit
    ) -> None:
        self.names: dict[Address, int] = {}  # the node_ids of peers
        self._own_id, self._piece_length, self._on_hit = own_id, piece_length, on_hit
        self.set(spec)

    def set(self, spec: FaultSpec) -> None:
        """From now on these faults. Messages on their way stay on it."""
        self.spec = spec
        self.exact = ExactFaults(spec.rules)
        self._links = Link(spec.link, spec.seed), Link(spec.link, spec.seed + 1)
        self._paths = 0  # that were made for TCP

    def datagram(self, data: bytes, outgoing: bool, peer: Address, now: float) -> list[tuple[float, bytes]]:
        """The arrivals of a datagram: pairs (when, bytes). Times are seconds."""
        if self._is_cut_off(peer):
            return []
        rule = self._hit(lambda ends: _datagram_facts(data, *ends), outgoing, peer)
        if rule is not None:
            return _after(rule, data, now)
        if self.spec.link == LinkFaults():
            return [(now, data)]
        return self._links[outgoing].send(data, now)

    def connection(
        self, peer: Address, lock: contextlib.AbstractContextManager[object] | None = None
    ) -> ConnectionFaults:
        """The faults of a TCP connection that begins now. ``lock`` guards this object."""
        return ConnectionFaults(self, peer, lock or contextlib.nullcontext())

    def path(self, outgoing: bool) -> OrderedPath:
        """A new path for one direction of a connection."""
        self._paths += 1
        seed = self.spec.seed + 2 * self._paths + outgoing
        return OrderedPath(self.spec.link, seed, _damaged_block)

    def message(
        self, message: bytes, number: int, path: OrderedPath, outgoing: bool, peer: Address, now: float
    ) -> tuple[float, bytes] | None:
        """When a whole message over TCP arrives on ``path``, and as which bytes; None: never.

        ``number``: which one of its name it is, in this direction of the connection.
        """
        if self._is_cut_off(peer):
            return None
        rule = self._hit(lambda ends: self._message_facts(message, number, *ends), outgoing, peer)
        if rule is not None:
            arrivals = _after(rule, message, now)
            return (path.in_order(arrivals[0][0]), arrivals[0][1]) if arrivals else None
        if self.spec.link == LinkFaults():
            return path.in_order(now), message
        return path.send(message, now)

    def _is_cut_off(self, peer: Address) -> bool:
        return bool(self.spec.cut_off) and self.names.get(peer) in self.spec.cut_off

    def _hit(
        self, facts_of: Callable[[tuple[int | None, int | None]], Facts], outgoing: bool, peer: Address
    ) -> Rule | None:
        if not self.spec.rules:
            return None
        other = self.names.get(peer)
        facts = facts_of((self._own_id, other) if outgoing else (other, self._own_id))
        self.exact.piece_length = self._piece_length()
        rule = self.exact.hit(facts)
        if rule is not None:
            number = "" if facts.number is None else f" {facts.number}"
            whom = "{}:{}".format(*peer) if other is None else f"node {other}"
            self._on_hit(rule.text, f"{facts.message}{number} {'to' if outgoing else 'from'} {whom}")
        return rule

    def _message_facts(self, message: bytes, number: int, sender: int | None, receiver: int | None) -> Facts:
        name, span, piece = message_name(message), None, None
        if name in ("PIECE", "REQUEST"):
            _, _, piece, begin = PIECE_HEADER.unpack_from(message)
            length = int.from_bytes(message[13:17], "big") if name == "REQUEST" else len(message) - 13
            start = piece * self._piece_length() + begin
            span = (start, start + length)
        return Facts(name, number, span, sender, receiver, piece)


@dataclass
class _Direction:
    path: OrderedPath
    numbers: Counter[str] = field(default_factory=Counter)  # messages so far, by name
    held: deque[tuple[float, bytes]] = field(default_factory=deque)  # when they arrive, in order
    size: int = 0  # bytes held


class ConnectionFaults:
    """The messages of one TCP connection that are on their way. Implements ``StreamFaults``."""

    def __init__(
        self, faults: MessageFaults, peer: Address, lock: contextlib.AbstractContextManager[object]
    ) -> None:
        self._faults, self._peer, self._lock = faults, peer, lock
        self._spec = faults.spec
        self._ways = {outgoing: _Direction(faults.path(outgoing)) for outgoing in (False, True)}

    def put(self, message: bytes, outgoing: bool, now: float) -> None:
        """A whole message sets out."""
        way = self._ways[outgoing]
        name = message_name(message)
        with self._lock:
            if self._spec is not self._faults.spec:
                self._begin_again()
            way.numbers[name] += 1
            arrival = self._faults.message(message, way.numbers[name], way.path, outgoing, self._peer, now)
        if arrival is not None:
            way.held.append(arrival)
            way.size += len(arrival[1])

    def take(self, outgoing: bool, now: float) -> bytes:
        """The messages that have arrived by ``now``; each is returned once."""
        way, arrived = self._ways[outgoing], list[bytes]()
        while way.held and way.held[0][0] <= now:
            arrived.append(way.held.popleft()[1])
        way.size -= sum(map(len, arrived))
        return b"".join(arrived)

    def due(self, outgoing: bool) -> float:
        """When ``take`` has something next; infinite: nothing is on its way."""
        held = self._ways[outgoing].held
        return held[0][0] if held else _NEVER

    def size(self, outgoing: bool) -> int:
        """Bytes that are on their way."""
        return self._ways[outgoing].size

    def _begin_again(self) -> None:
        """Other faults are set: messages on their way still come before later ones."""
        self._spec = self._faults.spec
        for outgoing, way in self._ways.items():
            way.path = self._faults.path(outgoing)
            if way.held:
                way.path.in_order(way.held[-1][0])


def message_name(message: bytes) -> str:
    """The name in capitals, as in the BEPs, of a whole message of the peer wire."""
    if len(message) < 5:
        return "KEEP ALIVE"
    number = message[4]
    return str(MessageId(number)).upper() if number in MessageId._value2member_map_ else "UNKNOWN"


def _after(rule: Rule, data: bytes, now: float) -> list[tuple[float, bytes]]:
    """The messages that a rule leaves of one, and their times."""
    if rule.action == "drop":
        return []
    if rule.action == "delay":
        return [(now + rule.seconds, data)]
    return [(now, damaged(data, 0.999, 0.5))]  # a byte near its end: of the payload, if it has one


def _damaged_block(message: bytes, where: float, how: float) -> bytes:
    """A PIECE with one byte of its block changed. Other messages stay as they are: see docs/faults.md."""
    start = PIECE_HEADER.size
    if len(message) <= start or message[4] != MessageId.PIECE:
        return message
    return message[:start] + damaged(message[start:], where, max(how, 0.25))


def _datagram_facts(data: bytes, sender: int | None, receiver: int | None) -> Facts:
    try:
        message = wire.decode(data)
    except WireError:
        return Facts("MALFORMED", None, None, sender, receiver)
    span = None
    if isinstance(message, (wire.Data, wire.Request)):
        length = len(message.payload) if isinstance(message, wire.Data) else message.length
        span = (message.offset, message.offset + length)
    name = "METADATA" if isinstance(message, wire.MetadataPage) else type(message).__name__.upper()
    return Facts(name, message.sequence, span, sender, receiver)
