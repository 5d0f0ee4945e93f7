"""What a mode that names a script becomes."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from command_line.script_mode import script_mode
from pipelines.runtime.command_line import parse_command_line
from schemas.values_file import Section


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name needs quotes, with a script and one that may not be run."""
    folder = tmp_path / "it's here; $HOME"
    (folder / "scripts").mkdir(parents=True)
    for name, mode in (("count", 0o755), ("locked", 0o644)):
        (folder / "scripts" / f"{name}.sh").write_text("#!/bin/sh\necho 1\necho 2\n")
        (folder / "scripts" / f"{name}.sh").chmod(mode)
    return folder


def section(folder: Path, mode: str = "real_data", given: tuple[str, ...] = (), **values: object) -> Section:
    return Section(folder / "config.ini", mode, values, frozenset(given))


def test_a_script_is_run_and_what_it_prints_is_the_input(folder):
    found = script_mode(section(folder, script_name="count", stream="0", sleep_time="5", window="1d"))
    assert set(found) == {"input", "window", "emit"}
    assert found["emit"] == "never"
    scheme, _, command = found["input"].partition(":")
    assert scheme == "exec"
    assert subprocess.run(shlex.split(command), capture_output=True, check=True).stdout == b"1\n2\n"


@pytest.mark.parametrize(
    ("sleep_time", "emit"),
    [("5", "5s"), (5, "5s"), ("2.5", "2500ms"), ("0", "1s"), (0.2, "1s"), ("1", "1s"), ("30", "30s"), (600, "30s")],
)
def test_a_stream_gives_results_every_so_many_seconds(folder, sleep_time, emit):
    assert script_mode(section(folder, script_name="count", stream="1", sleep_time=sleep_time))["emit"] == emit


def test_without_a_sleep_time_the_pipeline_has_its_own(folder):
    assert set(script_mode(section(folder, script_name="count", stream=1))) == {"input"}


@pytest.mark.parametrize("mode", ["real_data", "REAL_DATA"])
def test_a_recording_is_read_and_nothing_is_run(folder, mode):
    recording = folder / "scripts" / "real_data_stream.txt"
    recording.write_text("{}\n")
    assert script_mode(section(folder, mode, script_name="missing", stream="0")) == {"input": str(recording)}
    assert script_mode(section(folder, mode, script_name="count", stream="1"))["input"].startswith("exec:")
    assert script_mode(section(folder, "other", script_name="count"))["input"].startswith("exec:")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"script_name": "missing"}, r"^no script at .*/scripts/missing\.sh, which script_name in .* \[real_data\] na"),
        ({"script_name": "locked"}, r"^the script .*/scripts/locked\.sh may not be run"),
        ({"script_name": "../count"}, r"expected the name of a file in .*, got '\.\./count'$"),
        ({"script_name": " "}, r"got ''$"),
        ({"script_name": "count", "input": "x"}, r"^expected script_name or input in .*, got both$"),
        ({"script_name": "count", "stream": "2"}, r"^stream in .*: expected 0 or 1, got '2'$"),
        ({"script_name": "count", "sleep_time": "long"}, r"^sleep_time in .*: expected seconds, got 'long'$"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(folder, values, message):
    with pytest.raises(ValueError, match=message) as raised:
        script_mode(section(folder, **values))
    assert "\n" not in str(raised.value)


def test_an_input_of_the_command_line_makes_the_script_unimportant(folder):
    assert script_mode(section(folder, given=("input",), script_name="missing")) == {}


def test_a_mode_without_a_script_has_options_only(folder):
    assert script_mode(section(folder, rate="3")) == {"rate": "3"}


def test_the_mode_of_a_file_is_a_command_line(folder):
    (folder / "config.ini").write_text(
        "[TEST]\nscript_name = count\nstream = 0\n[REAL_DATA]\nscript_name = missing\nstream = 1\nsleep_time = 99\n"
    )
    argv = ["--config", str(folder / "config.ini"), "--mode", "real_data", "--input", "mine.txt"]
    options = parse_command_line(argv, translate=script_mode)
    assert options.input == ["mine.txt"]
    assert options.emit_micros == 30_000_000
    assert options.mode == "real_data"


def test_a_script_that_is_not_there_is_wrong_use(folder, capsys):
    (folder / "config.ini").write_text("[REAL_DATA]\nscript_name = missing\n")
    with pytest.raises(SystemExit) as ended:
        parse_command_line(["--config", str(folder / "config.ini")], "prog", translate=script_mode)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("wrong usage: no script at ")
    assert said.count("\n") == 1
