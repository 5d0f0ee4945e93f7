"""What scripts/flink.sh asks a cluster for: the drain of a job that nobody watches."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.runtime.flink import command
from pipelines.runtime.flink.rest import FlinkError, FlinkJob
from pipelines.runtime.flink.settings import FlinkTarget, drain_file


class Cluster:
    """A cluster with one job, whose readers end once they are asked to; it is at its end after some looks."""

    def __init__(self, master: str, asked: Path | None, states: list[str]) -> None:
        self.master, self.asked, self.states, self.removed = master, asked, states, ""

    def jobs(self):
        return [FlinkJob("7", "produce-1", "RUNNING", 0)]

    def state(self, job):
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def is_read_to_its_end(self, job):
        return self.asked is not None and self.asked.exists()

    def savepoint(self, job, *, is_last):
        self.states = ["FINISHED"]
        return "a savepoint"

    def remove_savepoint(self, path):
        self.removed = path


@pytest.fixture(autouse=True)
def asked(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(command, "_LOOK_SECONDS", 0.0)
    path = drain_file("produce-1", FlinkTarget("127.0.0.1:1", is_here=True, is_loopback=False))
    assert path is not None
    return path


def test_a_job_that_is_drained_is_stopped_at_its_end_and_leaves_nothing(asked):
    cluster = Cluster("127.0.0.1:1", asked, ["RUNNING"])
    assert command._drain(cluster, "7") == "FINISHED"
    assert cluster.removed == "a savepoint"
    assert not asked.exists()


def test_a_job_that_fails_meanwhile_is_told_as_such(asked):
    assert command._drain(Cluster("127.0.0.1:1", asked, ["RUNNING", "FAILED"]), "7") == "FAILED"
    assert not asked.exists()


@pytest.mark.parametrize(
    ("master", "job", "reason"),
    [("127.0.0.1:1", "8", "has no job 8"), ("10.0.0.1:1", "7", "workers elsewhere cannot be asked to drain")],
)
def test_what_cannot_be_drained_is_refused(master, job, reason):
    with pytest.raises(FlinkError, match=reason):
        command._drain(Cluster(master, None, ["RUNNING"]), job)
