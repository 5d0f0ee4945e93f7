"""Running a pipeline for a person: the right runner, progress, Ctrl-C, a summary that balances, one-line errors."""

from __future__ import annotations

import contextlib
import sys

from apache_beam.options.pipeline_options import WorkerOptions

from pipelines.runtime.job import USAGE, Build, Job, fail
from pipelines.runtime.logs import showing_messages
from pipelines.runtime.memory import keep_freed_memory
from pipelines.runtime.options import StreamOptions, UsageError
from pipelines.runtime.program import quiet_threads
from pipelines.runtime.progress_line import Progress
from pipelines.runtime.run_folder import run_folder
from pipelines.runtime.runners import chosen_runner
from pipelines.runtime.signals import Signals
from pipelines.runtime.summary import Summary
from pipelines.runtime.written import thrown_away
from schemas.forms.form import Form
from schemas.text.readable import readable_lines
from sources import drain
from sources import progress as board


def run(
    options: StreamOptions, build: Build, total_bytes: int | None, form: Form, summary: Summary | None = None
) -> int:
    """Build and run a pipeline and return the exit status.

    It is 0, 1 if the pipeline failed, 2 for wrong usage, 130 after Ctrl-C and 143 after SIGTERM. The first of these two
    drains: readers end, open windows are written, the summary is printed. A second one stops at once.

    A run fails, too, if it came to its end and :func:`pipelines.runtime.verdict.find_faults` finds one.

    Args:
        options: what was asked for.
        build: applies the transforms.
        total_bytes: how much there is to read, for the progress line; None where nobody knows.
        form: how records are written, so that it can be said what they are not.
        summary: what became of all records is to be there at the end; None where only metrics tell.
    """
    board.reset()
    board.watch()
    board.expect(total_bytes)
    drain.reset()
    keep_freed_memory()
    progress = Progress(quiet=options.quiet, total_bytes=total_bytes)
    level = options.view_as(WorkerOptions).default_sdk_harness_log_level
    with Signals() as signals, quiet_threads(), showing_messages(progress.note, level):
        try:
            with run_folder() as folder, chosen_runner(options, progress, folder) as runner:
                signals.check()
                with contextlib.closing(Job(options, build, progress, signals, runner, form, summary)) as job:
                    return job.run()
        except UsageError as error:
            return refuse(error)
        except RuntimeError as error:
            return fail(str(error))
        except KeyboardInterrupt:
            progress.clear()
            if signals.count > 1:
                print(thrown_away(board.counts(), options), file=sys.stderr, flush=True)
            return signals.status


def refuse(error: UsageError) -> int:
    """Say what is wrong with the command line, in one line, and return the exit status for that."""
    print(f"wrong usage: {readable_lines(str(error))}", file=sys.stderr, flush=True)
    return USAGE
