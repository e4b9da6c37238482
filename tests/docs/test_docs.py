"""The documents agree with the code: links, names, settings, options, limits and messages exist."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from common import errors
from common.errors import SwarmError
from node.commands import Command, parse_command
from node.options import parse_options
from tracker import cli as tracker_cli

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README = ROOT / "README.md"
TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
REPORT = ROOT / "docs" / "from-the-report.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
PACKAGES = ("common", "node", "tracker", "faults")
LARGEST_SCREENSHOT = 200_000  # bytes of a PNG
LARGEST_IMAGE = 100_000  # bytes

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SPAN = re.compile(r"`([^`\n]+)`")

THE_REPORTS_NAMES = """
    tracker.py TorrentClient.py node.py utils.py configs.py run() nodes.json files.json tracker_DB/ logs/
    node_files/
    logs_dir node_files_dir tracker_db_dir AVAILABLE_PORTS_RANGE TRACKER_ADDR MAX_UDP_SEGMENT_DATA_SIZE
    BUFFER_SIZE CHUNK_PIECES_SIZE MAX_SPLITTNES_RATE NODE_TIME_INTERVAL TRACKER_TIME_INTERVAL
    tracker_requests_mode REGISTER OWN NEED UPDATE EXIT -node_id
    node_id send_port rcv_socket send_socket files is_in_send_mode downloaded_files
    set_send_mode listen handle_requests tell_file_size send_chunk split_file_to_chunks send_segment
    send_http_request send_https_request_download set_download_mode split_file_owners ask_file_size
    receive_chunk sort_downloaded_chunks reassemble_file inform_tracker_periodically enter_torrent
    exit_torrent
    UDPSegment Node2Node None2Node ChunkSharing
    file_owners_list send_freq_list has_informed_tracker check_nodes_periodically remove_node register_node
    handle_node_request add_file_owner search_file matched_entries update_db save_db_as_json
    set_socket free_socket generate_random_port parse_command log calculate_file_hash create_torrent
    parse_torrent_file
"""


# ---- reading Markdown


def text_of(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def without_code(text: str) -> str:
    """``text`` without code, whose brackets are no links."""
    return SPAN.sub("", "\n".join(line for line in unfenced(text) if not line.startswith("    ")))


def unfenced(text: str) -> Iterator[str]:
    fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield line


def code_lines(text: str) -> Iterator[str]:
    """Fenced code, and indented code without its indentation."""
    fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield line.rstrip() if fenced else line.strip()


def table_rows(document: Path, heading: str) -> list[list[str]]:
    """The cells of all tables whose first column is headed ``heading``."""
    rows: list[list[str]] = []
    inside = False
    for line in text_of(document).splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells[0] == heading:
            inside = True
        elif inside and not set(cells[0]) <= set("-: "):
            rows.append(cells)
    assert rows, f"{document.name} has no table headed {heading!r}"
    return rows


def anchor(heading: str) -> str:
    """As GitHub makes them."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# ---- reading the code


@lru_cache
def names_in(path: Path) -> frozenset[str]:
    """Names that ``path`` defines: ``name`` for functions and variables, ``Class.name`` for members."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            found.add(node.name)
            found |= {f"{node.name}.{name}" for name in _members(node)}
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.add(node.name)
    return frozenset(found | set(_assigned(tree.body)))


def _members(cls: ast.ClassDef) -> Iterator[str]:
    yield from _assigned(cls.body)
    for node in ast.walk(cls):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def _assigned(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign)
            else []
        )
        for name in (name for target in targets for name in ast.walk(target)):
            if isinstance(name, ast.Name):
                yield name.id


@lru_cache
def strings_of_the_code() -> str:
    """Every piece of text in the programs, one a line; f-strings give the pieces between their fields."""
    pieces: list[str] = []
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    pieces.append(node.value)
    pieces.append((ROOT / "configs.py").read_text(encoding="utf-8"))
    return "\n".join(pieces)


# ---- links and images


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(without_code(text_of(document))):
        if re.match(r"https?://", target):
            continue
        name, _, fragment = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.exists(), f"{document.name} links to {target}, which is not there"
        assert path.is_relative_to(ROOT), f"{document.name} links to {target}, outside the project"
        if fragment:
            headings = {anchor(line.lstrip("# ")) for line in unfenced(text_of(path)) if line.startswith("#")}
            assert fragment in headings, f"{document.name} links to {target}, which has no such heading"


@every_document
def test_paths_that_are_named_exist(document: Path) -> None:
    for span in SPAN.findall(text_of(document)):
        if re.fullmatch(r"[\w/]+/\w+\.(py|toml|md|txt)", span):
            assert (ROOT / span).exists(), f"{document.name} names {span}, which is not there"


def test_images_are_small_and_need_nothing_from_elsewhere() -> None:
    images = list((ROOT / "docs" / "images").iterdir())
    assert images
    for image in images:
        if image.suffix == ".png":
            assert len(image.read_bytes()) < LARGEST_SCREENSHOT, image.name
            continue
        text = text_of(image)
        assert image.suffix == ".svg" and len(text.encode()) < LARGEST_IMAGE, image.name
        ElementTree.fromstring(text)
        assert not re.search(r"""(href|src)=["']http|url\(["']?http""", text), (
            f"{image.name} loads from elsewhere"
        )


# ---- commands


@every_document
def test_make_targets_that_are_named_exist(document: Path) -> None:
    known = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    text = text_of(document)
    for code in [*SPAN.findall(text), *code_lines(text)]:
        for target in re.findall(r"(?:^|[ $&;])make ([a-z]+)", code):
            assert target in known, f"{document.name} says make {target}"


def test_the_makefiles_help_names_targets_that_exist() -> None:
    makefile = text_of(ROOT / "Makefile")
    for target in re.findall(r'@echo "make (\w+)', makefile):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@every_document
def test_commands_that_are_shown_are_understood(document: Path) -> None:
    for line in code_lines(text_of(document)):
        if typed := re.match(r"(?:node \d+> )?(torrent -.*|help)$", line):
            assert parse_command(typed[1]) != Command("")
        if words := re.search(r"(?:python|TorrentClient\.py).*?(-node_id [^|>#]*)", line):
            given = re.sub(r"-use \S+", "", words[1])  # a file that the reader writes: test_plugins.py
            parse_options(re.sub(r"<N>|\bN\b", "1", given).split())
        if words := re.search(r'echo "(torrent [^"]*)"', line):
            assert parse_command(words[1]) != Command("")


def test_the_tracker_has_the_options_that_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        tracker_cli.main(["--help"])
    usage = capsys.readouterr().out
    for document in DOCUMENTS:
        for line in code_lines(text_of(document)):
            if words := re.match(r"(?:\$ |[A-Z_]+=\S+ )?python tracker\.py ([^(\[]*)", line):
                for option in re.findall(r"(?<!\S)--?\w+", words[1]):
                    assert option in usage, f"{document.name} shows {line!r}"


# ---- settings and messages


def test_the_error_messages_are_the_programs() -> None:
    for first, *_ in table_rows(TROUBLESHOOTING, "message"):
        pieces = [piece.strip() for piece in re.split("…", first.strip("`"))]
        wanted = [piece for piece in pieces if len(piece) > 6]
        assert wanted, first
        for piece in wanted:
            assert piece in strings_of_the_code(), f"no program says {piece!r}"


def test_the_error_tree_in_the_docstring_is_the_classes() -> None:
    def leaves(cls: type[SwarmError]) -> Iterator[tuple[str, str]]:
        for child in cls.__subclasses__():
            yield child.__name__, cls.__name__
            yield from leaves(child)

    parents: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"    ([│├└─\s]*)([A-Z]\w+)(?:\s{2,}.*)?$", line):
            depth = len(found[1]) // 4
            if found[2] == "SwarmError":
                above = ["SwarmError"]
            elif above and depth:
                del above[depth:]
                parents[found[2]] = above[-1]
                above.append(found[2])
    assert parents == {child: parent for child, parent in leaves(SwarmError) if hasattr(errors, child)}


# ---- names and limits


def _linked(cells: list[str], document: Path) -> list[Path]:
    targets = [target for cell in cells for target in LINK.findall(cell)]
    paths = [(document.parent / target).resolve() for target in targets]
    return [path for path in paths if path.suffix == ".py"]


def _assert_defined(cell: str, paths: list[Path], document: Path) -> None:
    """Every name in ``cell`` outside links is defined in one of ``paths``."""
    for name in SPAN.findall(LINK.sub("", cell)):
        if re.fullmatch(r"[A-Za-z_][\w.]*", name) and not name.endswith(".py"):
            assert any(name in names_in(path) for path in paths), (
                f"{document.name}: {name} is not in {', '.join(path.name for path in paths)}"
            )


def test_the_names_that_live_on_are_where_the_page_says() -> None:
    for old, now, *why in table_rows(REPORT, "in the report"):
        paths = _linked([now], REPORT)
        assert paths or now == "gone", f"{old}: neither a file nor gone"
        assert now == "gone" or SPAN.findall(LINK.sub("", now)), f"{old}: no name"
        _assert_defined(now, paths, REPORT)
        for name, target in re.findall(r"`([\w.]+)` in \[[^\]]*\]\(([^)]+)\)", " ".join(why)):
            _assert_defined(f"`{name}`", [(REPORT.parent / target).resolve()], REPORT)


@pytest.mark.parametrize("name", THE_REPORTS_NAMES.split())
def test_every_name_of_the_report_is_told(name: str) -> None:
    told = {span for old, *_ in table_rows(REPORT, "in the report") for span in SPAN.findall(old)}
    assert name in told


def test_the_names_of_the_architecture_are_where_it_says() -> None:
    for name, target in re.findall(r"`([\w.]+)` in\s+\[[^\]]*\]\(([^)]+)\)", text_of(ARCHITECTURE)):
        _assert_defined(f"`{name}`", [(ARCHITECTURE.parent / target).resolve()], ARCHITECTURE)


@pytest.mark.parametrize(("document", "limit"), [(README, 7_168), (ARCHITECTURE, 14_336)])
def test_pages_that_all_read_are_short(document: Path, limit: int) -> None:
    assert len(document.read_bytes()) <= limit


@every_document
def test_no_document_uses_a_word_of_the_old_private_language(document: Path) -> None:
    if document.name not in ("limits.md", "CHANGELOG.md"):  # limits.md: comments of the code
        words = r"\b(whoever|nobody|somebody|anybody|everybody|anew|in vain|for ever)\b"
        assert re.findall(words, text_of(document), re.IGNORECASE) == []
