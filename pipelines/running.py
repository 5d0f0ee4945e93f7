"""Running a pipeline for a person: the right runner, progress, Ctrl-C, a summary that balances, one-line errors."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PortableOptions, StandardOptions
from apache_beam.runners.runner import PipelineResult, PipelineState

from pipelines.options import StreamOptions, UsageError
from pipelines.prism import HOW_TO_GET, find_prism, running_prism
from pipelines.progress import Progress, summary
from sources import board, drain
from transforms.counting import COUNTS, NAMESPACE

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
#: A year: the job server's own limit of 300 s would end a live job.
_JOB_SERVER_TIMEOUT_SECONDS = 31_536_000
#: Runners that hold back every window until the end of the input.
_HOLDING_RUNNERS = ("FnApiRunner", "BundleBasedDirectRunner", "SwitchingDirectRunner")
_LOCAL_RUNNERS = ("DirectRunner", "PrismRunner", "FnApiRunner")
_CAUSE = re.compile(r"^(?:[A-Za-z_]\w*\.)*([A-Za-z_]\w*(?:Error|Exception|Exhausted)): (.+)$", re.MULTILINE)
_WHERE = re.compile(r"\s*\[while running '[^']*'\]")

Build = Callable[[beam.Pipeline], None]


def run(options: StreamOptions, build: Build, total_bytes: int | None = None) -> int:
    """Builds and runs a pipeline and gives the exit status: 0, 1 if it failed, 2 for wrong usage, 130 after Ctrl-C.

    The first Ctrl-C drains: readers end, open windows are written, the summary is printed. A second one stops at once.

    Args:
        options: what was asked for.
        build: applies the transforms.
        total_bytes: how much there is to read, for the progress line; None where nobody knows.
    """
    board.reset()
    drain.reset()
    try:
        with _runner(options) as is_local:
            return _Job(options, build, Progress(quiet=options.quiet, total_bytes=total_bytes), is_local=is_local).run()
    except UsageError as error:
        return refuse(error)
    except RuntimeError as error:
        print(f"failed: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


@contextlib.contextmanager
def _runner(options: StreamOptions) -> Iterator[bool]:
    """Chooses the runner and sets it up; gives whether the work is done in this process.

    A bounded replay runs on FnApiRunner, which is in this process and starts at once. Whatever needs results before the
    input ends runs on Prism.
    """
    standard, portable = options.view_as(StandardOptions), options.view_as(PortableOptions)
    asked = (standard.runner or "DirectRunner").rpartition(".")[2]
    if asked not in _LOCAL_RUNNERS or portable.job_endpoint:
        if asked in _HOLDING_RUNNERS and options.needs_clock:
            raise UsageError(f"{asked} would hold back every window; use --runner=DirectRunner and {HOW_TO_GET}")
        portable.job_server_timeout = _JOB_SERVER_TIMEOUT_SECONDS
        yield asked in _HOLDING_RUNNERS
        return
    if asked == "FnApiRunner" or (asked == "DirectRunner" and not options.needs_clock):
        if options.needs_clock:
            raise UsageError(f"{asked} would hold back every window; use --runner=DirectRunner and {HOW_TO_GET}")
        standard.runner = "FnApiRunner"
        yield True
        return
    binary = find_prism(options, may_download=True)
    if binary is None:
        raise UsageError(f"live input needs Prism, or no window would come out before the end: {HOW_TO_GET}")
    with running_prism(binary) as endpoint:
        standard.runner = "PrismRunner"
        portable.job_endpoint = endpoint
        portable.job_server_timeout = _JOB_SERVER_TIMEOUT_SECONDS
        yield True


class _Job:
    """One run, its thread, and what the terminal sees of it."""

    def __init__(self, options: StreamOptions, build: Build, progress: Progress, *, is_local: bool) -> None:
        self._options = options
        self._progress = progress
        self._build = build
        self._is_local = is_local
        self._done = threading.Event()
        self._result: Any = None
        self._failure: BaseException | None = None
        self._interrupts = 0

    def run(self) -> int:
        """Runs to the end."""
        began = time.monotonic()
        progress = self._progress
        thread = threading.Thread(target=self._work, name="pipeline", daemon=True)
        with self._handling_interrupts():
            thread.start()
            while not self._done.wait(progress.seconds):
                progress.show()
        progress.clear()
        counts = self._counts()
        if not self._options.quiet:
            print(summary(counts, time.monotonic() - began), file=sys.stderr, flush=True)
        if self._failure is not None:
            print(f"failed: {explain(self._failure)}", file=sys.stderr, flush=True)
            return FAILED
        if counts["read"] != sum(counts[name] for name in COUNTS if name != "read"):
            print("failed: the counts do not balance; please report this", file=sys.stderr, flush=True)
            return FAILED
        return INTERRUPTED if self._interrupts else OK

    def _work(self) -> None:
        try:
            pipeline = beam.Pipeline(options=self._options)
            self._build(pipeline)
            self._result = pipeline.run()
            state = self._result.wait_until_finish()
            if state != PipelineState.DONE:
                raise RuntimeError(f"the job ended as {state}")
        except BaseException as error:  # noqa: BLE001 (whatever it was, the main thread has to tell it)
            self._failure = error
        finally:
            self._done.set()

    @contextlib.contextmanager
    def _handling_interrupts(self) -> Iterator[None]:
        handlers = {number: signal.signal(number, self._interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _interrupt(self, number: int, frame: Any) -> None:  # noqa: ARG002
        self._interrupts += 1
        if self._interrupts == 1 and self._is_local:
            drain.drain()
            note = "draining: open windows are being written; again to stop at once"
            print(f"\r\x1b[K{note}" if sys.stderr.isatty() else note, file=sys.stderr, flush=True)
            return
        if self._interrupts == 1 and isinstance(self._result, PipelineResult):
            threading.Thread(target=self._result.cancel, daemon=True).start()
            return
        # What the threads of the job have to say of its sudden end helps nobody.
        threading.excepthook = lambda _: None
        logging.disable()
        raise KeyboardInterrupt

    def _counts(self) -> dict[str, int]:
        """The counts by Beam's metrics; those of this process if there are none, for the job failed."""
        counts = dict.fromkeys(COUNTS, 0)
        try:
            found = self._result.metrics().query(beam.metrics.MetricsFilter().with_namespace(NAMESPACE))["counters"]
        except Exception:  # noqa: BLE001 (a job that failed may have no metrics, or no server to ask)
            found = []
        for metric in found:
            if metric.key.metric.name in counts:
                counts[metric.key.metric.name] += max(metric.committed or 0, metric.attempted or 0)
        if not any(counts.values()):
            counts.update({name: amount for name, amount in board.counts().items() if name in counts})
        return counts


def explain(failure: BaseException) -> str:
    """Gives one line that says why a pipeline failed, out of what a runner makes of it."""
    text = _WHERE.sub("", str(failure))
    causes = _CAUSE.findall(text)
    if causes:
        return str(causes[-1][1]).strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else type(failure).__name__


def refuse(error: UsageError) -> int:
    """Says what is wrong with the command line, in one line, and gives the exit status for that."""
    print(f"wrong usage: {error}", file=sys.stderr, flush=True)
    return USAGE


def leave(status: int) -> None:
    """Leaves the process without waiting for the threads of a job that was stopped."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
