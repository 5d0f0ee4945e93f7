"""A worker of a Flink job, as its pool starts it; it ends with the pool."""

from __future__ import annotations

import sys

from apache_beam.runners.worker.sdk_worker import SdkHarness

from pipelines.runtime.prism_server import die_with


def main(control: str, name: str, pool: str) -> None:
    """Work until the TaskManager hangs up.

    Args:
        control: where it tells what to do.
        name: what it calls this worker.
        pool: the process id of the pool.
    """
    if sys.platform == "linux":
        die_with(int(pool))
    SdkHarness(control, worker_id=name, state_cache_size=0, data_buffer_time_limit_ms=-1).run()
