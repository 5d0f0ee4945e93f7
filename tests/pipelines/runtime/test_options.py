"""What may be asked for, and what a wrong question is told: one line, exit status 2, and nothing is done."""

from __future__ import annotations

import importlib
import re
import socket

import pytest

from pipelines.produce import PIPELINE, main
from pipelines.runtime import options as shared
from pipelines.runtime.command_line import parse_command_line
from schemas.bank import TRANSFERS
from schemas.tape import TAPE
from schemas.times import MICROS_PER_SECOND
from sources.pacing import Pace
from tests.pipelines.tools import run
from transforms.windows import Windows

LIVE = ["--input", "tcp://127.0.0.1:9"]


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Calls the program where it must refuse; gives the one line that it says."""
    monkeypatch.chdir(tmp_path)

    def call(*argv: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        try:
            status = main(argv)
        except SystemExit as error:
            status = error.code
        said = capsys.readouterr()
        assert status == 2
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert "Traceback" not in said.err
        assert sorted(tmp_path.rglob("*")) == before
        return said.err.rstrip("\n")

    return call


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--windw", "10m"], "unknown option --windw: did you mean --window?"),
        (["--inptu=x"], "unknown option --inptu=x: did you mean --input?"),
        (["--wind", "10m"], "unknown option --wind: did you mean --window?"),
        (["--job_server_timout=3"], "did you mean --job_server_timeout?"),
        (["--zzzzzz"], "unknown option --zzzzzz (see"),
        (["--checkpointing_interval=1000"], "unknown option --checkpointing_interval=1000 (see"),
        (["--runner=FlinkRunner", "--windw=5m"], "unknown option --windw=5m: did you mean --window?"),
        (["--runner=FlinkRunner", "--x=1", "--job_nme=a"], "unknown option --job_nme=a: did you mean --job_name?"),
        (["--runner=FlinkRunner", "--no-such"], "unknown option --no-such (see"),
        (["--runner=FlinkRunner", "tape.tsv"], "unknown option tape.tsv (see"),
        (["tape.tsv"], "unknown option tape.tsv"),
        (["--window", "soon"], "--window: expected a window such as all, 10m or 10m/5m, got 'soon'"),
        (["--window", "-5m"], "got '-5m'"),
        (["--window=-5m"], "got '-5m'"),
        (["--window", "5m/10m"], "the step of a window must not be longer than the window"),
        (["--window", "0s"], "window must be positive, got '0s'"),
        (["--disorder", "1y"], "--disorder: expected a duration such as 30s, 10m, 1h or 1d, got '1y'"),
        (["--lateness", "-1s"], "got '-1s'"),
        (["--emit", "0s"], "--emit: expected a time longer than none, got '0s'"),
        (["--idle-timeout", "never"], "got 'never'"),
        (["--max-records", "-3"], "--max-records: expected a whole number from 1, got '-3'"),
        (["--max-records", "1e3"], "got '1e3'"),
        (["--rate", "-1"], "--rate: expected a number greater than 0, got '-1'"),
        (["--speed", "nan"], "got 'nan'"),
        (["--speed", "inf"], "got 'inf'"),
        (["--interval", "3..1"], "expected the shorter interval first, got '3..1'"),
        (["--speed", "2", "--rate", "3"], "argument --rate: not allowed with argument --speed"),
        (["--input"], "--input: expected at least one argument"),
        (["--input", ""], "expected an address, got an empty text"),
        (["--input", "http://x"], "unknown scheme in 'http://x'"),
        (["--input", "tcp://x"], "expected tcp://host:port"),
        (["--input", "nowhere.tsv"], "no file at 'nowhere.tsv'"),
        (["--output", "totals.txt"], "'totals.txt' takes single records"),
        (["--output", "totals.xls"], "unknown ending in 'totals.xls'"),
        (["--output", "totals"], "unknown ending in 'totals'"),
        (["--output", "kafka://h:1"], "--output: expected kafka://HOST:PORT/TOPIC with one topic"),
        (["--output", "kafka://h:1/not a name"], "'not a name'"),
        (["--kafka-transactional"], "--kafka-transactional is for topics: there is no --output kafka://"),
        (["--kafka-compression", "best"], "invalid choice: 'best'"),
        (["--department", "produce"], "expected a department's number or all, got 'produce'"),
        (["--shape", "columns"], "invalid choice: 'columns'"),
        (["--mode", "fast"], "mode is a section of a --config file, got --mode fast without one"),
        (["--config"], "--config: expected one argument"),
        (["--config", "nowhere.toml"], "cannot read nowhere.toml: No such file or directory"),
        (["--config", "nowhere.yaml"], "expected a file ending in .toml or .ini, got 'nowhere.yaml'"),
        (["--runner", "Nope"], "unknown runner 'Nope': expected DirectRunner, PrismRunner"),
        ([*LIVE, "--runner", "FnApiRunner"], "FnApiRunner would hold back every window"),
        (["--emit", "1s", "--runner", "fnapi"], "FnApiRunner would hold back every window"),
        (["--rate", "9", "--runner", "BundleBasedDirectRunner"], "would hold back every window"),
        ([*LIVE, "--runner", "FnApiRunner"], "make prism"),
        (["--runner", "PrismRunner", "--prism_location", "nowhere"], "no file at --prism_location 'nowhere'"),
        (["--runner", "PrismRunner", "--prism_location", __file__], "as Prism: Permission denied"),
    ],
)
def test_wrong_usage_is_told_in_one_line(argv, message, refused, tape):
    given = [] if any("inp" in text for text in argv) else ["--input", str(tape)]
    output = [] if "--output" in argv else ["--output", "-"]
    told = refused(*argv, *given, *output)
    assert message in told


def test_a_port_that_is_taken_is_told(refused):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"tcp-listen://127.0.0.1:{taken.getsockname()[1]}"
        assert "in use" in refused("--input", address)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--output", "folder.jsonl"], "cannot write folder.jsonl: Is a directory"),
        (["--output", "file/totals.jsonl"], "cannot write file/totals.jsonl: Not a directory"),
        (["--output", "/proc/none/totals.jsonl"], "cannot write /proc/none/totals.jsonl"),
        (["--rejected", "folder.jsonl"], "cannot write folder.jsonl: Is a directory"),
        (["--late", "file/late.jsonl"], "cannot write file/late.jsonl: Not a directory"),
        (["--rejected", "tape.tsv"], "'tape.tsv' is read, so it cannot be written"),
        (["--late", "./folder.jsonl/../tape.tsv"], "is read, so it cannot be written"),
        (["--output", "a.jsonl", "--late", "a.jsonl"], "'a.jsonl' is to be written twice"),
        (["--shape", "by-upc", "--output", "totals.avro"], "is JSON: expected a path ending in .json or .jsonl"),
        (["--output", "totals.json"], "unknown ending in 'totals.json'"),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_is_read(argv, message, refused, tmp_path):
    (tmp_path / "tape.tsv").write_text("1\t2\n")
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.jsonl").mkdir()
    output = [] if "--output" in argv else ["--output", "-"]
    assert message in refused("--input", "tape.tsv", *output, *argv)
    assert (tmp_path / "tape.tsv").read_text() == "1\t2\n"


def test_a_refused_job_leaves_the_records_of_an_earlier_one(refused, tape, tmp_path):
    (tmp_path / "late.jsonl").write_text("{}\n")
    assert "unknown runner" in refused("--input", str(tape), "--late", "late.jsonl", "--output", "-", "--runner", "X")
    assert (tmp_path / "late.jsonl").read_text() == "{}\n"


def test_help_is_complete_and_in_groups():
    done = run("--help-all")
    assert done.status == 0
    assert done.err == ""
    groups = re.findall(r"^([A-Za-z][^\n]*):$", done.out, re.MULTILINE)
    assert [group.partition(" (")[0] for group in groups] == [
        *("options", "produce", "input", "how records are written", "pace of a replay", "windows", "output", "Kafka"),
        *("what is told", "options from a file", "runner"),
    ]
    promised = (
        "--input --output --rejected --late --department --window --emit --disorder --lateness --speed --rate "
        "--interval --max-records --idle-timeout --from --kafka-security --kafka-compression --kafka-transactional "
        "--shape --quiet --config --mode --runner --prism_location"
    )
    for option in promised.split():
        assert re.search(rf"^  {option}\b", done.out, re.MULTILINE), option
    assert "    python -m pipelines.produce --runner=DirectRunner\n" in done.out
    assert max(map(len, done.out.splitlines())) <= 120


@pytest.mark.parametrize("name", ["produce", "errors", "credit", "sales", "relay", "totals"])
def test_the_help_of_every_pipeline_fits_a_screen_and_its_whole_help_has_every_option(name, capsys):
    pipeline = importlib.import_module(f"pipelines.{name}").PIPELINE
    told = {}
    for flag in ("--help", "--help-all"):
        with pytest.raises(SystemExit, match="0"):
            pipeline.parse([flag])
        told[flag] = capsys.readouterr().out
    options = {option.flag: option.is_rare for group in pipeline.all_groups for option in group.options}
    for flag, is_rare in options.items():
        assert re.search(rf"^  {flag}\b", told["--help-all"], re.MULTILINE), flag
        assert bool(re.search(rf"^  {flag}\b", told["--help"], re.MULTILINE)) is not is_rare, flag
    assert f"    python -m pipelines.{name}" in told["--help"]
    assert len(told["--help"].splitlines()) <= 100


def test_options_are_given_parsed():
    argv = ["--input", "a", "-", "--input", "tcp://h:1", "--output", "x.avro", "--window", "10m/5m", "--speed", "60"]
    argv += [
        "--emit",
        "1s",
        "--disorder",
        "2s",
        "--lateness",
        "3s",
        "--idle-timeout",
        "500ms",
        "--department",
        "2",
        "13",
    ]
    options = PIPELINE.parse(argv)
    assert [address.scheme for address in options.inputs] == ["file", "-", "tcp"]
    assert [output.format for output in options.outputs] == ["avro"]
    assert options.windows == Windows.parse("10m/5m")
    assert options.pace == Pace(speed=60.0)
    assert options.emit_micros == MICROS_PER_SECOND
    assert options.disorder_micros(is_live=True) == options.disorder_micros(is_live=False) == 2 * MICROS_PER_SECOND
    assert options.lateness_micros == 3 * MICROS_PER_SECOND
    assert options.idle_timeout_seconds == 0.5
    assert options.department == ["2", "13"]
    assert options.needs_clock


def test_defaults_are_those_that_are_documented():
    options = parse_command_line([])
    assert options.windows == Windows()
    assert options.emit_micros == options.lateness_micros == 0
    assert options.idle_timeout_seconds is None
    assert not options.pace.is_paced
    assert not options.needs_clock
    assert options.disorder_micros(is_live=True) == 0
    assert options.disorder_micros(is_live=False) == 3_600 * MICROS_PER_SECOND
    assert (shared.DEFAULT_DISORDER, shared.DEFAULT_LIVE_DISORDER) == ("1h", "0s")


def test_options_of_beam_are_understood():
    options = parse_command_line(["--job_name=x", "--direct_num_workers", "1"])
    assert options.beam.get_all_options()["job_name"] == "x"


def test_options_come_from_a_file_those_of_beam_among_them(tmp_path):
    (tmp_path / "run.toml").write_text(
        "input = ['a', 'b']\nrate = 5\njob_name = 'x'\nquiet = true\n"
        "[modes.fast]\nspeed = 60\ndepartment = [2, 13]\nmax_records = 7\n"
    )
    argv = ["--config", str(tmp_path / "run.toml")]
    options = PIPELINE.parse([*argv, "--output", "-"])
    assert (options.department, options.max_records, options.quiet, options.mode) == (["2", "13"], 7, True, None)
    assert options.pace == Pace(speed=60.0)
    assert options.beam.get_all_options()["job_name"] == "x"
    wins = ["--mode", "FAST", "--interval", "1..3", "--input", "c", "--job_name=y", "--department", "4"]
    options = PIPELINE.parse([*argv, *wins])
    assert [address.path for address in options.inputs] == ["c"]
    assert options.pace == Pace(interval=(1.0, 3.0))
    assert options.department == ["4"]
    assert options.beam.get_all_options()["job_name"] == "y"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inptu = 'a'\n", "unknown option 'inptu' in run.toml: did you mean input?"),
        ("rate = -3\n", "argument --rate: expected a number greater than 0, got '-3'"),
        ("rate = 1\nspeed = 2\n", "argument --speed: not allowed with argument --rate"),
        ("rate = 1\nspeed\n", "run.toml, line 2: "),
        ("[a]\n[b]\n", "--mode must say which section of run.toml to read: [a], [b]"),
    ],
)
def test_a_file_of_options_that_is_wrong_is_told_in_one_line(text, message, tmp_path, refused):
    (tmp_path / "run.toml").write_text(text)
    assert message in refused("--config", "run.toml")


@pytest.mark.parametrize("runner", ["FlinkRunner", "PortableRunner", "flink", "a.b.flink_runner.FlinkRunner"])
def test_options_that_only_a_job_server_knows_are_handed_on(runner):
    argv = ["--input", "-", f"--runner={runner}", "--checkpointing_interval=1000", "--finish_bundle_first"]
    options = parse_command_line(argv)
    assert argv[-2:] == options.beam._flags[-2:]


def test_options_for_topics_are_given_parsed():
    argv = ["--input", "kafka://h/a,b", "--from", "2022-08-30T12:00:00Z", "--idle-partition", "500ms"]
    argv += ["--on-missing-offset", "earliest", "--kafka-group", "me", "--kafka-readers", "2"]
    options = parse_command_line(argv)
    assert options.needs_clock
    read = options.kafka_input(TAPE)
    assert (read.start, read.idle_partition_seconds) == (1_661_860_800 * MICROS_PER_SECOND, 0.5)
    assert (read.on_missing_offset, read.group, read.max_readers) == ("earliest", "me", 2)


def test_topics_are_read_from_the_earliest_message_unless_something_is_said():
    options = parse_command_line(["--input", "kafka://h/a"])
    read = options.kafka_input(TRANSFERS)
    assert (read.start, read.idle_partition_seconds, read.on_missing_offset) == ("earliest", 10.0, "fail")
    assert read.group.startswith("transaction-streams.stream.a.")
    assert read.max_readers is None


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--from", "yesterday"], "expected earliest, latest, committed or a time such as .*, got 'yesterday'"),
        (["--idle-partition", "0s"], "expected a time longer than none, got '0s'"),
        (["--kafka-readers", "0"], "expected a whole number from 1, got '0'"),
        (["--on-missing-offset", "skip"], "invalid choice: 'skip'"),
    ],
)
def test_options_for_topics_that_cannot_be_are_one_line(argv, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        parse_command_line(["--input", "kafka://h/a", *argv])
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.count("\n") == 1


def test_a_place_to_begin_is_for_topics_only():
    options = parse_command_line(["--input", "x.txt", "--from", "latest"])
    with pytest.raises(ValueError, match="--from latest is for topics of Kafka"):
        options.kafka_input(TAPE)


@pytest.mark.parametrize(
    ("argv", "files", "may_never_end"),
    [
        (["--input", "a"], "single", False),
        (["--input", "a", "--emit", "1s"], "single", False),
        (["--input", "a", "--rate", "5"], "per-window", False),
        (["--input", "a", "--rate", "5", "--files", "single"], "single", False),
        (["--input", "-"], "per-window", False),
        (["--input", "a", "--follow"], "per-window", True),
        (["--input", "a", "tcp://h:1"], "per-window", True),
        (["--input", "tcp://h:1", "--max-records", "9", "--files", "hive"], "hive", False),
        (["--input", "a", "--follow", "--idle-timeout", "1s"], "per-window", False),
    ],
)
def test_a_replay_is_one_file_and_what_takes_its_time_one_per_window(argv, files, may_never_end):
    options = parse_command_line(argv)
    assert (options.files_as, options.may_never_end) == (files, may_never_end)


@pytest.mark.parametrize(
    ("flags", "works_here"),
    [
        ([], True),
        (["--runner=PrismRunner"], True),
        (["--environment_type=DOCKER"], False),
        (["--job_endpoint=localhost:8099"], False),
    ],
)
def test_steps_share_temporary_files_only_where_all_are_in_this_process(flags, works_here):
    assert parse_command_line(["--input", "a", *flags]).works_here is works_here
