"""Running a pipeline for a person: the right runner, progress, Ctrl-C, a summary that balances, one-line errors."""

from __future__ import annotations

import contextlib
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import grpc
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import DirectOptions, PortableOptions, StandardOptions, WorkerOptions
from apache_beam.runners.runner import PipelineResult, PipelineState

from pipelines.runtime.columns_told import tell_columns
from pipelines.runtime.job_server import watched_job_server
from pipelines.runtime.logs import showing_messages
from pipelines.runtime.memory import keep_freed_memory
from pipelines.runtime.options import StreamOptions, UsageError
from pipelines.runtime.prism import HOW_TO_GET, find_prism
from pipelines.runtime.prism_server import running_prism
from pipelines.runtime.program import quiet_threads
from pipelines.runtime.progress_line import Progress, summary
from pipelines.runtime.run_folder import run_folder
from pipelines.runtime.signals import Signals
from pipelines.runtime.verdict import find_faults, is_all_lost, tell_rejected, tell_unread
from pipelines.runtime.worker_pool import private_worker_pools
from pipelines.runtime.written import NAMESPACE as WRITTEN
from pipelines.runtime.written import LineFiles, check_results, thrown_away, where_written
from schemas.record_type import RecordForm
from sinks.files.atomic import SinkError
from sources import drain
from sources import progress as board
from transforms.counting import COUNTS, NAMESPACE, READ, REJECTED
from transforms.untyped.column_counts import NAMESPACE as COLUMNS

OK, FAILED, USAGE = 0, 1, 2
#: A year: the job server's own limit of 300 s would end a live job.
_JOB_SERVER_TIMEOUT_SECONDS = 31_536_000
#: How long after its connections have broken a runner is seen to have ended, at most.
_DEATH_SECONDS = 1.0
#: How often the main thread looks what there is to show.
_LOOK_SECONDS = 0.1
#: Runners that hold back every window until the end of the input.
_HOLDING_RUNNERS = ("FnApiRunner", "BundleBasedDirectRunner", "SwitchingDirectRunner")
_LOCAL_RUNNERS = ("DirectRunner", "PrismRunner", "FnApiRunner")
_CAUSE = re.compile(r"^(?:[A-Za-z_]\w*\.)*([A-Za-z_]\w*(?:Error|Exception|Exhausted)): (.+)$", re.MULTILINE)
#: What Prism says of a panic that it survives, less the stage, with all its fields, and the stack of Go behind it.
_PANIC = re.compile(r"\b(panic in .+?|pipeline panicked: .+?)(?:, stage: |$)", re.MULTILINE)
_WHERE = re.compile(r"\s*\[while running '[^']*'\]")

Build = Callable[[beam.Pipeline], None]


def run(options: StreamOptions, build: Build, total_bytes: int | None, form: RecordForm) -> int:
    """Builds and runs a pipeline and gives the exit status.

    It is 0, 1 if the pipeline failed, 2 for wrong usage, 130 after Ctrl-C and 143 after SIGTERM. The first of these two
    drains: readers end, open windows are written, the summary is printed. A second one stops at once.

    A run fails, too, if it came to its end and :func:`pipelines.runtime.verdict.find_faults` finds one.

    Args:
        options: what was asked for.
        build: applies the transforms.
        total_bytes: how much there is to read, for the progress line; None where nobody knows.
        form: how records are written, so that it can be said what they are not.
    """
    board.reset()
    board.watch()
    drain.reset()
    keep_freed_memory()
    progress = Progress(quiet=options.quiet, total_bytes=total_bytes)
    level = options.view_as(WorkerOptions).default_sdk_harness_log_level
    with Signals() as signals, quiet_threads(), showing_messages(progress.note, level):
        try:
            with run_folder() as folder, _runner(options, progress, folder) as runner:
                signals.check()
                with contextlib.closing(_Job(options, build, progress, signals, runner, form)) as job:
                    return job.run()
        except UsageError as error:
            return refuse(error)
        except RuntimeError as error:
            return _fail(str(error))
        except KeyboardInterrupt:
            progress.clear()
            if signals.count > 1:
                print(thrown_away(board.counts(), options), file=sys.stderr, flush=True)
            return signals.status


class _Runner(NamedTuple):
    """What runs the pipeline.

    Attributes:
        is_local: whether the work is done in this process.
        death: why the runner has ended, or None if it has not; it is given the seconds to wait for that.
    """

    is_local: bool
    death: Callable[[float], str | None] = lambda _: None


@contextlib.contextmanager
def _runner(options: StreamOptions, progress: Progress, folder: Path) -> Iterator[_Runner]:
    """Chooses the runner and sets it up.

    A bounded replay runs on FnApiRunner, which is in this process and starts at once. Whatever needs results before the
    input ends runs on Prism.
    """
    standard, portable = options.view_as(StandardOptions), options.view_as(PortableOptions)
    asked = _runner_name(standard.runner or "DirectRunner")
    if asked in _HOLDING_RUNNERS and options.needs_clock:
        raise UsageError(f"{asked} would hold back every window; use --runner=DirectRunner and {HOW_TO_GET}")
    _refuse_open_doors(options)
    if not is_local(options):
        if portable.environment_type != "LOOPBACK" and any(
            out.url and out.url.password for out in options.destinations
        ):
            raise UsageError(
                f"a password in an --output stays in this process, and the workers of {asked} are elsewhere: "
                "leave it out, and give them PGPASSWORD or PGPASSFILE"
            )
        portable.job_server_timeout = _JOB_SERVER_TIMEOUT_SECONDS
        with contextlib.ExitStack() as stack:
            stack.enter_context(private_worker_pools(None))
            runner = _Runner(asked in _HOLDING_RUNNERS)
            if portable.job_endpoint:
                runner = runner._replace(death=stack.enter_context(watched_job_server(portable.job_endpoint)))
            yield runner
    elif asked == "FnApiRunner" or (asked == "DirectRunner" and not options.needs_clock):
        standard.runner = "FnApiRunner"
        yield _Runner(is_local=True)
    else:
        binary = find_prism(options, progress.note)
        if binary is None:
            why = "live input needs Prism, or no window would come out before the end" if options.needs_clock else asked
            raise UsageError(f"{why}: {HOW_TO_GET}")
        # Workers elsewhere, in a container say, cannot open a socket of this machine.
        place = folder if portable.environment_type in {None, "LOOPBACK"} else None
        with running_prism(binary, place, progress.note) as prism, private_worker_pools(folder):
            standard.runner = "PrismRunner"
            portable.job_endpoint = prism.endpoint
            portable.job_server_timeout = _JOB_SERVER_TIMEOUT_SECONDS
            yield _Runner(is_local=True, death=prism.death)


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
    """Gives the name of a runner as Beam spells it: ``directrunner``, ``Direct`` and full names are known, too."""
    bare = text.rpartition(".")[2].lower()
    known = {name.lower(): name for name in StandardOptions.KNOWN_RUNNER_NAMES}
    found = known.get(bare) or known.get(f"{bare}runner")
    if found is None and "." not in text:
        raise UsageError(f"unknown runner {text!r}: expected DirectRunner, PrismRunner, FlinkRunner, ...")
    return found or text


class _Job:
    """One run, its thread, and what the terminal sees of it."""

    def __init__(
        self,
        options: StreamOptions,
        build: Build,
        progress: Progress,
        signals: Signals,
        runner: _Runner,
        form: RecordForm,
    ) -> None:
        self._options = options
        self._form = form
        self._progress = progress
        self._signals = signals
        self._build = build
        self._runner = runner
        self._done = threading.Event()
        self._result: Any = None
        self._lines = LineFiles()
        self._failure: BaseException | None = None

    def run(self) -> int:
        """Runs to the end."""
        began = time.monotonic()
        progress = self._progress
        thread = threading.Thread(target=self._work, name="pipeline", daemon=True)
        self._signals.on_first = self._end
        thread.start()
        is_noted = False
        while not self._done.wait(_LOOK_SECONDS):
            self._signals.check()
            if self._signals.count and not is_noted:
                is_noted = True
                progress.note("draining: open windows are being written; again to stop at once")
            self._end_if_too_many_are_rejected()
            self._show_notes()
            progress.show()
            death = self._runner.death(0)
            if death:
                break
        else:
            death = self._runner.death(_DEATH_SECONDS) if isinstance(self._failure, grpc.RpcError) else None
        if death:
            self._failure = RuntimeError(death)
        self._signals.on_first = None
        progress.clear()
        self._show_notes()
        counts = self._counters(NAMESPACE, COUNTS)
        progress.note(summary(counts, time.monotonic() - began))
        self._tell_rejected(counts)
        if self._failure is not None:
            return _fail(explain(self._failure))
        if counts["read"] != sum(counts[name] for name in COUNTS if name != "read"):
            return _fail("the counts do not balance; please report this")
        files = self._counters(WRITTEN, [output.path for output in self._options.outputs])
        try:
            check_results(self._options, files)
            self._lines.look()
            if not self._signals.count and not board.failures():
                self._lines.finish(is_all_lost=is_all_lost(counts))
        except SinkError as error:
            return _fail(str(error))
        self._show_notes()
        for line in where_written(self._options, files, counts, self._lines):
            progress.note(line)
        self._tell_columns()
        if not (counts[READ] or board.failures()):
            progress.note(tell_unread([address.text for address in self._options.inputs]))
        faults = find_faults(counts, self._options.rejected_limit, self._form)
        if faults or board.failures():
            return _fail("; ".join([*board.failures(), *faults]))
        return self._signals.status if self._signals.count else OK

    def close(self) -> None:
        """Lets go of the files that were written to."""
        self._lines.let_go()

    def _end_if_too_many_are_rejected(self) -> None:
        """Drains a live job that has failed already, which might go on for ever; a replay writes all that it has."""
        limit, options = self._options.rejected_limit, self._options
        if limit is None or not (self._runner.is_local and options.needs_clock) or drain.draining():
            return
        if limit.is_exceeded_for_good(board.counts()[REJECTED]):
            self._progress.note(f"draining: more records were rejected than --max-rejected {limit} allows")
            drain.drain()

    def _tell_rejected(self, counts: Counter[str]) -> None:
        """Shows the first rejected record; of a run in which all was lost, the first ones, even if it is quiet."""
        is_all = is_all_lost(counts)
        for line in tell_rejected(board.first_rejected(), counts[REJECTED], self._options.rejected, is_all=is_all):
            self._progress.note(line, is_due=is_all)

    def _tell_columns(self) -> None:
        """Shows which columns were left out, or asked for in vain."""
        for line in tell_columns(self._counters(COLUMNS, [])):
            self._progress.note(line, is_due=True)

    def _show_notes(self) -> None:
        for line in board.take_notes():
            self._progress.note(line)

    def _work(self) -> None:
        try:
            pipeline = beam.Pipeline(options=self._options)
            self._build(pipeline)
            self._lines.hold(pipeline, self._options.destinations)
            self._result = pipeline.run()
            state = self._result.wait_until_finish()
            if state != PipelineState.DONE:
                raise RuntimeError(f"the job ended as {state}")
        except BaseException as error:  # noqa: BLE001 (whatever it was, the main thread has to tell it)
            self._failure = error
        finally:
            self._done.set()

    def _end(self) -> None:
        """Drains the readers of this process; a job elsewhere can only be cancelled."""
        if self._runner.is_local:
            drain.drain()
        elif isinstance(self._result, PipelineResult):
            threading.Thread(target=self._result.cancel, daemon=True).start()
        else:
            raise KeyboardInterrupt

    def _counters(self, namespace: str, names: Sequence[str]) -> Counter[str]:
        """Return what Beam's metrics have counted, or this process where that is more.

        A job that failed may have no metrics, and Prism (2.77) leaves out those of bundles that end late on a busy
        machine, though it has their results. Where the work is done elsewhere this process has counted nothing.
        """
        counts: Counter[str] = Counter()
        try:
            found = self._result.metrics().query(MetricsFilter().with_namespace(namespace))["counters"]
        except Exception:  # noqa: BLE001 (a job that failed may have no metrics, or no server to ask)
            found = []
        for metric in found:
            counts[metric.key.metric.name] += max(metric.committed or 0, metric.attempted or 0)
        here = board.counts()
        return Counter({name: max(counts[name], here[name]) for name in {*counts, *names}})


def _fail(reason: str) -> int:
    print(f"failed: {reason}", file=sys.stderr, flush=True)
    return FAILED


def explain(failure: BaseException) -> str:
    """Gives one line that says why a pipeline failed, out of what a runner makes of it."""
    if isinstance(failure, grpc.RpcError) and isinstance(failure, grpc.Call):
        return f"the runner no longer answers: {failure.details()}"
    text = _WHERE.sub("", str(failure))
    causes = _CAUSE.findall(text)
    if causes:
        return str(causes[-1][1]).strip()
    if text.startswith("Unable to translate") and failure.__cause__ is not None:
        return f"{text}: {explain(failure.__cause__)}"
    panic = _PANIC.search(text)
    if panic is not None:
        return f"Prism: {panic[1]}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else type(failure).__name__


def refuse(error: UsageError) -> int:
    """Says what is wrong with the command line, in one line, and gives the exit status for that."""
    print(f"wrong usage: {error}", file=sys.stderr, flush=True)
    return USAGE
