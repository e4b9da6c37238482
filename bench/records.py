"""Raw measurements, before any judgement: frozen values, in bytes and seconds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Usage:
    """The usage of a process in its whole life; None where this system has no figure."""

    cpu_seconds: float | None  # user and system
    peak_rss: int | None  # bytes; Linux counts from before exec, so it is never less than the parent's own
    system_seconds: float | None = None  # of cpu_seconds, those in the kernel


@dataclass(frozen=True)
class Transfer:
    """One download by a node of ours: every piece verified, the copy compared byte by byte afterwards."""

    size: int
    transfer_seconds: float  # first request until last piece verified
    seconds: float  # start until in place, fsync included
    owners: tuple[Usage, ...]
    downloader: Usage
    received: dict[int, int] = field(default_factory=dict)  # bytes by owner's node id


@dataclass(frozen=True)
class TheirTransfer:
    """One download by libtorrent."""

    size: int
    transfer_seconds: float  # connected until all pieces verified
    seconds: float  # from naming the peer until all pieces verified: it takes up to 0.5 s to connect
    seeder: Usage
    leecher: Usage
    version: str
    congestion_control: str  # that the seeder's TCP used


@dataclass(frozen=True)
class Flooded:
    """One download during a flood."""

    name: str  # of ``bench.under_flood.KINDS``
    sent: float  # datagrams a second
    size: int
    waited: float | None = None  # seconds from the downloader's start until its first piece; None: it failed
    seconds: float | None = None  # from there until all was there
    reason: str = ""  # why it failed

    @property
    def rate(self) -> float:
        """Bytes a second once it had begun; 0 if it failed."""
        return self.size / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class ManyFiles:
    """Sharing many small files, one call each."""

    files: int
    size: int  # of each
    seconds: float  # until the tracker has confirmed the last
    known: int  # files of this node that the tracker then knew
    node: Usage


@dataclass(frozen=True)
class CrowdRun:
    """One seed and ``nodes`` nodes that started together."""

    nodes: int
    size: int  # bytes of the file
    upload: int  # bytes a second that each of them, and the seed, may send
    bound: float  # seconds that it takes at least
    seconds: tuple[float, ...]  # until each node had the file in place, the first one first
    cpu_seconds: float  # of all programs together


@dataclass(frozen=True)
class HashRun:
    """Bytes a second with all processors, in the same seconds."""

    sha1: float  # of the same 1 MiB repeatedly
    sha1_of_memory: float  # of bytes that no cache holds
    create: float  # the torrent of a file in the page cache
    verify: float  # the same file


@dataclass
class Measured:
    """All raw runs; a list is empty if its figure was not measured."""

    size: int  # bytes of the file that is moved
    sha1: list[float] = field(default_factory=list)  # bytes a second
    create: list[HashRun] = field(default_factory=list)
    ours: list[Transfer] = field(default_factory=list)
    three_owners: list[Transfer] = field(default_factory=list)
    on_disk: list[Transfer] = field(default_factory=list)
    reporting: list[Transfer] = field(default_factory=list)  # both nodes report to the tracker
    silent: list[Transfer] = field(default_factory=list)  # they do not
    before: list[Transfer] = field(default_factory=list)  # by the nodes of an earlier commit
    large: list[Transfer] = field(default_factory=list)
    theirs: list[TheirTransfer] = field(default_factory=list)
    theirs_tuned: list[TheirTransfer] = field(default_factory=list)
    flooded: list[Flooded] = field(default_factory=list)
    many_files: list[ManyFiles] = field(default_factory=list)
    crowds: list[CrowdRun] = field(default_factory=list)
    idle: dict[str, Usage] = field(
        default_factory=dict
    )  # owner, downloader, seeder, leecher that move nothing
    places: dict[str, str] = field(default_factory=dict)  # where the files of "transfer" and "disk" were
    skipped: list[str] = field(default_factory=list)  # names of figures that were not measured, and why
