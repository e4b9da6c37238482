"""A node's folder: which files it names at the start, and that no torrent in it is lost."""

from __future__ import annotations

import os
from typing import Any

from common.metainfo import decode_metainfo


def test_files_that_are_not_shared_are_named_at_the_start(swarm: Any) -> None:
    path = swarm.file("x.bin", 1000)
    owner, torrent = swarm.share(path)
    first = swarm.fetch(torrent)
    assert first.end() == 0
    assert first.seen("started")[0]["pid"] == first.process.pid
    assert not first.seen("files_not_shared")
    (first.folder / ".hidden").write_bytes(b"")
    (first.folder / "y.part").write_bytes(b"")
    again = swarm.node(number=first.number)
    told = again.wait_for("files_not_shared")
    assert (told["filenames"], told["count"]) == (["x.bin"], 1)
    again.type("torrent -setMode send x.bin")
    assert again.wait_for("sharing")["torrent"].endswith("x.bin.torrent")
    kept = decode_metainfo((first.folder / "x.bin.torrent").read_bytes())
    assert kept.info_hash == decode_metainfo(torrent.read_bytes()).info_hash
    assert owner.stop() == 0


def test_a_torrent_in_the_folder_is_never_lost(swarm: Any) -> None:
    node = swarm.node()
    node.wait_for("started")
    (node.folder / "notes.torrent").write_text("my own notes", encoding="utf-8")
    notes = swarm.file("notes", 100)
    torrent = swarm.share_also(node, notes)
    assert torrent.name == "notes.2.torrent"
    assert (node.folder / "notes.torrent").read_text(encoding="utf-8") == "my own notes"
    one = swarm.share_also(node, swarm.file("slides.pdf", 100))
    elsewhere = swarm.folder / "week2" / "slides.pdf"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(b"other slides")
    two = swarm.share_also(node, elsewhere)
    assert (one.name, two.name) == ("slides.pdf.torrent", "slides.pdf.2.torrent")
    elsewhere.write_bytes(b"corrected slides")  # of the same path: its own torrent may be replaced
    os.utime(elsewhere, (1, 1))
    assert swarm.share_also(node, elsewhere).name == "slides.pdf.2.torrent"


def test_a_torrent_is_not_shared_as_a_file_by_mistake(swarm: Any) -> None:
    path = swarm.file("x.bin", 100)
    owner, torrent = swarm.share(path)
    owner.type(f"torrent -setMode send '{torrent}'")
    assert "x.bin.torrent is a torrent: did you mean" in owner.wait_for("error")["error"]
    assert not (owner.folder / "x.bin.torrent.torrent").exists()


def test_a_name_is_found_composed_or_decomposed(swarm: Any) -> None:
    decomposed, composed = "cafe\u0301.bin", "caf\u00e9.bin"
    path = swarm.file(decomposed, 1000)
    owner, torrent = swarm.share(path)
    typed = owner.folder / composed  # in the folder of the decomposed torrent's file
    fetcher = swarm.fetch(torrent)
    assert fetcher.end() == 0
    (fetcher.folder / decomposed).rename(fetcher.folder / composed)
    if (fetcher.folder / decomposed).exists():
        return  # this file system takes both for one name
    again = swarm.downloading(torrent, number=fetcher.number)
    assert again.wait_for("completed")["path"].endswith(composed)
    assert sorted(e.name for e in again.folder.iterdir() if e.suffix == ".bin") == [composed]
    owner.type(f"torrent -setMode send '{path.with_name(composed)}'")
    owner.wait_for("sharing", 2)
    assert not typed.exists()
