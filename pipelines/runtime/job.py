"""A pipeline that runs, and what the terminal sees of it."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.metrics import MetricsFilter
from apache_beam.runners.runner import PipelineResult, PipelineState

from pipelines.runtime.columns_told import tell_columns
from pipelines.runtime.failures import explain
from pipelines.runtime.monitoring.health import DRAINING, ENDING, RUNNING
from pipelines.runtime.options import StreamOptions
from pipelines.runtime.progress_line import Progress, summary
from pipelines.runtime.runners import Runner
from pipelines.runtime.signals import Signals
from pipelines.runtime.summary import Summary
from pipelines.runtime.verdict import find_faults, is_all_lost, tell_rejected, tell_unread
from pipelines.runtime.written import NAMESPACE as WRITTEN
from pipelines.runtime.written import LineFiles, check_results, where_written
from schemas.forms.form import Form
from schemas.object_path import is_remote
from schemas.text.readable import readable_lines
from sinks.console.screen import finish_screens
from sinks.files.atomic import SinkError
from sources import drain
from sources import progress as board
from transforms.counting import COUNTS, NAMESPACE, READ, REJECTED
from transforms.untyped.column_counts import NAMESPACE as COLUMNS

OK, FAILED, USAGE = 0, 1, 2
#: How long after its connections have broken a runner is seen to have ended, at most.
_DEATH_SECONDS = 1.0
#: How often the main thread looks what there is to show.
_LOOK_SECONDS = 0.1

_COUNTS_OF_A_PART = (
    "the job went on from a checkpoint or savepoint, and the counts above are those since then: what became of all "
    "records is not known here; give --summary PATH, of a place that the workers and this process share"
)

Build = Callable[[beam.Pipeline], None]


class Job:
    """One run, its thread, and what the terminal sees of it."""

    def __init__(
        self,
        options: StreamOptions,
        build: Build,
        progress: Progress,
        signals: Signals,
        runner: Runner,
        form: Form,
        summary: Summary | None = None,
    ) -> None:
        self._options = options
        self._summary = summary
        self._form = form
        self._progress = progress
        self._signals = signals
        self._build = build
        self._runner = runner
        job = runner.job
        if summary is not None and job is not None and (is_remote(summary.path) or (summary.path and job.is_here)):
            job.has_told_its_end = lambda: summary.read() is not None
        self._done = threading.Event()
        self._result: Any = None
        self._lines = LineFiles()
        self._failure: BaseException | None = None

    def run(self) -> int:
        """Run to the end."""
        began = time.monotonic()
        progress = self._progress
        self._await_end()
        counts = self._counters(NAMESPACE, COUNTS)
        if self._options.detach and self._failure is None and self._runner.job is not None:
            print(self._runner.job.id, flush=True)
            return OK
        whole = self._whole_counts()
        counts = whole or counts
        progress.note(summary(counts, time.monotonic() - began))
        self._tell_rejected(counts)
        if self._failure is not None:
            return fail(explain(self._failure))
        is_part = whole is None and self._runner.job is not None and self._runner.job.has_begun_again
        if wrong := self._find_imbalance(counts, is_told=whole is not None, is_part=is_part):
            return fail(wrong)
        files = self._counters(WRITTEN, [output.path for output in self._options.outputs])
        try:
            check_results(self._options, files)
            self._lines.look()
            if not self._signals.count and not board.failures():
                self._lines.finish(is_all_lost=is_all_lost(counts))
        except SinkError as error:
            return fail(str(error))
        self._show_notes()
        for line in where_written(self._options, files, counts, self._lines):
            progress.note(line)
        self._tell_columns()
        if not (counts[READ] or board.failures() or is_part):
            progress.note(tell_unread([address.text for address in self._options.inputs]))
        faults = find_faults(counts, self._options.rejected_limit, self._form)
        if is_part and not self._is_stopped_elsewhere():
            faults.append(_COUNTS_OF_A_PART)
        if faults or board.failures():
            return fail("; ".join([*board.failures(), *faults]))
        return self._signals.status if self._signals.count else OK

    def _find_imbalance(self, counts: Counter[str], *, is_told: bool, is_part: bool) -> str:
        """Return what is wrong with the counts, empty if nothing is; those of a part of the job need not add up."""
        if self._summary is not None and self._summary.path and not (is_told or self._is_stopped_elsewhere()):
            where = f" in {self._options.summary}" if self._options.summary else ""
            return f"the job has ended before its end: it has not told what became of all records{where}"
        if not is_part and counts[READ] != sum(counts[name] for name in COUNTS if name != READ):
            return "the counts do not balance; please report this"
        return ""

    def _whole_counts(self) -> Counter[str] | None:
        """Return what became of all records, of this run and of what it went on from; None where nobody has told."""
        if self._summary is None or self._failure is not None:
            return None
        return self._summary.read()

    def _is_stopped_elsewhere(self) -> bool:
        """Tell whether the job was stopped in the middle, with its state, the sums of what it has counted among it."""
        job = self._runner.job
        return job is not None and job.is_stopped_in_the_middle

    def _await_end(self) -> None:
        """Start the thread, and show what there is to see until the job or its runner has ended."""
        progress = self._progress
        thread = threading.Thread(target=self._work, name="pipeline", daemon=True)
        self._signals.on_first = self._end
        board.set_state(RUNNING)
        thread.start()
        is_noted = False
        while not self._done.wait(_LOOK_SECONDS):
            self._signals.check()
            if self._signals.count and not is_noted:
                is_noted = True
                board.set_state(DRAINING)
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
        board.set_state(ENDING)
        progress.clear()
        with contextlib.suppress(SinkError):  # nobody reads it any longer, which is no failure of the job
            finish_screens()
        self._show_notes()

    def close(self) -> None:
        """Let go of the files that were written to."""
        self._lines.let_go()

    def _end_if_too_many_are_rejected(self) -> None:
        """Drain a live job that has failed already, which might go on for ever; a replay writes all that it has."""
        limit, options = self._options.rejected_limit, self._options
        if limit is None or not (self._runner.is_local and options.needs_clock) or drain.draining():
            return
        if limit.is_exceeded_for_good(board.counts()[REJECTED]):
            board.set_state(DRAINING)
            self._progress.note(f"draining: more records were rejected than --max-rejected {limit} allows")
            drain.drain()

    def _tell_rejected(self, counts: Counter[str]) -> None:
        """Show the first rejected record; of a run in which all was lost, the first ones, even if it is quiet."""
        is_all = is_all_lost(counts)
        for line in tell_rejected(board.first_rejected(), counts[REJECTED], self._options.rejected, is_all=is_all):
            self._progress.note(line, is_due=is_all)

    def _tell_columns(self) -> None:
        """Show which columns were left out, or asked for in vain."""
        for line in tell_columns(self._counters(COLUMNS, [])):
            self._progress.note(line, is_due=True)

    def _show_notes(self) -> None:
        for line in board.take_notes():
            self._progress.note(line)

    def _work(self) -> None:
        try:
            pipeline = beam.Pipeline(options=self._options.beam)
            self._build(pipeline)
            if self._summary is not None:
                self._summary.add_to(pipeline)
                self._summary.begin()
            if self._runner.job is None or self._runner.job.is_here:
                self._lines.hold(pipeline, self._options.destinations)
            self._result = pipeline.run()
            if self._options.detach and self._runner.job is not None:
                self._runner.job.await_start()
                return
            state = self._result.wait_until_finish()
            if state != PipelineState.DONE:
                raise RuntimeError(f"the job ended as {state}")
        except BaseException as error:  # noqa: BLE001 (whatever it was, the main thread has to tell it)
            self._failure = error
        finally:
            self._done.set()

    def _end(self) -> None:
        """Drain the readers of this process; a job elsewhere can only be cancelled."""
        if self._runner.is_local:
            drain.drain()
        elif self._runner.job is not None:
            self._runner.job.drain()
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


def fail(reason: str) -> int:
    """Print why a run has failed, in one line, and return the exit status for that."""
    print(f"failed: {readable_lines(reason)}", file=sys.stderr, flush=True)
    return FAILED
