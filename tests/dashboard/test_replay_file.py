"""``python -m labs replay``: one file that opens from the disk, asks for nothing, and shows the whole run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from common.log_file import LogReader
from labs.__main__ import main
from tests.dashboard.test_same_state import Recording
from tests.sample_log import write_sample

STATES_AT = """
async ({text, times}) => {
  const { EventLog } = await import("/static/event_log.js");
  const { Player } = await import("/static/player.js");
  const { RecordingReader } = await import("/static/recording.js");
  const reader = new RecordingReader(), log = new EventLog();
  for (const event of [...reader.feed(text), ...reader.finish().events]) log.add(event);
  const player = new Player(log);
  return times.map((time) => (player.seek(time), JSON.stringify(player.state.asJson())));
}"""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("replay") / "run.jsonl.gz"
    write_sample(path, nodes=10, pieces=200, seconds=40)
    return path


def test_the_file_shows_the_run_without_a_server(show: Any, recording: Path, tmp_path: Path) -> None:
    output = tmp_path / "run.html"
    assert main(["replay", str(recording), "-o", str(output)]) == 0
    dashboard = show(output.as_uri())
    with LogReader(recording) as log:
        measured = ("link:bytes", "congestion:sample", "clock", "keyframe")
        happenings = sum(event.name not in measured for event in log)
    assert dashboard.counts() == (happenings, happenings)
    asked = {address for address in dashboard.requests if not address.startswith("data:")}
    assert asked == {output.as_uri()}, "the file asks for other files"
    assert output.stat().st_size < 1_000_000


def test_chromium_computes_the_states_that_python_computes(
    show: Any, recording: Path, tracker_process: Any, tmp_path: Path
) -> None:
    plain = tmp_path / "run.jsonl"
    write_sample(plain, nodes=5, pieces=20, seconds=20)
    times = [9000.0, 15_000.5, 3.0, 12_345.678, 20_000.0]
    page = show(tracker_process.url).page
    found = page.evaluate(STATES_AT, {"text": plain.read_text(encoding="utf-8"), "times": times})
    assert [json.loads(state) for state in found] == Recording(plain).states(times)
