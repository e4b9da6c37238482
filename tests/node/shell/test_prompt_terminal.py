"""The prompt on a real (pseudo-)terminal, seen through a terminal emulator."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals here", allow_module_level=True)

import termios

import pexpect
import psutil
import pyte

from tests.waiting import until

COLUMNS, LINES = 100, 24
LIMIT = 20.0  # seconds that anything may take on a busy machine
LAUNCHER = Path(__file__).with_name("fake_launcher.py")


class Terminal:
    """A process on a terminal of COLUMNS x LINES, and its screen."""

    def __init__(
        self,
        folder: Path,
        environment: dict[str, str],
        *words: str,
        launcher: Path = LAUNCHER,
        columns: int = COLUMNS,
        **settings: str,
    ) -> None:
        self.child = pexpect.spawn(
            sys.executable,
            [str(launcher), "-node_id", "7", *words],
            cwd=str(folder),
            env={**environment, "TERM": "xterm-256color", "COLUMNS": "", "LINES": "", **settings},
            dimensions=(LINES, columns),
            timeout=LIMIT,
        )
        self.raw = b""
        self.screen = pyte.Screen(columns, LINES)
        self.screen.write_process_input = lambda data: self.child.send(data)  # type: ignore[method-assign]
        self.stream = pyte.ByteStream(self.screen)

    def read(self, wait: float) -> bool:
        """Show what comes within ``wait`` seconds; False at the end of it all."""
        try:
            data = self.child.read_nonblocking(65536, wait)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self.stream.feed(data)
        return True

    @property
    def lines(self) -> list[str]:
        """The lines on the screen, without empty lines."""
        return [line.rstrip() for line in self.screen.display if line.strip()]

    def see(self, what: Callable[[list[str]], bool] | str) -> list[str]:
        """Wait until a line is ``what``, or until ``what`` holds of the lines."""
        deadline = time.monotonic() + LIMIT
        while not (what in self.lines if isinstance(what, str) else what(self.lines)):
            assert time.monotonic() < deadline, f"not seen: {what!r}\n" + "\n".join(self.lines)
            assert self.read(0.1), f"ended: {what!r}\n" + "\n".join(self.lines)
        return self.lines

    def type(self, text: str) -> None:
        self.child.send(text)

    def end(self) -> int:
        """Wait for the process's end: its exit code."""
        deadline = time.monotonic() + LIMIT
        while self.read(0.1):
            assert time.monotonic() < deadline, "\n".join(self.lines)
        return int(self.child.wait())


@pytest.fixture
def terminal(tmp_path: Path, fake_env: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    """``terminal(*words)`` launches a node on a terminal."""
    running: list[Terminal] = []

    def start(*words: str, **options: Any) -> Terminal:
        running.append(Terminal(tmp_path, fake_env, *words, **options))
        return running[-1]

    yield start
    for one in running:
        one.child.close(force=True)


IDLE = "node 7 on 127.0.0.1:4001 · tracker answers · sharing nothing"


def test_after_a_stop_the_terminal_is_taken_back(terminal: Callable[..., Terminal]) -> None:
    shell = terminal()
    shell.see(IDLE)
    fd, process = shell.child.fileno(), psutil.Process(shell.child.pid)
    process.suspend()
    until(lambda: process.status() == psutil.STATUS_STOPPED)
    cooked = termios.ECHO | termios.ICANON
    modes = termios.tcgetattr(fd)
    modes[3] |= cooked
    termios.tcsetattr(fd, termios.TCSANOW, modes)  # as the shell does
    process.resume()
    until(lambda: not termios.tcgetattr(fd)[3] & cooked)
    shell.type("nonsense\r")
    shell.see(lambda lines: any("unknown command 'nonsense'" in line for line in lines))
    assert not any("^[" in line for line in shell.lines)


def test_the_prompt_appears(terminal: Callable[..., Terminal]) -> None:
    shell = terminal()
    lines = shell.see(IDLE)
    assert re.fullmatch(r"node 7 \(pid \d+\) listens on udp 127\.0\.0\.1:4001", lines[0])
    assert lines[1:] == ["Node program started", "ENTER YOUR COMMAND!", "node 7>", IDLE]


def test_tab_completes_verbs_and_names(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    (tmp_path / "my file.bin").touch()
    shell = terminal()
    shell.see(IDLE)
    for typed, seen in [
        ("tor\t", "torrent"),
        ("-setm\t", "torrent -setMode"),
        ("se\t", "torrent -setMode send"),
        ("my\t", 'torrent -setMode send "my file.bin"'),
    ]:
        shell.type(typed)
        shell.see(f"node 7> {seen}")
    shell.type("\r")
    shell.see(lambda lines: any(line.startswith("sharing my file.bin (1.0 MB)") for line in lines))
    shell.see("node 7 on 127.0.0.1:4001 · tracker answers · sharing 1 file")


def test_an_answer_stands_between_its_command_and_the_next_prompt(terminal: Callable[..., Terminal]) -> None:
    shell = terminal()
    shell.see(IDLE)
    for _ in range(20):  # milliseconds decide which draws first
        shell.type("\x0c")  # Ctrl-L: an empty screen
        shell.see(["node 7>", IDLE].__eq__)
        shell.type("torrent -files\r")
        shell.see(["node 7> torrent -files", "no files", "node 7>", IDLE].__eq__)


def test_a_line_that_arrives_leaves_what_is_typed_alone(terminal: Callable[..., Terminal]) -> None:
    shell = terminal()
    shell.see(IDLE)
    shell.type("torrent -setMode se")
    shell.see("node 7> torrent -setMode se")
    shell.child.kill(signal.SIGUSR1)
    lines = shell.see(lambda lines: any("lost: silent" in line for line in lines))
    lines = shell.see(lambda lines: lines[-1] == IDLE)
    assert lines[-3:] == [
        "x.bin: node 9 (127.0.0.1:4009) lost: silent �[31m for 2 s", "node 7> torrent -setMode se", IDLE
    ]  # fmt: skip
    shell.type("nd a.bin\r")
    shell.see(lambda lines: any(line.startswith("sharing a.bin") for line in lines))


def test_a_mistake_is_one_line_and_the_prompt_comes_back(terminal: Callable[..., Terminal]) -> None:
    shell = terminal()
    shell.see(IDLE)
    shell.type("torent -status\r")
    lines = shell.see(lambda lines: lines[-2:] == ["node 7>", IDLE] and len(lines) == 7)
    assert lines[3:] == [
        "node 7> torent -status", "unknown command 'torent'; did you mean 'torrent'?", "node 7>", IDLE
    ]  # fmt: skip


def test_a_pasted_block_is_obeyed_line_by_line(terminal: Callable[..., Terminal]) -> None:
    shell = terminal()
    shell.see(IDLE)
    shell.type("\x1b[200~node 7> status\r\n$ files\rtorrent -pe\x1b[201~")
    expected = [
        *("node 7> status", "no downloads", "no uploads"),
        *("node 7> files", "no files", "node 7> torrent -pe", IDLE),
    ]
    shell.see(lambda lines: lines[3:] == expected)
    shell.type("ers\r")
    shell.see(lambda lines: "silent for 2 s" in lines[-4])


@pytest.mark.parametrize("columns", [50, 80])
def test_on_a_narrow_terminal_tables_fit(terminal: Callable[..., Terminal], columns: int) -> None:
    shell = terminal(columns=columns)
    shell.see("node 7>")
    shell.type("\x0cpeers\r")
    lines = shell.see(lambda lines: any("answers" in line for line in lines[1:-2]))
    shown = lines[lines.index("node 7> peers") + 1 : lines.index("tracker http://127.0.0.1:1 answers")]
    assert [line.split()[0] for line in shown] == ["node", "9", "why:"][: 3 if columns < 80 else 2]


def test_no_columns_at_all_are_not_believed(
    terminal: Callable[..., Terminal], fake_env: dict[str, str]
) -> None:
    shell = terminal("-setMode", "download", "missing.torrent", COLUMNS="0")
    assert shell.end() == 1
    assert "missing.torrent: no such file" in shell.lines


def test_a_crash_ends_the_prompt_with_one_line(terminal: Callable[..., Terminal]) -> None:
    shell = terminal()
    shell.see(IDLE)
    shell.type("download crash.torrent\r")
    assert shell.end() == 1
    assert b"Traceback" not in shell.raw
    text = "".join(shell.lines)
    assert "internal error in thread commands: ZeroDivisionError: boom; details are in the log" in text


def test_progress_stands_below_the_prompt(terminal: Callable[..., Terminal]) -> None:
    shell = terminal()
    shell.see(IDLE)
    shell.type("torrent -setMode download endless.torrent\r")
    bar = "endless                   ━━━━━━──────────  42.0%   50.0 MB/s  0:01 left  from 2"
    assert shell.see(bar)[-2:] == ["node 7>", bar]
    shell.type("torrent -peers\r")
    shell.see(lambda lines: "silent for 2 s" in lines[-4])


def test_ctrl_c_clears_the_line_and_twice_leaves(terminal: Callable[..., Terminal]) -> None:
    shell = terminal()
    shell.see(IDLE)
    shell.type("garbage")
    shell.see("node 7> garbage")
    shell.type("\x03")
    lines = shell.see(lambda lines: lines[-2:] == ["node 7>", IDLE] and len(lines) == 7)
    assert lines[3:5] == ["node 7> garbage", "Ctrl-C once more leaves the torrent (so do Ctrl-D and exit)"]
    shell.type("help\r")  # after anything else, once more is the first again
    shell.see(lambda lines: lines[-3].startswith("Short forms"))
    shell.type("\x03")
    shell.see(lambda lines: lines[-3].startswith("Ctrl-C once more"))
    shell.type("\x03")
    assert shell.end() == 0
    assert shell.lines[-1] == "node 7 left the torrent"


@pytest.mark.parametrize(
    "words", ["\x04", "exit\r", "torrent -setMode exit\r"], ids=["Ctrl-D", "exit", "setMode"]
)
def test_leaving(terminal: Callable[..., Terminal], words: str) -> None:
    shell = terminal()
    shell.see(IDLE)
    shell.type(words)
    assert shell.end() == 0
    assert shell.lines[-1] == "node 7 left the torrent"
    assert b"Traceback" not in shell.raw


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_leave_in_the_middle_of_a_line_and_while_hashing(
    terminal: Callable[..., Terminal], number: int
) -> None:
    shell = terminal()
    shell.see(IDLE)
    shell.type("torrent -setMode send slow\rhalf a li")
    shell.see("slow                      ━━━━━━━━────────  50.0%  hashing")
    shell.child.kill(number)
    assert shell.end() == 0
    assert shell.lines[-1] == "node 7 left the torrent"
    assert b"Traceback" not in shell.raw


def test_history_is_kept(terminal: Callable[..., Terminal]) -> None:
    first = terminal()
    first.see(IDLE)
    first.type("torrent -files\r")
    first.see("no files")
    first.type("\x04")
    assert first.end() == 0
    second = terminal()
    second.see(IDLE)
    second.type("\x1b[A")
    second.see("node 7> torrent -files")


def test_one_shot_draws_bars_and_takes_them_away(terminal: Callable[..., Terminal]) -> None:
    shell = terminal("-setMode", "download", "moving.torrent")
    shell.see(lambda lines: any(line.endswith("lost: silent for 2 s") for line in lines))
    assert [re.split("[━╸╺]", line)[0].rstrip() for line in shell.lines if "━" in line] == [
        "moving", "  node 2 127.0.0.1:4002", "  node 3 127.0.0.1:4003", "  node 4 127.0.0.1:4004"
    ]  # fmt: skip
    assert shell.end() == 0
    assert "━" not in "".join(shell.lines)
    assert shell.lines[-1] == "node 7 left the torrent"
    assert shell.lines[3].startswith("x.bin: node 9")  # printed while the bars were there
    assert shell.lines[4].startswith("downloaded moving: 9.1 MB in 3.02 s, 3.0 MB/s, from 3 owners")


def test_one_shot_interrupted_leaves_a_tidy_screen(terminal: Callable[..., Terminal]) -> None:
    shell = terminal("-setMode", "download", "endless.torrent")
    shell.see(lambda lines: any("━" in line and line.endswith("active") for line in lines))
    shell.type("\x03")
    assert shell.end() == 1
    assert shell.lines[-3:] == [
        "downloading endless (1.0 MB)", "interrupted; endless.part is kept", "node 7 left the torrent"
    ]  # fmt: skip


def test_no_colour_where_it_is_not_wanted(
    terminal: Callable[..., Terminal], fake_env: dict[str, str]
) -> None:
    fake_env["NO_COLOR"] = "1"
    shell = terminal("-setMode", "download", "missing.torrent")
    assert shell.end() == 1
    assert b"missing.torrent: no such file" in shell.raw and b"\x1b[31m" not in shell.raw
    del fake_env["NO_COLOR"]
    shell = terminal("-setMode", "download", "missing.torrent")
    assert shell.end() == 1
    assert b"\x1b[31m" in shell.raw


def test_a_real_node_shares_and_another_fetches(
    terminal: Callable[..., Terminal], tracker_process: Any, tmp_path: Path
) -> None:
    real = LAUNCHER.parents[3] / "TorrentClient.py"
    (tmp_path / "a file.bin").write_bytes(bytes(range(256)) * 4000)
    where = ["-tracker", tracker_process.url]
    owner = terminal(*where, launcher=real)
    owner.see("node 7>")
    owner.type("torrent -setMode send 'a file.bin'\r")
    owner.see(lambda lines: lines[-1].endswith("sharing 1 file"))
    fetcher = terminal(*where, "-node_id", "8", launcher=real)
    fetcher.see("node 8>")
    fetcher.type("torrent -setMode download 'files/node7/a file.bin.torrent'\r")
    fetcher.see(lambda lines: any(line.startswith("downloaded a file.bin: 1.0 MB") for line in lines))
    assert (tmp_path / "files" / "node8" / "a file.bin").read_bytes() == bytes(range(256)) * 4000
    for shell in (fetcher, owner):
        shell.type("torrent -setMode exit\r")
        assert shell.end() == 0
        assert shell.lines[-1].endswith("left the torrent")


def test_lines_behind_an_exit_are_ignored(terminal: Callable[..., Terminal]) -> None:
    shell = terminal()
    shell.see(IDLE)
    shell.type("\x1b[200~files\nexit\nstatus\nexit\n\x1b[201~")
    assert shell.end() == 0
    assert shell.lines.count("no files") == 1
    assert "no downloads" not in shell.lines and b"Traceback" not in shell.raw


def test_a_search_in_the_history_ends_with_enter(terminal: Callable[..., Terminal]) -> None:
    shell = terminal()
    shell.see(IDLE)
    shell.type("files\r")
    shell.see("no files")
    shell.type("\x12fil")
    shell.see(lambda lines: any("reverse-i-search" in line for line in lines))
    shell.type("\r")  # takes the line that was found
    shell.see(lambda lines: lines[-2] == "node 7> files")
    shell.type("\r")
    shell.see(lambda lines: lines.count("no files") == 2)
    shell.type("exit\r")
    assert shell.end() == 0
