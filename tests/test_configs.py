"""Settings: the report's values, each replaced by its name in capitals, and the file ``.env``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import configs
from common.errors import SettingError
from configs import CFG, SETTINGS, read_env_file, settings_from

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
    constants = settings_from({})["constants"]
    assert {name: constants[name] for name in report} == report
    assert settings_from({})["directory"] == {
        "logs_dir": "logs/",
        "node_files_dir": "node_files/",
        "tracker_db_dir": "tracker_db/",
    }
    modes = {"REGISTER": 0, "OWN": 1, "NEED": 2, "UPDATE": 3, "EXIT": 4}
    assert CFG["tracker_requests_mode"] == modes


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_default_is_a_value_that_its_parser_accepts(setting: configs.Setting) -> None:
    assert setting.parse(setting.default_text) == setting.default
    assert setting.help and not setting.help.endswith(".")


def test_the_environment_overrides() -> None:
    code = "import json; from configs import CFG; print(json.dumps(CFG['constants']['MAX_SPLITTNES_RATE']))"
    environment = {**os.environ, "MAX_SPLITTNES_RATE": "5"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True)
    assert json.loads(done.stdout) == 5


@pytest.mark.parametrize(
    ("name", "text", "section", "value"),
    [
        ("NODE_FILES_DIR", "/x", "directory", "/x"),
        ("NODE_FILES_DIR", "~/x", "directory", str(Path.home() / "x")),
        ("LOGS_DIR", "~", "directory", str(Path.home())),
        ("TRACKER_DB_DIR", "a~b", "directory", "a~b"),
        ("ACCESS_LOG", "~/log", "constants", str(Path.home() / "log")),
        ("ACCESS_LOG", "none", "constants", "none"),
        ("TRACKER_ADDR", "127.0.0.1:0", "constants", ["127.0.0.1", 0]),
        ("TRACKER_ADDR", "[::1]:12345", "constants", ["::1", 12345]),
        ("TRACKER_TIME_INTERVAL", "2", "constants", 2),
        ("OWNER_TIMEOUT", "0.5", "constants", 0.5),
        ("AVAILABLE_PORTS_RANGE", "2000-3000", "constants", [2000, 3000]),
        ("AVAILABLE_PORTS_RANGE", "[2000, 3000]", "constants", [2000, 3000]),
        ("RANKING", "rate", "constants", "rate"),
    ],
)
def test_each_kind_of_value_parses(name: str, text: str, section: str, value: object) -> None:
    settings = settings_from({name: text})
    assert next(v for k, v in settings[section].items() if k.upper() == name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MAX_SPLITTNES_RATE", "three"),
        ("MAX_SPLITTNES_RATE", "0"),
        ("MAX_SPLITTNES_RATE", "-3"),
        ("MAX_SPLITTNES_RATE", ""),
        ("MAX_SPLITTNES_RATE", "1000000"),
        ("TRACKER_THREADS", "257"),
        ("CHUNK_PIECES_SIZE", "12"),
        ("BUFFER_SIZE", "12"),
        ("OWNER_TIMEOUT", "0.0001"),
        ("OWNER_TIMEOUT", "soon"),
        ("OWNER_TIMEOUT", "nan"),
        ("OWNER_TIMEOUT", "inf"),
        ("TRACKER_ADDR", "12345"),
        ("TRACKER_ADDR", "::1:12345"),
        ("TRACKER_ADDR", "host:port"),
        ("TRACKER_ADDR", "host:70000"),
        ("NODE_FILES_DIR", " "),
        ("AVAILABLE_PORTS_RANGE", "1"),
        ("AVAILABLE_PORTS_RANGE", "3000-2000"),
        ("AVAILABLE_PORTS_RANGE", "0-99999"),
        ("AVAILABLE_PORTS_RANGE", "[1, 2, 3"),
    ],
)
def test_a_value_that_does_not_parse_is_named(name: str, text: str) -> None:
    with pytest.raises(SettingError, match=rf"^setting {name}=.* does not parse: .*wanted"):
        settings_from({name: text})


@pytest.mark.parametrize(
    ("program", "name", "text"),
    [
        (["tracker.py"], "BUFFER_SIZE", "much"),
        (["TorrentClient.py", "-node_id", "1"], "LOOPBACK_SEGMENT_SIZE", "12"),  # a former setting
    ],
)
def test_a_bad_setting_ends_a_program_with_one_line_and_code_2(
    program: list[str], name: str, text: str, tmp_path: Path
) -> None:
    environment = {**os.environ, name: text, "LOGS_DIR": str(tmp_path)}
    words = [sys.executable, str(ROOT / program[0]), *program[1:]]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert name in line and text in line


# ---- .env


@pytest.mark.parametrize(
    "data",
    [
        "# größer\nRANKING=rate\n".encode(),
        "\ufeff# größer\r\nRANKING=rate\r\n".encode(),
        "\ufeffRANKING=rate\r\n".encode("utf-16-le"),  # PowerShell's >
        "\ufeffRANKING='rate'\n".encode("utf-16-be"),
        b'export RANKING="rate"  # with a comment',
    ],
)
def test_an_env_file_in_any_encoding_that_tells_itself(data: bytes, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(data)
    assert read_env_file(tmp_path / ".env") == {"RANKING": "rate"}


@pytest.mark.parametrize(
    "data", ["RANKING=rate\n# größer".encode("cp1252"), "RANKING=rate".encode("utf-16-le"), b"\xff\xfea"]
)
def test_an_env_file_in_another_encoding_is_named(data: bytes, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(data)
    with pytest.raises(SettingError, match=r"\.env.* is not UTF-8: save the file as UTF-8$"):
        read_env_file(tmp_path / ".env")


def test_no_env_file_and_a_folder_of_that_name_are_no_settings(tmp_path: Path) -> None:
    assert read_env_file(tmp_path / ".env") == {}
    (tmp_path / ".env").mkdir()
    assert read_env_file(tmp_path / ".env") == {}


def test_a_program_beside_an_env_file_that_cannot_be_read_says_one_line(tmp_path: Path) -> None:
    shutil.copy(ROOT / "configs.py", tmp_path)
    (tmp_path / ".env").write_bytes("# größer".encode("cp1252"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", "import configs"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{tmp_path / '.env'}, line 1, is not UTF-8: save the file as UTF-8\n"
