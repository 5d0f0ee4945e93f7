"""Pipelines on a real cluster of Flink: the same bytes as here, its end, what is killed, what goes on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from simulators.registers import write_tape
from tests.clusters import Cluster, running_cluster
from tests.patience import wait_for
from tests.pipelines.tools import needs_proc, run, run_here, started

pytestmark = needs_proc


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as found:
        yield found


@pytest.fixture(scope="module")
def torn_tape(tmp_path_factory) -> Path:
    """A tape of which some rows cannot be read."""
    path = write_tape(tmp_path_factory.mktemp("tape") / "tape.tsv", 3_000, seed=8)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[100::300] = [b"torn\n" for _ in lines[100::300]]
    path.write_bytes(b"".join(lines))
    return path


def on(cluster: Cluster, *options: object) -> list[object]:
    return [*options, "--runner=FlinkRunner", f"--flink_master={cluster.master}"]


def digest(*paths: Path) -> str:
    """Return the hash of all lines, sorted."""
    lines = sorted(line for path in paths for line in path.read_bytes().splitlines())
    return hashlib.blake2b(b"\n".join(lines)).hexdigest()


def windows_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("t*.jsonl"))


def rows_in(folder: Path) -> int:
    return sum(json.loads(line)["rows"] for path in windows_in(folder) for line in path.read_text().splitlines())


def processes_beneath(parent: int) -> list[str]:
    """Return the command lines of the children of a process."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(place.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append((place.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def lines_of(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.parametrize("parallelism", [1, 2])
def test_produce_gives_the_same_bytes_as_here(cluster, capsys, torn_tape, tmp_path, parallelism):
    here, there = tmp_path / "here", tmp_path / "there"
    arguments = {
        folder: ["--input", torn_tape, "--output", folder / "t.jsonl", "--window=1d", "--rejected", folder / "r.jsonl"]
        for folder in (here, there)
    }
    there.mkdir()
    (there / "r.jsonl").write_text("of an earlier run\n")
    ours = run_here(capsys, *arguments[here])
    done = run_here(capsys, *on(cluster, *arguments[there], f"--parallelism={parallelism}"))
    assert (done.status, done.balance) == (0, ours.balance), done.err
    assert done.balance.rejected == 10
    assert [path.name for path in windows_in(there)] == ["t.jsonl"]
    assert (there / "t.jsonl").read_bytes() == (here / "t.jsonl").read_bytes()
    assert digest(there / "r.jsonl") == digest(here / "r.jsonl")
    assert cluster.rest.jobs()[0].state == "FINISHED"


def test_what_is_fused_with_its_reader_is_read_to_its_end(cluster, torn_tape):
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as threads:
        received = threads.submit(_receive, server)
        output = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        done = run(*on(cluster, "--input", torn_tape, "--rate=600", "--output", output), program="pipelines.relay")
        assert done.status == 0, done.err
        assert received.result() == torn_tape.read_bytes()


def _receive(server: socket.socket) -> bytes:
    connection, _ = server.accept()
    with connection, connection.makefile("rb") as file:
        return file.read()


def test_errors_ends_with_checkpoints_and_gives_the_same_bytes(cluster, capsys, tmp_path):
    responses = tmp_path / "responses.jsonl"
    assert run_here(capsys, "--rows=3000", "--seed=3", "--output", responses, program="simulators.http").status == 0
    for folder, more in (("here", []), ("there", on(cluster))):
        options = ("--input", responses, "--output", tmp_path / folder / "e.jsonl", *more)
        assert run_here(capsys, *options, program="pipelines.errors").status == 0
    for name in ("e.jsonl", "e-by-date.jsonl"):
        assert digest(tmp_path / "there" / name) == digest(tmp_path / "here" / name)


def test_ctrl_c_drains_and_the_job_is_finished(cluster, torn_tape, tmp_path):
    with started(
        *on(cluster, "--input", torn_tape, "--rate=200", "--window=10m", "--output", tmp_path / "t.jsonl")
    ) as program:
        wait_for(lambda: windows_in(tmp_path))
        program.process.send_signal(signal.SIGINT)
        done = program.finish()
    assert done.status == 130, done.err
    assert 0 < done.balance.read < 3_000
    # The windows that were open are written, too: nothing that was read is missing.
    assert rows_in(tmp_path) == done.balance.used
    assert cluster.rest.jobs()[0].state == "FINISHED"


def test_a_second_ctrl_c_cancels_the_job_and_says_so(cluster, torn_tape, tmp_path):
    with started(
        *on(cluster, "--input", torn_tape, "--rate=5", "--window=10m", "--output", tmp_path / "t.jsonl")
    ) as program:
        known = {job.id for job in cluster.rest.jobs()}
        wait_for(lambda: {job.id for job in cluster.rest.jobs()} - known)
        program.process.send_signal(signal.SIGINT)
        time.sleep(0.6)  # closer ones are one
        program.process.send_signal(signal.SIGINT)
        done = program.finish()
    job = cluster.rest.jobs()[0]
    assert done.status == 130, done.err
    assert (job.state, f"job {job.id} is CANCELED" in done.lines) == ("CANCELED", True), done.err


def test_a_detached_job_goes_on_from_a_savepoint_with_nothing_lost_or_doubled(cluster, capsys, torn_tape, tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "parts"
    options = ["--input", torn_tape, "--rate=300", "--window=10m", "--disorder=1h"]
    run_here(capsys, *options[:2], "--window=10m", "--output", whole / "t.jsonl", "--rejected", whole / "r.jsonl")
    command = on(cluster, *options, "--output", folder / "t.jsonl", "--rejected", folder / "r.jsonl")
    done = run_here(capsys, *command, "--detach")
    assert done.status == 0, done.err
    job = done.out.strip()
    assert job in cluster.run("jobs", "--master", cluster.master).stdout
    wait_for(lambda: lines_of(folder / "r.jsonl"))
    kept = cluster.run("savepoint", job, "--stop", "--master", cluster.master)
    assert kept.returncode == 0, kept.stderr
    assert cluster.rest.state(job) == "FINISHED"
    before = (folder / "r.jsonl").read_bytes()
    summary = tmp_path / "summary.json"
    done = run_here(capsys, *command, f"--savepoint_path={kept.stdout.strip()}", "--summary", summary)
    assert done.status == 0, done.err
    # Of both runs together, though the first one was never told of the file.
    assert done.balance.read == lines_of(torn_tape)
    assert done.balance.rejected == lines_of(whole / "r.jsonl")
    assert (told := json.loads(summary.read_text()))["complete"], told
    assert (told["read"], told["balances"]) == (lines_of(torn_tape), True)
    assert (folder / "r.jsonl").read_bytes().startswith(before)
    assert digest(folder / "r.jsonl") == digest(whole / "r.jsonl")
    assert digest(*windows_in(folder)) == digest(*windows_in(whole))


def test_a_killed_worker_is_replaced_and_no_line_is_lost_or_doubled(cluster, torn_tape, tmp_path):
    out = tmp_path / "out.txt"
    with started(
        *on(cluster, "--input", torn_tape, "--rate=200", "--output", out), program="pipelines.relay"
    ) as program:
        wait_for(lambda: lines_of(out) > 100)
        workers = cluster.workers()
        assert workers
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        done = program.finish()
    assert done.status == 0, done.err
    assert out.read_bytes() == torn_tape.read_bytes()
    # The workers that were killed have counted, too: what became of all records is data of the job.
    assert done.balance == (lines_of(out), lines_of(out), 0, 0, 0)


@pytest.mark.soak
def test_a_job_server_is_started_where_there_is_none_and_ends_with_the_run(
    cluster, capsys, monkeypatch, torn_tape, tmp_path
):
    from pipelines.runtime.flink import job

    monkeypatch.setattr(job, "find_registration", lambda _: None)
    options = on(cluster, "--input", torn_tape, "--output", tmp_path / "t.jsonl")
    done = run_here(capsys, *options, f"--environment_config=localhost:{cluster.ports['pool-port']}")
    assert done.status == 0, done.err
    assert done.balance.read == 3_000
    ours = [text for text in processes_beneath(os.getpid()) if "FlinkJobServerDriver" in text]
    assert not ours


@pytest.mark.soak
@pytest.mark.parametrize("what", ["worker_pool", "TaskManagerRunner"])
def test_a_killed_part_of_the_cluster_is_started_again(cluster, torn_tape, tmp_path, what):
    out = tmp_path / "out.txt"
    with started(
        *on(cluster, "--input", torn_tape, "--rate=100", "--output", out), program="pipelines.relay"
    ) as program:
        wait_for(lambda: lines_of(out) > 100)
        # The shells that start it again stay.
        for number in cluster.processes(what):
            if Path(f"/proc/{number}/comm").read_text().strip() != "bash":
                os.kill(number, signal.SIGKILL)
        # Flink keeps the watermark of a reader now and then when it lost its TaskManager, so the job is ended by hand.
        wait_for(lambda: lines_of(out) >= lines_of(torn_tape))
        if program.process.poll() is None:
            program.process.send_signal(signal.SIGINT)
            time.sleep(0.6)  # closer ones are one
            program.process.send_signal(signal.SIGINT)
        program.finish()
    assert out.read_bytes() == torn_tape.read_bytes()
    assert cluster.run("status").returncode == 0


def test_what_cannot_be_written_fails_at_once_with_its_reason(cluster, torn_tape, tmp_path):
    folder = tmp_path / "out"
    with started(
        *on(cluster, "--input", torn_tape, "--rate=200", "--window=10m", "--output", folder / "t.jsonl")
    ) as program:
        wait_for(lambda: windows_in(folder))
        moved = folder.rename(tmp_path / "moved")
        folder.write_text("a file")
        done = program.finish()
    assert moved.exists()
    assert done.status == 1, done.err
    assert done.lines[-1].startswith("failed: cannot write "), done.err
    assert "Not a directory" in done.lines[-1]
    assert cluster.rest.jobs()[0].state == "CANCELED"


def test_its_doors_are_on_loopback(cluster):
    from tests.pipelines.tools import doors_of

    doors = doors_of(dict.fromkeys(cluster.processes(), "cluster"))
    assert doors
    assert not [door for door in doors if not door.startswith(("127.0.0.", "[::ffff:127.0.0.", "::ffff:127.0.0."))]


def test_a_cluster_that_is_not_there_is_refused_in_one_line(short_tape, tmp_path):
    done = run(
        "--input", short_tape, "--output", tmp_path / "t.jsonl", "--runner=FlinkRunner", "--flink_master=[::1]:1"
    )
    assert done.status == 2
    assert done.lines == ["wrong usage: no JobManager of Flink answers at [::1]:1: [Errno 111] Connection refused"]
