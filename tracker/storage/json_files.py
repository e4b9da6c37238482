"""nodes.json and files.json: all records as JSON that people can read, an entry a line.

    nodes.json  "7": {"addr": ["127.0.0.1", 4001], "uploads": 3, "rate": 1.5}
    files.json  "lecture.mp4": [{"node_id": 7, "info_hash": "...", "size": 9, "complete": true}, ...]

They are exports: the database decides. Standard peers are not in them, because they announce again. Only
where there is no database are the files read, with the same strict checks as a request. Each file is replaced
atomically. It is written in slices while requests go on, so it need not show one moment.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from common.addresses import unicast_host
from common.errors import MessageError, StorageFault
from common.files import atomic_write
from common.messages import OwnedFile
from common.validation import MAX_NODE_ID, Address, Count, NodeId, TcpPort
from tracker.model import OTHER_REPORTERS, NodeRecord, Owners, ReporterTotal
from tracker.storage.base import Records, RecordSource

NODES, FILES = "nodes.json", "files.json"
SLICE_ENTRIES = 200  # entries that are copied under the storage's lock at a time
MAX_FILE_BYTES = 1 << 30  # max size of a file that is read
MAX_SET_ASIDE = 1000  # *.corrupt-<n> files of one name
Item = TypeVar("Item")
Entry = TypeVar("Entry")
Pause = Callable[[], None]
"""Called after each slice of an export."""

Total = tuple[Annotated[int, Meta(ge=OTHER_REPORTERS, le=MAX_NODE_ID)], Count, Count]


class NodeEntry(Struct):
    """A node in nodes.json. Only ``addr`` is required."""

    addr: Address
    uploads: Count = 0  # with the receipts
    rate: Annotated[float, Meta(ge=0, le=1e18)] = 0.0  # decayed uploads, as of the moment of writing
    secret: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")] | None = None
    home: Annotated[str, Meta(pattern="^[0-9a-f.:/]{1,64}$")] | None = None
    receipts: Count = 0
    credit: Count = 0
    last_receipt: Count = 0
    tcp_port: TcpPort | None = None
    pairs: list[Total] = []  # reporter, receipts, credit


# ---- write


def export(source: RecordSource, folder: Path, pause: Pause = lambda: None) -> None:
    """Replace nodes.json and files.json. OSError if that fails."""
    atomic_write(folder / NODES, document(node_lines(source, pause)))
    atomic_write(folder / FILES, document(file_lines(source, pause)))


def node_lines(source: RecordSource, pause: Pause = lambda: None) -> Iterator[str]:
    """The entries of nodes.json."""
    for node_ids in _slices(source.node_ids()):
        for node, totals in source.node_records(node_ids):
            yield f'"{node.node_id}": {_encode(node_entry(node, totals))}'
        pause()


def file_lines(source: RecordSource, pause: Pause = lambda: None) -> Iterator[str]:
    """The entries of files.json."""
    for names in _slices(source.file_names()):
        for name, groups in source.owners_of(names):
            yield f"{_encode(name)}: {_encode(owners_entry(groups))}"
        pause()


def document(lines: Iterable[str]) -> Iterator[bytes]:
    """A JSON object, an entry a line, in blocks of bytes."""
    rest = iter(lines)
    separator, end = "{\n", "{}\n"
    while block := list(itertools.islice(rest, SLICE_ENTRIES)):
        yield (separator + ",\n".join(block)).encode()
        separator, end = ",\n", "\n}\n"
    yield end.encode()


def node_entry(node: NodeRecord, totals: Sequence[ReporterTotal]) -> dict[str, Any]:
    """A node's entry. Its score must be of the moment of writing."""
    entry: dict[str, Any] = {"addr": node.addr, "uploads": node.shown, "rate": node.score}
    for name in ("secret", "home", "receipts", "credit", "last_receipt", "tcp_port"):
        if value := getattr(node, name):
            entry[name] = value
    if totals:
        entry["pairs"] = [total[1:] for total in totals]
    return entry


def owners_entry(groups: Iterable[Owners]) -> list[dict[str, Any]]:
    """The entry of a file name."""
    entries = []
    for file, node_ids in groups:
        about = file.to_json()
        del about["filename"]
        entries += [{"node_id": node_id, **about} for node_id in node_ids]
    return entries


def _encode(value: object) -> str:
    """One line of JSON, with spaces."""
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()


def _slices(items: list[Item]) -> Iterator[list[Item]]:
    for start in range(0, len(items), SLICE_ENTRIES):
        yield items[start : start + SLICE_ENTRIES]


# ---- read


def read_folder(folder: Path, now: float) -> Records:
    """The records in nodes.json and files.json, as far as they are good; ``warnings`` name the rest.

    ``now``: seconds since 1970. StorageFault if a file cannot be read.
    """
    warnings: list[str] = []
    found = _read_part(folder / NODES, lambda name, entry: read_node(name, entry, now), warnings)
    nodes = [node for node, _ in found]
    totals = [total for _, some in found for total in some]
    groups = _read_part(folder / FILES, read_owners, warnings)
    owned = list(_known(itertools.chain.from_iterable(groups), {node.node_id for node in nodes}, warnings))
    return Records(nodes, owned, totals, warnings)


def _read_part(path: Path, decode: Callable[[str, Any], Entry], warnings: list[str]) -> list[Entry]:
    """The good entries of a file. One with bad entries is kept as *.corrupt-<n>, with a warning."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageFault(f"cannot read {path}: {error.strerror or error}") from None
    good, why = good_entries(data, decode)
    if why:
        aside = rename_damaged(path)
        warnings.append(
            f"{path} is damaged ({why}); it is kept as {aside.name}, {len(good)} entries are used"
        )
    return good


def good_entries(data: bytes, decode: Callable[[str, Any], Entry]) -> tuple[list[Entry], str]:
    """The entries of a JSON object that ``decode`` accepts, and the fault of the first other entry."""
    good: list[Entry] = []
    why = ""
    try:
        for name, entry in msgspec.json.decode(data, type=dict[str, Any]).items():
            try:
                good.append(decode(name, entry))
            except (MessageError, ValueError) as error:
                why = why or f"{name!r}: {error}"
    except (ValueError, RecursionError) as error:
        why = str(error)
    return good, " ".join(why.split())


def rename_damaged(path: Path) -> Path:
    """Give a damaged file the next free name *.corrupt-<n>."""
    for number in range(1, MAX_SET_ASIDE + 1):
        aside = path.with_name(f"{path.name}.corrupt-{number}")
        if not aside.exists():
            path.replace(aside)
            return aside
    raise StorageFault(f"{path} is damaged, and {MAX_SET_ASIDE} damaged ones are kept already; look at them")


def _known(owned: Iterable[Owners], known: set[int], warnings: list[str]) -> Iterator[Owners]:
    """The owners that are nodes. An owner without a node comes from editing, or left during the export."""
    unknown = 0
    for file, node_ids in owned:
        good = [node_id for node_id in dict.fromkeys(node_ids) if node_id in known]
        unknown += len(node_ids) - len(good)
        if good:
            yield file, good
    if unknown:
        warnings.append(f"{unknown} owners in {FILES} are not in {NODES}: left out")


def read_node(name: str, entry: object, now: float) -> tuple[NodeRecord, list[ReporterTotal]]:
    """The node of an entry of nodes.json, and its totals. ValueError names the fault."""
    if not (name.isascii() and name.isdigit() and int(name[:11]) <= MAX_NODE_ID):
        raise ValueError("a node id is wanted")
    node_id, read = int(name), msgspec.convert(entry, NodeEntry)
    pairs = {reporter: ReporterTotal(node_id, reporter, *counts) for reporter, *counts in read.pairs}
    node = NodeRecord(
        node_id,
        (unicast_host(read.addr[0]), read.addr[1]),
        read.secret,
        read.home,
        max(read.uploads - read.receipts, 0),
        read.receipts,
        read.credit,
        read.rate,
        now,
        read.last_receipt,
        len(pairs),
        read.tcp_port,
    )
    return node, list(pairs.values())


def read_owners(name: str, entries: object) -> list[Owners]:
    """The owners in an entry of files.json, those with the same description together.

    MessageError or ValueError names the fault.
    """
    groups: dict[OwnedFile, list[int]] = {}
    for entry in msgspec.convert(entries, list[dict[str, Any]]):
        file = OwnedFile.from_json({**entry, "filename": name})
        groups.setdefault(file, []).append(msgspec.convert(entry.get("node_id"), NodeId))
    return list(groups.items())
