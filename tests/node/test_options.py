"""The command line of a node."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from node.commands import Command
from node.option_values import listening_host, rate, swarm_key, tracker_url, tracker_urls
from node.options import parse_options

EVERYTHING_ELSE = ("-up", "4MB", "--down", "500kB", "--progress", "--json")


@pytest.mark.parametrize("spelling", ["-node_id", "--node-id"])
def test_the_least_that_must_be_said(spelling: str) -> None:
    given = parse_options([spelling, "0"])
    assert given.node_id == 0
    assert given.command is None and given.trackers is None and given.folder is None
    assert not given.json and not given.verbose and not given.progress


def test_everything_that_can_be_said() -> None:
    words = (
        "-node_id 2147483647 -tracker http://10.0.0.1:80/announce -host 10.0.0.2 -setMode download x.torrent"
    )
    given = parse_options([*words.split(), "-d", "some where", "-cc", "fixed", *EVERYTHING_ELSE])
    assert given.node_id == 2**31 - 1
    assert given.trackers == ("http://10.0.0.1:80",)
    assert given.host == "10.0.0.2"
    assert given.command == Command("download", "x.torrent")
    assert given.folder == Path("some where")
    assert given.congestion_control == "fixed"
    assert (given.up, given.down) == (4_000_000, 500_000)
    assert given.progress and given.json and not given.verbose


@pytest.mark.parametrize("spelling", ["-setMode", "--set-mode", "--setMode"])
def test_one_shot_send(spelling: str) -> None:
    assert parse_options(["-node_id", "1", spelling, "SEND", "my file"]).command == Command("send", "my file")


@pytest.mark.parametrize("words", ["-setMode send -notes.bin", "-setMode send -- -notes.bin"])
def test_a_file_name_may_begin_with_a_dash(words: str) -> None:
    assert parse_options(["-node_id", "1", *words.split()]).command == Command("send", "./-notes.bin")
    given = parse_options(["-node_id", "1", *words.split(), "-d", "-mine", "--json", "-pcap", "-run.pcap"])
    assert given.folder == Path("-mine") and given.json and given.pcap == Path("-run.pcap")


def test_a_standard_peer_needs_a_torrent_and_no_number() -> None:
    given = parse_options(["some.torrent", "-d", "there", "--seed"])
    assert given.node_id is None and given.seed and given.folder == Path("there")
    assert given.command == Command("download", "some.torrent")
    assert parse_options(["magnet:?xt=urn:btih:x"]).command == Command("download", "magnet:?xt=urn:btih:x")
    serving = parse_options(["some.torrent", "-s", "-content"])
    assert serving.command == Command("serve", "some.torrent", "-content")


def test_everything_that_can_be_said_of_standard_peers() -> None:
    words = "x.torrent -host 127.0.0.5 -port 6881 --peer 127.0.0.6:1 -peer [::1]:2 --transports tcp"
    more = "--encryption require --max-peers 7 --order sequential --select 1,3-5 -up 4MB --verbose"
    given = parse_options([*words.split(), *more.split()])
    assert (given.host, given.port) == ("127.0.0.5", 6881)
    assert given.peers == [("127.0.0.6", 1), ("::1", 2)]
    assert given.transports == ("tcp",)
    assert (given.encryption, given.max_peers, given.order) == ("require", 7, "sequential")
    assert given.select == {1, 3, 4, 5}


def test_a_node_of_the_classroom_takes_them_as_well() -> None:
    words = "-node_id 3 x.torrent --transports tcp,udp --port 0 --peer localhost:9"
    given = parse_options(words.split())
    assert given.node_id == 3 and given.command == Command("download", "x.torrent")
    assert given.transports == ("tcp", "udp") and given.port == 0 and given.peers == [("127.0.0.1", 9)]


def test_a_file_may_be_a_torrent_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(b"")
    assert parse_options([str(tmp_path / "film")]).command == Command("download", str(tmp_path / "film"))


def test_home_is_expanded() -> None:
    assert parse_options(["-node_id", "1", "-d", "~/mine"]).folder == Path.home() / "mine"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("", "-node_id"),
        ("-node_id 1 -setMode send --json", "-setMode"),
        ("-node_id 1 -d -json", "-d"),
        ("-node_id 1 -pcap", "-pcap"),
        ("-node_id -1", "-1"),
        ("-node_id 2147483648", "2147483648"),
        ("-node_id 1.5", "1.5"),
        ("-node_id ٣", "٣"),
        ("-node_id " + "9" * 5000, "whole number"),
        ("-node_id 1 extra", "extra"),
        ("-node_id 1 -up 4mb", "-up"),
        ("-node_id 1 -down -1", "-down"),
        ("-node_id 1 -up 1kB", "16kB"),
        ("-node_id 1 -setMode send", "-setMode"),
        ("-node_id 1 -setMode share x", "share"),
        ("-node_id 1 -cc vegas", "vegas"),
        ("-node_id 1 -tracker ftp://x:1", "ftp://x:1"),
        ("-node_id 1 -host 0.0.0.0", "0.0.0.0"),
        ("-node_id 1 --progress --verbose", "--verbose"),
        ("-node_id 1 -setmode share x", "share"),
        ("-node_id 1 -setMode send x y.torrent", "y.torrent"),
        ("nothing", "nothing"),
        ("x.torrent -cc reno", "-cc"),
        ("x.torrent -tracker h:1", "-tracker"),
        ("x.torrent --transports udp,tcp", "udp"),
        ("x.torrent --transports tcp,tcp", "tcp,tcp"),
        ("x.torrent --peer h:1", "h:1"),
        ("x.torrent --peer 127.0.0.1:0", "127.0.0.1:0"),
        ("x.torrent --encryption always", "always"),
        ("x.torrent --order newest", "newest"),
        ("x.torrent --max-peers 0", "0"),
        ("x.torrent -port 65536", "65536"),
        ("x.torrent --select 0", "0"),
        ("x.torrent --select 3-1", "3-1"),
        ("x.torrent --select 1-9999999", "1-9999999"),
        ("-s there -node_id 1", "-s"),
        ("magnet:?xt=urn:btih:x -s there", "-s"),
    ],
)
def test_wrong_usage_is_2_and_names_what_is_wrong(
    words: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_options(words.split())
    assert caught.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("usage:")
    assert named in shown.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:12345", "http://127.0.0.1:12345"),
        ("http://127.0.0.1:12345/", "http://127.0.0.1:12345"),
        ("http://127.0.0.1:12345/announce", "http://127.0.0.1:12345"),
        ("http://127.0.0.1:12345/tracker", "http://127.0.0.1:12345"),
        ("http://localhost:1", "http://127.0.0.1:1"),
        ("localhost:12345", "http://127.0.0.1:12345"),
        ("HTTP://Tracker.school:80", "http://tracker.school:80"),
        ("http://[::1]:80/", "http://[::1]:80"),
    ],
)
def test_tracker_urls(text: str, url: str) -> None:
    assert tracker_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "http://",
        "http://127.0.0.1",
        "http://127.0.0.1:0",
        "http://127.0.0.1:99999",
        "http://h:x",
        "https://h:1",
        "udp://h:1",
        "http://h:1/other",
        "http://h:1?q",
        "http://a b:1",
        "http://[::1:1",
        "http://h\x1b:1",
    ],
)
def test_what_is_no_tracker_url(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        tracker_url(text)


def test_several_trackers_are_told_with_commas() -> None:
    assert tracker_urls("h:1, http://h:2/announce,h:1") == ("http://h:1", "http://h:2")
    for wrong in ("h:1,", ",", "h:1,x", ",".join(f"h:{port}" for port in range(1, 10))):
        with pytest.raises(argparse.ArgumentTypeError):
            tracker_urls(wrong)


def test_a_key_is_what_a_header_carries_and_is_never_shown() -> None:
    assert swarm_key("none") == ""
    assert swarm_key("blue-whale/7!") == "blue-whale/7!"
    for wrong in ("", "two words", "wal\u00e4", "a\nb", "k" * 129):
        with pytest.raises(argparse.ArgumentTypeError) as caught:
            swarm_key(wrong)
        assert not wrong or wrong not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("4MB", 4_000_000),
        ("500kB", 500_000),
        ("1.5MB", 1_500_000),
        ("64KiB", 65_536),
        ("2GiB", 2**31),
        ("16000", 16_000),
        ("16000B", 16_000),
        ("none", 0),
        ("0", 0),
    ],
)
def test_rates(text: str, amount: int) -> None:
    assert rate(text) == amount


@pytest.mark.parametrize(
    "text",
    ["", "MB", "4 MB", "4mb", "4Mb", "4MB/s", "-4MB", "+4MB", "4e6", "inf", "nan", "1_000kB", "٤MB", ".5MB"]
    + ["5.MB", "kiB", "4kiB", "4TB", "15999", "1B", "0.0", "1001GB", "9" * 5000 + "B", "4MB\n"],
)
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="a rate"):
        rate(text)


def test_listening_hosts() -> None:
    assert listening_host("localhost") == "127.0.0.1"
    assert listening_host("192.168.1.20") == "192.168.1.20"
    for text in ("", "::1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "1.2.3", "host"):
        with pytest.raises(argparse.ArgumentTypeError):
            listening_host(text)
