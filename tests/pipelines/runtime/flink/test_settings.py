"""What jobs on Flink are given, and what is refused before anything is submitted."""

from __future__ import annotations

import pytest
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PortableOptions

from pipelines.runtime.command_line import parse_command_line
from pipelines.runtime.flink import settings
from pipelines.runtime.flink.settings import flink_target, settle_for_flink
from pipelines.runtime.options import UsageError


@pytest.fixture(autouse=True)
def _a_cluster_of_six(monkeypatch):
    monkeypatch.setattr(settings.FlinkCluster, "default_parallelism", lambda _: 6)


def settled(*arguments: str, master: str = "127.0.0.1:8081"):
    options = parse_command_line([*arguments, "--runner=FlinkRunner", f"--flink_master={master}"])
    is_given = options.output is not None
    options.output = options.output or ["-", "out.jsonl"]
    settle_for_flink(options, is_output_given=is_given)
    return options


def refusal(*arguments: str, master: str = "127.0.0.1:8081") -> str:
    with pytest.raises(UsageError) as error:
        settled(*arguments, master=master)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_live_jobs_need_is_set_unless_given():
    flags = settled("--input", "x.csv").beam_flags
    assert {"--checkpointing_interval=1000", "--finish_bundle_before_checkpointing"} <= set(flags)
    assert not any(flag.startswith("--shutdown_sources") for flag in flags)
    options = settled("--input", "x.csv", "--checkpointing_interval=5000", "--environment_type=LOOPBACK")
    assert [flag for flag in options.beam_flags if flag.startswith("--checkpointing")] == [
        "--checkpointing_interval=5000"
    ]
    assert options.view_as(PortableOptions).environment_type == "LOOPBACK"


@pytest.mark.parametrize(("arguments", "parallelism"), [((), 6), (("--parallelism=3",), 3)])
def test_parallelism_is_that_of_the_cluster_unless_given(arguments, parallelism):
    options = settled("--input", "x.csv", *arguments)
    assert options.view_as(FlinkRunnerOptions).parallelism == parallelism
    assert options.spread.parallelism == parallelism


def test_paths_are_absolute_for_workers_on_this_machine(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    outputs = ("--output", "b.jsonl", "sqlite:///c.db?table=t", "kafka://h:1/t")
    options = settled("--input", "a/*.csv", *outputs, "--rejected", "r.jsonl", "--late", "/l.jsonl")
    assert options.input == [f"{tmp_path}/a/*.csv"]
    assert options.output == [f"{tmp_path}/b.jsonl", f"sqlite:///{tmp_path}/c.db?table=t", "kafka://h:1/t"]
    assert (options.rejected, options.late) == (f"{tmp_path}/r.jsonl", "/l.jsonl")


def test_a_console_that_nobody_asked_for_is_left_out():
    assert [text.rpartition("/")[2] for text in settled("--input", "x.csv").output] == ["out.jsonl"]
    assert "expected another --output than -" in refusal("--input", "x.csv", "--output", "-")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--input", "-"), "expected another --input than -"),
        (("--input", "exec:date"), "expected another --input than exec:date"),
        (("--input", "x.csv", "--output", "/dev/stderr"), "/dev/stderr is a pipe or a device"),
    ],
)
def test_what_no_worker_can_do_is_refused(arguments, says):
    assert says in refusal(*arguments)
    loopback = settled(*arguments, "--environment_type=LOOPBACK")
    assert flink_target(loopback).is_loopback


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--input", "x.csv"), "expected an absolute path of a disk that they share, got 'x.csv'"),
        (("--input", "/x.csv", "--output", "y.jsonl"), "got 'y.jsonl'"),
        (("--input", "/x.csv", "--output", "/y.jsonl", "--rejected", "r"), "got 'r'"),
        (("--input", "tcp-listen://:1", "--output", "/y.jsonl"), "nobody knows which worker will listen"),
        (("--input", "udp-listen://:1", "--output", "/y.jsonl"), "nobody knows which worker will listen"),
        (("--input", "/x.csv", "--output", "sqlite:////y.db"), "SQLite is a file of one machine"),
    ],
)
def test_what_workers_elsewhere_cannot_do_is_refused(arguments, says):
    assert says in refusal(*arguments, master="flink.example:8081")
    assert says in refusal(*arguments, "--workers-elsewhere")
    settled(*arguments)


def test_a_cluster_has_to_be_named_and_is_asked_for_only_there():
    assert "expected --flink_master=HOST:PORT" in refusal("--input", "x.csv", master="[auto]")
    options = parse_command_line(["--input", "x.csv", "--output", "y.jsonl", "--detach"])
    with pytest.raises(UsageError, match="--detach is for a cluster"):
        settle_for_flink(options, is_output_given=True)


def test_a_run_from_a_savepoint_replaces_nothing():
    assert settled("--input", "x.csv").reads_again
    assert not settled("--input", "x.csv", "--savepoint_path=/s").reads_again
