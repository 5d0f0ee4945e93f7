"""What scripts/flink.sh asks a cluster for: its jobs, the end of one, at once or when all is written, a savepoint.

python -m pipelines.runtime.flink.command jobs --master 127.0.0.1:8081
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from pipelines.runtime.flink.rest import ENDED, FlinkCluster, FlinkError
from pipelines.runtime.flink.settings import FlinkTarget, drain_file, is_on_loopback

FAILED, USAGE = 1, 2
#: So often in a row, and as far apart, a job has to be seen at its end.
_LOOKS, _LOOK_SECONDS = 3, 0.5


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the arguments say and return the exit status."""
    parser = argparse.ArgumentParser(prog="flink.sh", description="Asks a Flink cluster.")
    commands = parser.add_subparsers(dest="command", required=True)
    jobs = commands.add_parser("jobs", help="list the jobs")
    cancel = commands.add_parser("cancel", help="stop a job at once")
    drain = commands.add_parser("drain", help="read no more, write open windows, and end the job")
    savepoint = commands.add_parser("savepoint", help="keep the state of a job")
    for each in (jobs, cancel, drain, savepoint):
        each.add_argument("--master", required=True, metavar="HOST:PORT")
    for each in (cancel, drain, savepoint):
        each.add_argument("job")
    savepoint.add_argument("--stop", action="store_true", help="end the job, too")
    asked = parser.parse_args(argv)
    cluster = FlinkCluster(asked.master)
    try:
        cluster.check()
        if asked.command == "jobs":
            for job in cluster.jobs():
                print(job)
        elif asked.command == "cancel":
            state = cluster.cancel(asked.job)
            print(f"flink: job {asked.job} is {state}", file=sys.stderr)
            return 0 if state == "CANCELED" else FAILED
        elif asked.command == "drain":
            state = _drain(cluster, asked.job)
            print(f"flink: job {asked.job} is {state}", file=sys.stderr)
            return 0 if state == "FINISHED" else FAILED
        else:
            print(cluster.savepoint(asked.job, is_last=asked.stop))
    except FlinkError as error:
        print(f"flink: {error}", file=sys.stderr)
        return FAILED
    return 0


def _drain(cluster: FlinkCluster, job: str) -> str:
    """Have the readers of a job end that see the files of this machine, stop it when it is at its end; give its state.

    Raises:
        FlinkError: there is no such job, its readers do not see that they are to end, or the cluster does not answer.
    """
    names = [each.name for each in cluster.jobs() if each.id == job]
    if not names:
        raise FlinkError(f"{cluster.master} has no job {job}")
    path = drain_file(names[0], FlinkTarget(cluster.master, is_on_loopback(cluster.master), is_loopback=False))
    if path is None:
        raise FlinkError("workers elsewhere cannot be asked to drain: take a savepoint with --stop, and go on from it")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    try:
        ends = 0
        while ends < _LOOKS and (state := cluster.state(job)) not in ENDED:
            ends = ends + 1 if cluster.is_read_to_its_end(job) else 0
            time.sleep(_LOOK_SECONDS)
        if ends < _LOOKS:
            return state
        cluster.remove_savepoint(cluster.savepoint(job, is_last=True))
        return cluster.state(job)
    finally:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
