"""A job on a cluster, as the program sees it that has submitted it: its end, its drain, what made it fail."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from apache_beam.options.pipeline_options import GoogleCloudOptions, PortableOptions

from pipelines.runtime.failures import explain
from pipelines.runtime.flink.job_server import find_registration, running_job_server
from pipelines.runtime.flink.rest import ENDED, FlinkCluster, FlinkError
from pipelines.runtime.flink.settings import BESIDE, FlinkTarget, drain_file
from pipelines.runtime.options import StreamOptions, UsageError
from sources import drain
from sources import progress as board
from transforms.counting import NAMESPACE

_LOOK_SECONDS = 0.5
#: How often it is asked what was counted, for the progress line.
_TELL_SECONDS = 2.0
_START_SECONDS = 120.0
#: What fails for good, however often it is tried.
_PERMANENT = re.compile(r"^(?:\w+\.)*(?:SinkError|BrokerError|RegistryError): ", re.MULTILINE)
_TRACEBACK = "Traceback (most recent call last)"
#: A job that has failed so often for the same reason fails for good.
_SAME_FAILURES = 3


class FlinkJobWatch:
    """Looks at a job until it has ended.

    Beam's sources on Flink stay when all was read, since a job some of whose tasks have ended takes no more
    checkpoints. So a job that is at its end, all watermarks being at the end of time, is stopped here, with a savepoint
    that nobody needs. For a moment after a job has gone on from a savepoint they may be there, too, before its readers
    have told that they are not at their ends: so the job has to say itself that it is, by its summary, where that can
    be seen here.

    Args:
        cluster: where it is.
        name: what it is submitted as.
        target: the cluster, as it was asked for.
        drain_file: its readers end when this is there; None where they cannot see it.
        note: shows a line.
        is_resumed: whether it begins with a savepoint.

    Attributes:
        id: what the cluster calls the job; empty until it is there.
        is_stopped_in_the_middle: whether it was stopped with a savepoint, which has what it was at.
        has_told_its_end: tells whether the job has said that it is at its end; True where that cannot be seen.
    """

    def __init__(
        self,
        cluster: FlinkCluster,
        name: str,
        target: FlinkTarget,
        drain_file: Path | None,
        note: Callable[[str], None],
        *,
        is_resumed: bool = False,
    ) -> None:
        """Know of no job yet."""
        self._is_resumed = is_resumed
        self._cluster, self._name, self._target, self._note = cluster, name, target, note
        self._drain_file = drain_file
        self._failures: dict[str, set[str]] = {}
        self._failure: str | None = None
        self._is_draining = threading.Event()
        self._closing = threading.Event()
        self._found = threading.Event()
        self._known = {job.id for job in cluster.jobs()}
        self._thread = threading.Thread(target=self._watch, name="flink job", daemon=True)
        self.id = ""
        self.is_stopped_in_the_middle = False
        self.has_told_its_end: Callable[[], bool] = lambda: True

    @property
    def is_here(self) -> bool:
        """Whether its workers see the files of this machine."""
        return self._target.is_here or self._target.is_loopback

    @property
    def has_begun_again(self) -> bool:
        """Whether the job has gone on from a checkpoint or savepoint, at which what it counts begins at zero."""
        return self._is_resumed or bool(self._failures)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def death(self, _: float) -> str | None:
        """Return why the job has failed for good, None while it has not."""
        return self._failure

    def drain(self) -> None:
        """Ask the readers to end. Safe in a signal handler."""
        self._is_draining.set()
        if self._target.is_loopback:
            drain.drain()
        elif self._drain_file is not None:
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self._drain_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))

    def await_start(self) -> str:
        """Wait until the job runs and return its id.

        Raises:
            RuntimeError: it does not.
        """
        if not self._found.wait(_START_SECONDS):
            raise RuntimeError(f"no job {self._name} on {self._cluster.master} after {_START_SECONDS:.0f} s")
        return self.id

    def close(self) -> None:
        """Look no longer."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()

    def cancel(self) -> str:
        """Stop the job at once, if there is one that has not ended, and return what became of it, empty if none is.

        Raises:
            FlinkError: it does not end, or nobody answers.
        """
        if not self.id:
            self._find()
        return f"job {self.id} is {self._cluster.cancel(self.id)}" if self.id else ""

    def _watch(self) -> None:
        ends, told = 0, 0.0
        while not self._closing.wait(_LOOK_SECONDS):
            try:
                if not self.id and not self._find():
                    continue
                state = self._cluster.state(self.id)
                if state in ENDED:
                    return
                if state == "RUNNING":
                    board.set_moment(board.RUNS)
                self._look_for_failures()
                if self._failure is not None:
                    self._cluster.cancel(self.id)
                    return
                if self._is_draining.is_set() and self._drain_file is None and not self._target.is_loopback:
                    path = self._cluster.savepoint(self.id, is_last=True)
                    self.is_stopped_in_the_middle = True
                    self._note(f"stopped with a savepoint, which has the open windows: --savepoint_path={path} goes on")
                    return
                if time.monotonic() >= told + _TELL_SECONDS:
                    told = time.monotonic()
                    board.set_counts(self._cluster.counters(self.id, NAMESPACE))
                ends = ends + 1 if self._cluster.is_read_to_its_end(self.id) else 0
                if (
                    ends > 1 and self.has_told_its_end()
                ):  # a worker that has just begun again may tell of its former life
                    self._end()
                    return
            except FlinkError as error:
                if self.id and self._has_gone():
                    self._failure = str(error)
                    return

    def _has_gone(self) -> bool:
        """Tell whether the cluster answers and knows nothing of the job: it was started anew."""
        with contextlib.suppress(FlinkError):
            return self.id not in {job.id for job in self._cluster.jobs()}
        return False

    def _find(self) -> bool:
        found = [job for job in self._cluster.jobs() if job.name == self._name and job.id not in self._known]
        if found:
            self.id = found[0].id
            board.set_moment(board.RUNS)
            self._found.set()
        return bool(found)

    def _look_for_failures(self) -> None:
        for moment, stack in self._cluster.failures(self.id):
            reason = explain(RuntimeError(stack))
            moments = self._failures.setdefault(reason, set())
            moments.add(moment)
            # A worker that was killed is no error of the pipeline's, however often it is told of.
            is_ours = _TRACEBACK in stack
            if _PERMANENT.search(stack) or (is_ours and len(moments) >= _SAME_FAILURES):
                self._failure = reason

    def _end(self) -> None:
        try:
            path = self._cluster.savepoint(self.id, is_last=True)
        except FlinkError:  # no place for savepoints, say
            self._cluster.cancel(self.id)
            return
        with contextlib.suppress(FlinkError):
            self._cluster.remove_savepoint(path)


@contextlib.contextmanager
def flink_job(
    options: StreamOptions, target: FlinkTarget, folder: Path, note: Callable[[str], None]
) -> Iterator[FlinkJobWatch]:
    """Make ready what a job on Flink takes: a job server, the address of workers; watch the job as long as this lasts.

    A job that has not ended is cancelled at the end, unless the user has it go on without us.

    Raises:
        UsageError: the cluster does not answer, or there is no job server.
        RuntimeError: the job server does not start.
    """
    portable = options.view_as(PortableOptions)
    cluster = FlinkCluster(target.master)
    try:
        cluster.check()
        registered = find_registration(target.master)
        name = options.view_as(GoogleCloudOptions).job_name
        file = drain_file(name, target)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.unlink(missing_ok=True)
        is_resumed = any(flag.startswith("--savepoint_path") for flag in options.beam_flags)
        watch = FlinkJobWatch(cluster, name, target, file, note, is_resumed=is_resumed)
    except FlinkError as error:
        raise UsageError(str(error)) from None
    if registered is not None and portable.environment_config == BESIDE:
        portable.environment_config = registered.environment_config
    with contextlib.ExitStack() as stack:
        if not portable.job_endpoint:
            portable.job_endpoint = (
                registered.job_endpoint
                if registered is not None
                else stack.enter_context(running_job_server(options, target.master, cluster.version, folder, note))
            )
        watch.start()
        try:
            yield watch
        except BaseException:
            stack.callback(_cancel, watch, note)
            raise
        finally:
            watch.close()
            if not options.detach:
                _remove(file)


def _remove(path: Path | None) -> None:
    if path is not None:
        path.unlink(missing_ok=True)


def _cancel(watch: FlinkJobWatch, note: Callable[[str], None]) -> None:
    with contextlib.suppress(FlinkError):
        told = watch.cancel()
        if told:
            note(told)
