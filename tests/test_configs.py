"""Settings: the report's values, and each overridden by its name in capitals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import configs
from common.errors import SettingError
from configs import CFG, overridden

ROOT = Path(configs.__file__).parent


def test_the_reports_keys_and_values_are_there() -> None:
    report = {
        "AVAILABLE_PORTS_RANGE": [1024, 65535],
        "TRACKER_ADDR": ["localhost", 12345],
        "MAX_UDP_SEGMENT_DATA_SIZE": 65527,
        "BUFFER_SIZE": 9216,
        "CHUNK_PIECES_SIZE": 7216,
        "MAX_SPLITTNES_RATE": 3,
        "NODE_TIME_INTERVAL": 20,
        "TRACKER_TIME_INTERVAL": 22,
    }
    constants = run({}, "CFG['constants']")
    assert {name: constants[name] for name in report} == report
    assert run({}, "CFG['directory']") == {
        "logs_dir": "logs/",
        "node_files_dir": "node_files/",
        "tracker_db_dir": "tracker_db/",
    }
    modes = {"REGISTER": 0, "OWN": 1, "NEED": 2, "UPDATE": 3, "EXIT": 4}
    assert CFG["tracker_requests_mode"] == modes


def run(environment: dict[str, str], expression: str) -> object:
    """``expression`` of configs, in a process of its own with just this environment."""
    code = f"import json, configs; from configs import CFG; print(json.dumps({expression}))"
    base = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**base, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_the_environment_overrides() -> None:
    assert run({"MAX_SPLITTNES_RATE": "5"}, "CFG['constants']['MAX_SPLITTNES_RATE']") == 5


@pytest.mark.parametrize(
    ("name", "text", "section", "value"),
    [
        ("NODE_FILES_DIR", "/x", "directory", "/x"),
        ("TRACKER_ADDR", "127.0.0.1:0", "constants", ["127.0.0.1", 0]),
        ("TRACKER_TIME_INTERVAL", "2", "constants", 2),
        ("OWNER_TIMEOUT", "0.5", "constants", 0.5),
        ("AVAILABLE_PORTS_RANGE", "2000-3000", "constants", [2000, 3000]),
        ("AVAILABLE_PORTS_RANGE", "[2000, 3000]", "constants", [2000, 3000]),
        ("RANKING", "rate", "constants", "rate"),
    ],
)
def test_each_kind_of_value_parses(name: str, text: str, section: str, value: object) -> None:
    settings = overridden(CFG, {name: text})
    assert next(v for k, v in settings[section].items() if k.upper() == name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MAX_SPLITTNES_RATE", "three"),
        ("MAX_SPLITTNES_RATE", "0"),
        ("MAX_SPLITTNES_RATE", "-3"),
        ("MAX_SPLITTNES_RATE", ""),
        ("HASH_THREADS", "257"),
        ("OWNER_TIMEOUT", "soon"),
        ("OWNER_TIMEOUT", "nan"),
        ("OWNER_TIMEOUT", "inf"),
        ("TRACKER_ADDR", "12345"),
        ("TRACKER_ADDR", "host:port"),
        ("TRACKER_ADDR", "host:70000"),
        ("AVAILABLE_PORTS_RANGE", "1"),
        ("AVAILABLE_PORTS_RANGE", "3000-2000"),
        ("AVAILABLE_PORTS_RANGE", "0-99999"),
        ("AVAILABLE_PORTS_RANGE", "[1, 2, 3"),
    ],
)
def test_a_value_that_does_not_parse_is_named(name: str, text: str) -> None:
    with pytest.raises(SettingError, match=rf"^setting {name}=.* does not parse: .*(wanted|at most)"):
        overridden(CFG, {name: text})


@pytest.mark.parametrize("program", [["tracker.py"], ["TorrentClient.py", "-node_id", "1"]])
def test_a_bad_setting_ends_a_program_with_one_line_and_code_2(program: list[str], tmp_path: Path) -> None:
    environment = {**os.environ, "BUFFER_SIZE": "much", "LOGS_DIR": str(tmp_path)}
    words = [sys.executable, str(ROOT / program[0]), *program[1:]]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "BUFFER_SIZE" in line
    assert "much" in line
