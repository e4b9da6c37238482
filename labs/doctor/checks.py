"""The faults of a computer, judged from its facts, and how to mend them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from labs.doctor.facts import ComputerFacts

OLDEST = (3, 10)
LEAST_DATAGRAM = 1_472  # bytes: one that fits an Ethernet frame
LARGE_DATAGRAM = 65_507
LEAST_BUFFER = 200_000  # bytes; with less, a burst of 64 KiB datagrams does not fit
MAX_AHEAD = 5.0  # seconds between this wall clock and the tracker's


@dataclass(frozen=True)
class Finding:
    """One check. ``fix`` "": nothing is wrong."""

    name: str
    words: str
    fix: str = ""

    @property
    def line(self) -> str:
        """The check for the terminal."""
        state = "WRONG" if self.fix else "ok"
        return f"{state:<5}  {self.name:<10}  {self.words}" + (f". {self.fix}" if self.fix else "")


def findings(facts: ComputerFacts) -> list[Finding]:
    """Every check that applies to this computer, in order."""
    return [found for check in CHECKS for found in check(facts)]


def _python(facts: ComputerFacts) -> Iterator[Finding]:
    version = ".".join(map(str, facts.python))
    fix = "Install Python 3.10 or newer, and make .venv again" if facts.python[:2] < OLDEST else ""
    yield Finding("python", f"version {version}", fix)


def _packages(facts: ComputerFacts) -> Iterator[Finding]:
    if facts.missing:
        fix = "In .venv: pip install -r requirements.txt -c constraints.txt"
        yield Finding("packages", f"missing: {', '.join(facts.missing)}", fix)
    else:
        yield Finding("packages", "all of requirements.txt are installed")


def _port(facts: ComputerFacts) -> Iterator[Finding]:
    where = f"{facts.host} port {facts.port}"
    if facts.has_tracker:
        yield Finding("port", f"a tracker answers on {where}; another one needs another port")
    elif facts.port_taken:
        fix = "End the program that listens there (a tracker of before?), or set TRACKER_ADDR to another port"
        yield Finding("port", f"no tracker can listen on {where}: {facts.port_taken}", fix)
    else:
        yield Finding("port", f"a tracker can listen on {where}")


def _udp(facts: ComputerFacts) -> Iterator[Finding]:
    fix = "Allow UDP for Python in this computer's firewall; NODE_HOST must be an address of this computer"
    if facts.there:
        yield Finding("UDP", f"no datagram arrives on {facts.host}: {facts.there}", fix)
    elif facts.back:
        yield Finding("UDP", f"no answer comes back on {facts.host}: {facts.back}", fix)
    else:
        yield Finding("UDP", f"datagrams go both ways on {facts.host}")


def _datagram(facts: ComputerFacts) -> Iterator[Finding]:
    words = f"the largest that arrives has {facts.largest:,} bytes"
    if facts.there or facts.back:
        return  # the previous check gives the reason
    if facts.largest < LEAST_DATAGRAM:
        yield Finding("datagram", words, "Set the interface's MTU to 1500: ip link set dev IF mtu 1500")
    elif facts.largest < LARGE_DATAGRAM and facts.system == "Darwin":
        yield Finding("datagram", words, "On macOS: sudo sysctl -w net.inet.udp.maxdgram=65535")
    elif facts.largest < LARGE_DATAGRAM:
        yield Finding("datagram", words, f"Use a host that allows {LARGE_DATAGRAM:,} bytes, like 127.0.0.1")
    else:
        yield Finding("datagram", words)


def _buffer(facts: ComputerFacts) -> Iterator[Finding]:
    words = f"a socket's receive buffer has {facts.buffer:,} bytes"
    fixes = {
        "Linux": "sudo sysctl -w net.core.rmem_max=4194304",
        "Darwin": "sudo sysctl -w kern.ipc.maxsockbuf=8388608",
    }
    few = facts.buffer < LEAST_BUFFER
    yield Finding("buffer", words, fixes.get(facts.system, "Let the system grant 4 MiB") if few else "")


def _localhost(facts: ComputerFacts) -> Iterator[Finding]:
    words = f"localhost is {', '.join(facts.localhost) or 'unknown'}"
    if not facts.localhost:
        yield Finding("localhost", words, "Add the line 127.0.0.1 localhost to the hosts file")
    elif "127.0.0.1" not in facts.localhost:
        fix = "Use 127.0.0.1 in TRACKER_ADDR and NODE_HOST, or add 127.0.0.1 localhost to the hosts file"
        yield Finding("localhost", words, fix)
    else:
        yield Finding("localhost", words)


def _firewall(facts: ComputerFacts) -> Iterator[Finding]:
    fixes = {
        "Windows": "Windows Security > Firewall > Allow an app: python.exe, for private networks",
        "Darwin": "System Settings > Network > Firewall > Options: allow incoming connections for Python",
    }
    if not facts.lan:
        yield Finding("firewall", "this computer has no network: the labs run on 127.0.0.1")
    elif facts.lan_blocked:
        fix = fixes.get(facts.system, "Allow UDP: sudo ufw allow proto udp from 192.168.0.0/16, or its like")
        yield Finding("firewall", f"datagrams over {facts.lan} are blocked: {facts.lan_blocked}", fix)
    else:
        yield Finding("firewall", f"datagrams over {facts.lan}, this computer's own address, arrive")


def _traps(facts: ComputerFacts) -> Iterator[Finding]:
    release = facts.release.lower()
    if "microsoft" in release and "wsl2" not in release:
        yield Finding("WSL", "this is WSL 1", "Its sockets differ from Linux: wsl --set-version NAME 2")
    elif "microsoft" in release and facts.lan.startswith("172."):
        fix = "For a LAN add [wsl2] networkingMode=mirrored to .wslconfig, then wsl --shutdown"
        yield Finding("WSL", f"others cannot reach {facts.lan}, an address inside WSL 2", fix)
    elif "microsoft" in release:
        yield Finding("WSL", "WSL 2 shares the network of Windows")
    if facts.system == "Darwin" and int(facts.release.partition(".")[0] or 0) >= 24 and facts.lan_blocked:
        fix = "System Settings > Privacy & Security > Local Network: switch the terminal on"
        yield Finding("macOS", "macOS 15 and newer ask before a program may use the local network", fix)


def _clock(facts: ComputerFacts) -> Iterator[Finding]:
    if facts.steps_back:
        yield Finding("clock", "the monotonic clock goes back", "Update the virtual machine or its host")
    elif facts.tracker_error:
        fix = "Is the tracker started, and is its address right?"
        yield Finding("clock", f"{facts.tracker} does not answer: {facts.tracker_error}", fix)
    elif facts.ahead is not None and abs(facts.ahead) > MAX_AHEAD:
        way = "ahead of" if facts.ahead > 0 else "behind"
        words = f"this clock is {abs(facts.ahead):.0f} s {way} the tracker's"
        yield Finding("clock", words, "Switch automatic time on, in the settings for date and time")
    elif facts.ahead is not None:
        yield Finding("clock", "it is the tracker's, and the monotonic clock never goes back")
    else:
        yield Finding("clock", "the monotonic clock never goes back (--tracker URL compares the time)")


CHECKS: tuple[Callable[[ComputerFacts], Iterator[Finding]], ...] = (
    *(_python, _packages, _port, _udp, _datagram, _buffer, _localhost, _firewall, _traps, _clock),
)
