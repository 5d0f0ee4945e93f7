"""Which runner a pipeline runs on, set up so that nobody else can reach it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from apache_beam.options.pipeline_options import DirectOptions, PortableOptions, StandardOptions

from pipelines.runtime.flink.job import FlinkJobWatch, flink_job
from pipelines.runtime.flink.settings import flink_target
from pipelines.runtime.job_server import watched_job_server
from pipelines.runtime.options import StreamOptions, UsageError
from pipelines.runtime.prism import HOW_TO_GET, find_prism
from pipelines.runtime.prism_server import running_prism
from pipelines.runtime.progress_line import Progress
from pipelines.runtime.worker_pool import private_worker_pools
from schemas.object_path import shown

#: A year: the job server's own limit of 300 s would end a live job.
_JOB_SERVER_TIMEOUT_SECONDS = 31_536_000
#: Runners that hold back every window until the end of the input.
_HOLDING_RUNNERS = ("FnApiRunner", "BundleBasedDirectRunner", "SwitchingDirectRunner")
_LOCAL_RUNNERS = ("DirectRunner", "PrismRunner", "FnApiRunner")


class Runner(NamedTuple):
    """What runs the pipeline.

    Attributes:
        is_local: whether the work is done in this process.
        death: why the runner has ended, or None if it has not; it is given the seconds to wait for that.
        job: the job on a cluster, if it goes to one.
    """

    is_local: bool
    death: Callable[[float], str | None] = lambda _: None
    job: FlinkJobWatch | None = None


@contextlib.contextmanager
def chosen_runner(options: StreamOptions, progress: Progress, folder: Path) -> Iterator[Runner]:
    """Choose the runner and set it up.

    A bounded replay runs on FnApiRunner, which is in this process and starts at once. Whatever needs results before the
    input ends runs on Prism.
    """
    standard, portable = options.view_as(StandardOptions), options.view_as(PortableOptions)
    asked = _runner_name(standard.runner or "DirectRunner")
    if asked in _HOLDING_RUNNERS and options.needs_clock:
        raise UsageError(f"{asked} would hold back every window; use --runner=DirectRunner and {HOW_TO_GET}")
    _refuse_open_doors(options)
    target = flink_target(options)
    if not is_local(options):
        if portable.environment_type != "LOOPBACK" and any(out.has_password for out in options.destinations):
            raise UsageError(
                f"a password in an --output stays in this process, and the workers of {asked} are elsewhere: "
                "leave it out, and give them PGPASSWORD or PGPASSFILE"
            )
        if portable.environment_type != "LOOPBACK" and any(shown(at.path) != at.path for at in options.inputs):
            raise UsageError(
                f"what follows the ? in an --input stays in this process, as it may be a signature, and the workers of "
                f"{asked} are elsewhere: leave it out, or read from s3://, gs:// or abfss://"
            )
        portable.job_server_timeout = _JOB_SERVER_TIMEOUT_SECONDS
        with contextlib.ExitStack() as stack:
            stack.enter_context(private_worker_pools(None))
            if target is not None:
                job = stack.enter_context(flink_job(options, target, folder, progress.note))
                yield Runner(is_local=False, death=job.death, job=job)
                return
            runner = Runner(asked in _HOLDING_RUNNERS)
            if portable.job_endpoint:
                runner = runner._replace(death=stack.enter_context(watched_job_server(portable.job_endpoint)))
            yield runner
    elif asked == "FnApiRunner" or (asked == "DirectRunner" and not options.needs_clock):
        standard.runner = "FnApiRunner"
        yield Runner(is_local=True)
    else:
        binary = find_prism(options.beam, progress.note)
        if binary is None:
            why = "live input needs Prism, or no window would come out before the end" if options.needs_clock else asked
            raise UsageError(f"{why}: {HOW_TO_GET}")
        # Workers elsewhere, in a container say, cannot open a socket of this machine.
        place = folder if portable.environment_type in {None, "LOOPBACK"} else None
        with running_prism(binary, place, progress.note) as prism, private_worker_pools(folder):
            standard.runner = "PrismRunner"
            portable.job_endpoint = prism.endpoint
            portable.job_server_timeout = _JOB_SERVER_TIMEOUT_SECONDS
            yield Runner(is_local=True, death=prism.death)


def _refuse_open_doors(options: StreamOptions) -> None:
    """Refuse what has Beam open ports on all interfaces, where everybody may have this process run code."""
    mode = options.view_as(DirectOptions).direct_running_mode
    if mode != "in_memory":
        raise UsageError(
            f"--direct_running_mode={mode} lets everybody who reaches this machine in; leave it out: "
            "files are read with all processors anyway"
        )
    if options.view_as(PortableOptions).job_endpoint == "embed":
        raise UsageError("--job_endpoint=embed lets everybody who reaches this machine in; use --runner=DirectRunner")


def is_local(options: StreamOptions) -> bool:
    """Return whether the work is done in this process.

    Raises:
        UsageError: there is no such runner.
    """
    asked = _runner_name(options.view_as(StandardOptions).runner or "DirectRunner")
    return asked in _LOCAL_RUNNERS and not options.view_as(PortableOptions).job_endpoint


def _runner_name(text: str) -> str:
    """Return the name of a runner as Beam spells it: ``directrunner``, ``Direct`` and full names are known, too."""
    bare = text.rpartition(".")[2].lower()
    known = {name.lower(): name for name in StandardOptions.KNOWN_RUNNER_NAMES}
    found = known.get(bare) or known.get(f"{bare}runner")
    if found is None and "." not in text:
        raise UsageError(f"unknown runner {text!r}: expected DirectRunner, PrismRunner, FlinkRunner, ...")
    return found or text
