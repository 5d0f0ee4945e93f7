"""What scripts/flink.sh asks a cluster for: its jobs, the end of one, a savepoint.

python -m pipelines.runtime.flink.command jobs --master 127.0.0.1:8081
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pipelines.runtime.flink.rest import FlinkCluster, FlinkError

FAILED, USAGE = 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the arguments say and return the exit status."""
    parser = argparse.ArgumentParser(prog="flink.sh", description="Asks a Flink cluster.")
    commands = parser.add_subparsers(dest="command", required=True)
    jobs = commands.add_parser("jobs", help="list the jobs")
    cancel = commands.add_parser("cancel", help="stop a job at once")
    savepoint = commands.add_parser("savepoint", help="keep the state of a job")
    for each in (jobs, cancel, savepoint):
        each.add_argument("--master", required=True, metavar="HOST:PORT")
    for each in (cancel, savepoint):
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
        else:
            print(cluster.savepoint(asked.job, is_last=asked.stop))
    except FlinkError as error:
        print(f"flink: {error}", file=sys.stderr)
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
