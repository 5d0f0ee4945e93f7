"""What is read is never written, whatever links lead to it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import pipelines.credit
import pipelines.produce
import pipelines.relay
import simulators.registers
from tests.patience import PATIENCE_SECONDS
from tests.pipelines.tools import command
from tests.simulators.tools import ROOT

DATA = "a,b\n1,2\n"


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an input, and with links to it of all kinds and all names."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "in.csv"
    path.write_text(DATA)
    (tmp_path / "c.toml").write_text("quiet = true\n")
    for ending in ("txt", "csv", "jsonl", "db", "png"):
        Path(f"hard.{ending}").hardlink_to(path)
        Path(f"soft.{ending}").symlink_to("in.csv")
        Path(f"config.{ending}").hardlink_to("c.toml")
    Path("folder").mkdir()
    Path("to-folder").symlink_to("folder")
    Path("folder/hard.csv").hardlink_to(path)
    return path


OUTPUTS = [
    *(["--output", f"{link}.{ending}"] for link in ("hard", "soft", "config") for ending in ("txt", "csv", "jsonl")),
    *(["--output", "ok.txt", option, "hard.jsonl"] for option in ("--rejected", "--late")),
    ["--output", "to-folder/hard.csv"],
    ["--output", "sqlite:///hard.db"],
    ["--output", "sqlite:///config.db?table=x"],
]


@pytest.mark.parametrize("options", OUTPUTS)
@pytest.mark.parametrize("inputs", [["in.csv"], ["i*.csv"], ["folder"], ["in.csv", "--follow"]])
def test_an_input_is_not_written_by_whatever_link(there, capsys, inputs, options):
    if "--late" in options:
        main, form = pipelines.produce.main, [option.replace("ok.txt", "ok.jsonl") for option in options]
    else:
        main, form = pipelines.relay.main, [*options, "--read-as", "csv"]
    assert main(["--config", "c.toml", "--input", *inputs, *form]) == 2
    told = capsys.readouterr().err
    assert "is read, so it cannot be written" in told
    assert told.count("\n") == 1
    assert there.read_text() == DATA
    assert Path("c.toml").read_text() == "quiet = true\n"


@pytest.mark.parametrize(
    "options",
    [
        ["--output", "x.txt", "./x.txt"],
        ["--output", "x.txt", "to-x.txt"],
        ["--output", "hard-x.txt", "x.txt"],
        ["--output", "x.txt", "--rejected", "hard-x.txt"],
        ["--output", "sqlite:///x.txt", "--rejected", "x.txt"],
        ["--output", "sqlite:///x.txt?table=a", "sqlite:///hard-x.txt?table=b", "to-x.txt"],
    ],
)
def test_two_outputs_are_not_one_file(there, capsys, options):
    Path("x.txt").touch()
    Path("hard-x.txt").hardlink_to("x.txt")
    Path("to-x.txt").symlink_to("x.txt")
    assert pipelines.relay.main(["--input", "in.csv", *options]) == 2
    assert "is to be written twice" in capsys.readouterr().err


def test_a_chart_and_the_file_of_a_window_are_outputs_too(there, capsys):
    assert pipelines.credit.main(["--input", "in.csv", "--output", "x.jsonl", "--plot", "hard.png"]) == 2
    assert "'hard.png' is read, so it cannot be written" in capsys.readouterr().err
    window = "x-20110401T000000Z-20110402T000000Z.jsonl"
    there.rename(window)
    options = ["--input", window, "--window", "1d", "--files", "per-window", "--output", "x.jsonl"]
    assert pipelines.produce.main(options) == 2
    assert "'x.jsonl' with --window would write to it" in capsys.readouterr().err
    assert Path(window).read_text() == DATA


def test_a_folder_of_partitions_is_not_read_and_written(there, capsys):
    place = Path("x.parquet", "window_start=2011-04-01T00%3A00%3A00Z", "part.csv")
    place.parent.mkdir(parents=True)
    there.rename(place)
    assert pipelines.produce.main(["--input", str(place), "--files", "hive", "--output", "x.parquet"]) == 2
    assert f"{str(place)!r} is read, so its folder 'x.parquet' cannot be written" in capsys.readouterr().err
    assert place.read_text() == DATA


def test_a_simulator_does_not_replace_what_it_replays(there, capsys):
    for option in ("--output", "--truth"):
        with pytest.raises(SystemExit) as ended:
            simulators.registers.main(["--replay", "in.csv", option, "hard.csv"])
        assert ended.value.code == 2
        assert "'hard.csv' is read, so it cannot be written" in capsys.readouterr().err
    assert there.read_text() == DATA


def test_standard_streams_that_are_files_count_as_these(there):
    with there.open("r+b") as file:
        for options in (["--input", "in.csv"], ["--input", "-", "--read-as", "jsonl", "--output", "hard.txt"]):
            relay = command(*options, program="pipelines.relay")
            done = subprocess.run(
                relay, cwd=there.parent, stdin=file, stdout=file, capture_output=False, stderr=subprocess.PIPE,
                env={"PYTHONPATH": str(ROOT)}, check=False, timeout=PATIENCE_SECONDS,
            )  # fmt: skip
            assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), done.stderr
    assert there.read_text() == DATA
