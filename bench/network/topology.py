"""A network for one run: namespaces, each with its own access to the emulator that joins them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from bench.network.namespaces import Namespace
from bench.processes import Child, Children, Event
from faults.link import LinkFaults

FETCHER = "fetcher"
SUBNET = "10.77.0"
MAX_STATIONS = 200
Links = Mapping[
    str, tuple[LinkFaults, LinkFaults]
]  # up and down, by station; a station that is not in it has perfect links


def owner(number: int) -> str:
    """The name of an owner's station, from 1."""
    return f"owner{number}"


class Network:
    """See ``network``."""

    def __init__(self, namespaces: Mapping[str, Namespace], emulator: Child) -> None:
        self._namespaces = dict(namespaces)
        self._emulator = emulator
        self._addresses = {name: f"{SUBNET}.{number}" for number, name in enumerate(namespaces, 1)}

    def address(self, name: str) -> str:
        """A station's numeric address."""
        return self._addresses[name]

    def inside(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Sockets and processes that this thread makes within ``with`` are that station's."""
        return self._namespaces[name].inside()

    def set_links(self, links: Links, seed: int) -> None:
        """From now on these links, counted from zero; until then all are perfect."""
        fields = {
            self.address(name): [dataclasses.asdict(faults) for faults in pair]
            for name, pair in links.items()
        }
        self._ask({"links": fields, "seed": seed})

    def counted(self) -> dict[str, Any]:
        """Counts since ``set_links``, see ``Emulator.counted``; stations by name."""
        counted = self._ask({"count": True})
        names = {address: name for name, address in self._addresses.items()}
        counted["stations"] = {names[at]: station for at, station in counted["stations"].items()}
        return counted

    def _ask(self, command: dict[str, Any]) -> Event:
        self._emulator.say(json.dumps(command))
        return self._emulator.event("done")


@contextlib.contextmanager
def network(owners: int, patience: float) -> Iterator[Network]:
    """A fetcher and ``owners`` stations, joined for at most ``patience`` seconds; nothing of it remains."""
    names = [FETCHER, *(owner(number) for number in range(1, owners + 1))]
    if len(names) > MAX_STATIONS:
        raise ValueError(f"at most {MAX_STATIONS} stations")
    with contextlib.ExitStack() as stack:
        namespaces, words = {}, []
        devices = stack.enter_context(contextlib.ExitStack())
        fds = []
        for number, name in enumerate(names, 1):
            namespaces[name] = namespace = Namespace()
            stack.callback(namespace.close)
            fds.append(namespace.connect(f"{SUBNET}.{number}/24"))
            devices.callback(os.close, fds[-1])
            words.append(f"{fds[-1]}={SUBNET}.{number}")
        children = stack.enter_context(Children({}))
        emulator = children.start(["-m", "bench.network.emulator", *words], patience, pass_fds=fds)
        devices.close()  # the emulator has them now, and they end with it
        emulator.event("ready")
        yield Network(namespaces, emulator)
