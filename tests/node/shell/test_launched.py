"""The launcher driven through pipes and by one command, as a process."""

from __future__ import annotations

import array
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if sys.platform == "win32":
    pytest.skip("the stand-in uses SIGUSR1", allow_module_level=True)

import fcntl
import termios

if TYPE_CHECKING:
    from conftest import Launched

    Launch = Callable[..., Launched]
    Objects = Callable[[str], list[dict[str, Any]]]


def test_commands_through_a_pipe(launch: Launch) -> None:
    code, out, err = launch().end(
        "torrent -setMode send a.bin\r\n"
        "torent -status\n"
        "\n"
        "torrent -setMode send missing.bin\n"
        "torrent -setMode download bad.torrent\n"
        "torrent -status\ntorrent -files\ntorrent -peers\nhelp\n"
        'torrent -setMode send "x\n'
        "torrent -setMode exit"
    )
    assert code == 0
    lines = out.splitlines()
    assert re.fullmatch(r"node 7 \(pid \d+\) listens on udp 127\.0\.0\.1:4001", lines[0])
    assert lines[1:3] == ["Node program started", "ENTER YOUR COMMAND!"]
    assert lines[3].startswith("sharing a.bin (1.0 MB); others need ")
    assert [line.split()[0] for line in lines[4:13]] == [
        *("downloading", "file", "bad", "no", "file", "a.bin", "node", "9", "tracker")
    ]
    assert lines[-1] == "node 7 left the torrent"
    assert "torrent -setMode download FILE.torrent" in out
    assert err.splitlines() == [
        "unknown command 'torent'; did you mean 'torrent'?",
        "missing.bin: no such file",
        "download of bad failed: no owner answered in 60 s",
        "a quote is opened and not closed",
    ]
    assert "\x1b" not in out + err


def test_at_the_end_of_input_a_node_that_shares_nothing_leaves(launch: Launch) -> None:
    code, out, err = launch().end("torrent -setMode download bad.torrent\n")
    assert code == 0
    assert out.endswith("node 7 left the torrent\n")
    assert err == "download of bad failed: no owner answered in 60 s\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_at_the_end_of_input_a_node_that_shares_serves_until_it_is_stopped(
    launch: Launch, number: int
) -> None:
    node = launch()
    assert node.process.stdin is not None
    node.type("torrent -setMode download good.torrent\n")  # a fetcher shares its finished file
    node.process.stdin.close()
    node.process.stdin = None
    out = node.read_until("input has ended; sharing until stopped")
    assert "downloaded good: 1.0 MB in 0.02 s, 100.0 MB/s, from 1 owner: node 2 (100%)" in out
    assert node.process.poll() is None
    node.process.send_signal(number)
    assert node.end() == (0, "node 7 left the torrent\n", "")


def test_a_signal_ends_a_node_that_hashes(launch: Launch) -> None:
    node = launch("--verbose")
    node.type("torrent -setMode send slow\n")
    node.read_until("hashing slow: 50.0%")
    node.process.terminate()
    assert node.end() == (0, "node 7 left the torrent\n", "")


def test_leaving_names_the_downloads_it_interrupts(launch: Launch) -> None:
    code, out, _ = launch().end("torrent -setMode download endless.torrent\nexit\n")
    assert code == 0
    assert "endless is not finished; endless.part is kept, and the same command continues from there\n" in out


def test_a_monstrous_line_is_refused_and_the_next_one_counts(launch: Launch) -> None:
    code, out, err = launch().end("x" * 1_000_000 + "\nhelp\n")
    assert code == 0
    assert "torrent -setMode exit" in out
    assert err == "a line longer than 65536 characters is not a command\n"


def test_names_that_are_no_utf8_arrive(launch: Launch) -> None:
    code, out, err = launch().end("torrent -setMode send a\udcff-ö.bin\nexit")
    assert (code, err) == (0, "")
    assert "sharing a�-ö.bin (1.0 MB)" in out


def test_input_that_was_closed_is_at_its_end(launch: Launch, tmp_path: Path) -> None:
    node = launch()
    command = ["sh", "-c", 'exec "$@" <&-', "sh", *[str(arg) for arg in node.process.args]]  # type: ignore[union-attr]
    run = subprocess.run(command, capture_output=True, cwd=tmp_path, timeout=30, check=False)
    assert run.returncode == 0
    assert run.stdout.decode().endswith("node 7 left the torrent\n")


def test_a_reader_that_leaves_does_not_end_the_node(launch: Launch) -> None:
    node = launch("--verbose")
    node.read_until("ENTER YOUR COMMAND!")
    assert node.process.stdout is not None
    node.process.stdout.close()
    node.process.stdout = None
    node.type("torrent -setMode send a.bin\n" * 3)
    code, _, err = node.end("exit\n")
    assert (code, err) == (0, "")


def test_output_that_nobody_reads_keeps_nobody_from_leaving(launch: Launch) -> None:
    node = launch("--verbose")
    node.type("help\n" * 2000)
    assert node.process.stdout is not None
    waiting = array.array("i", [0])
    deadline = time.monotonic() + 20
    while waiting[0] < 60_000:  # a pipe holds 65,536
        assert time.monotonic() < deadline
        fcntl.ioctl(node.process.stdout, termios.FIONREAD, waiting)
    node.process.terminate()
    assert node.process.wait(30) == 0
    told = node.end()[2]
    assert re.fullmatch(r"about \d+ lines were not shown, because the output was not read\n", told)


def test_json(launch: Launch, objects: Objects) -> None:
    code, out, err = launch("--json").end(
        "torrent -setMode download good.torrent\ntorent\ntorrent -status\nexit"
    )
    assert code == 0
    names = [o["event"] for o in objects(out)]
    assert names == [
        "started", "download_started", "progress", "piece", "completed", "error", "status", "stopped"
    ]  # fmt: skip
    assert objects(out)[5]["error"] == "unknown command 'torent'; did you mean 'torrent'?"
    assert "unknown command 'torent'" in err


def test_one_shot_download(launch: Launch) -> None:
    code, out, err = launch("--progress", "-setMode", "download", "good.torrent").end()
    assert (code, err) == (0, "")
    assert "good: 42.0%, 50.0 MB/s, 0:01 left, from 2\n" in out and "downloaded good: 1.0 MB" in out
    assert not any(text in out for text in ("ENTER YOUR COMMAND!", "\x1b", "sharing"))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("download bad.torrent --json", "bad: no owner answered in 60 s"),
        ("download missing.torrent", "missing.torrent: no such file"),
        ("send missing.bin", "missing.bin: no such file"),
    ],
)
def test_a_single_command_that_fails(launch: Launch, objects: Objects, words: str, reason: str) -> None:
    code, out, err = launch("-setMode", *words.split()).end()
    assert (code, err.removeprefix("Node program started\n")) == (1, reason + "\n")
    if "--json" in words:
        assert [o["error"] for o in objects(out) if o["event"] == "error"] == [reason]


def test_one_shot_download_that_is_interrupted(launch: Launch) -> None:
    node = launch("-setMode", "download", "endless.torrent")
    node.read_until("downloading endless")
    node.process.send_signal(signal.SIGINT)
    assert node.end() == (1, "node 7 left the torrent\n", "interrupted; endless.part is kept\n")


def test_one_shot_send_serves_until_stopped(launch: Launch) -> None:
    node = launch("-setMode", "send", "a.bin")
    node.read_until("sharing a.bin")
    node.process.send_signal(signal.SIGINT)
    assert node.end() == (0, "node 7 left the torrent\n", "")


def test_a_node_id_that_is_taken(launch: Launch) -> None:
    code, out, err = launch("-node_id", "409").end()
    assert (code, out, err) == (1, "", "node 409 is live at another address\n")


def test_the_log(launch: Launch, tmp_path: Path) -> None:
    launch().end("torrent -setMode download good.torrent\nexit")
    lines = (tmp_path / "logs" / "node7.log").read_text(encoding="utf-8").splitlines()
    assert [line.split("]  ")[1].split()[0] for line in lines] == [
        "node",
        "downloading",
        "downloaded",
        "node",
    ]
    assert all(line[0] == "[" and line[3] == ":" and line[9] == "]" for line in lines)


def test_logs_that_cannot_be_written(launch: Launch, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where a folder should be", encoding="utf-8")
    code, out, err = launch().end()
    assert (code, out) == (1, "")
    assert err.startswith("logs cannot be written: ") and len(err.splitlines()) == 1


def test_short_commands_and_pasted_prompts(launch: Launch) -> None:
    code, out, err = launch().end("node 7> send a.bin\n$ files\nstop a.bin\nstop b.bin\nexit\n")
    assert code == 0
    assert "sharing a.bin" in out and "no longer sharing a.bin: you stopped it" in out
    assert err == "b.bin is neither shared nor being downloaded; try: files\n"


def test_sharing_a_torrent_is_asked_back_once(launch: Launch) -> None:
    _, out, err = launch().end(
        "send x.torrent\nfiles\nsend x.torrent\nsend x.torrent\nsend x.torrent\nexit\n"
    )
    assert err.count("x.torrent is a torrent: did you mean 'download x.torrent'?") == 3
    assert out.count("sharing x.torrent") == 1
    code, _, err = launch("-setMode", "send", "x.torrent").end()
    assert (code, err) == (1, "x.torrent is a torrent: did you mean -setMode download x.torrent?\n")


def test_leaving_a_download_is_no_failure(launch: Launch) -> None:
    node = launch()
    node.type("download endless.torrent\n")
    node.read_until("downloading endless")
    node.process.send_signal(signal.SIGINT)
    code, _, err = node.end()
    assert (code, err) == (0, "")


@pytest.mark.parametrize(("closed", "out"), [(">&-", ""), ("<&- >&- 2>&-", "")])
def test_without_standard_streams(launch: Launch, closed: str, out: str, tmp_path: Path) -> None:
    words = launch("-setMode", "download", "missing.torrent").process.args
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *map(str, words)]  # type: ignore[arg-type]
    run = subprocess.run(command, capture_output=True, cwd=tmp_path, timeout=30, check=False)
    assert run.returncode == 1
    assert run.stdout == b""
    assert run.stderr == (b"" if "2>&-" in closed else b"missing.torrent: no such file\n")


def test_a_non_blocking_output_loses_nothing(launch: Launch, objects: Objects) -> None:
    node = launch("--json")
    assert node.process.stdout is not None
    os.set_blocking(node.process.stdout.fileno(), True)
    code = (
        "import os, subprocess, sys; os.set_blocking(1, False);"
        "sys.exit(subprocess.call(sys.argv[1:], stdin=subprocess.PIPE and 0))"
    )
    read_end, write_end = os.pipe()
    with (
        open(read_end, "rb") as output,
        subprocess.Popen(
            [sys.executable, "-c", code, *map(str, node.process.args)],  # type: ignore[arg-type]
            stdin=subprocess.PIPE,
            stdout=write_end,
            cwd=node.folder,
            env=node.environment,
        ) as process,
    ):
        assert process.stdin is not None
        process.stdin.write(b"download good.torrent\n" * 300 + b"exit\n")
        process.stdin.close()
        while select.select([], [write_end], [], 0)[1] and process.poll() is None:
            time.sleep(0.01)  # until the pipe is full, or the program failed
        os.close(write_end)
        seen = objects(output.read().decode())
        assert process.wait(30) == 0
    assert [o["event"] for o in seen].count("completed") == 300
    assert seen[-1]["event"] == "stopped"


@pytest.mark.parametrize("words", [[], ["-setMode", "download", "crash.torrent"]])
def test_a_thread_that_crashes_ends_the_program_with_one_line(
    launch: Launch, words: list[str], tmp_path: Path
) -> None:
    code, _, err = launch(*words).end("" if words else "download crash.torrent\n")
    assert code == 1
    assert err == "internal error in thread commands: ZeroDivisionError: boom; details are in the log\n"
    assert "Traceback" in (tmp_path / "logs" / "node7.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("words", [["-setMode", "send", "crash-screen"], ["--json"]])
def test_a_screen_that_crashes_ends_the_program_with_one_line(launch: Launch, words: list[str]) -> None:
    code, _, err = launch(*words).end("send crash-screen\n")
    assert code == 1
    told = "internal error in thread screen: ZeroDivisionError: division by zero; details are in the log"
    assert err.splitlines().count(told) == 1 and "Traceback" not in err
