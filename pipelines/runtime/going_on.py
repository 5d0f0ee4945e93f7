"""Whether a run can go on where an earlier one got to: what was committed of topics is all that there is of it."""

from __future__ import annotations

from apache_beam.options.pipeline_options import StandardOptions

from pipelines.runtime.options import StreamOptions, UsageError
from pipelines.runtime.runners import is_local
from sources.kafka.settings import COMMITTED


def check_going_on(options: StreamOptions, *, sums_up: bool) -> None:
    """See that ``--from committed`` goes on exactly, on a runner that keeps nothing from one run to the next.

    What was committed of a topic was written to the outputs; that holds for records that are written one by one, and
    for one source alone. Totals would begin anew, with the new messages only, and take the place of the earlier ones.

    Args:
        options: what was asked for.
        sums_up: whether a result is made of several records.

    Raises:
        UsageError: it would not; the line says what to do.
    """
    if options.start != COMMITTED or not is_local(options):
        return
    runner = options.view_as(StandardOptions).runner or "DirectRunner"
    if sums_up:
        raise UsageError(
            f"--from committed reads what is new, and {runner} does not know the totals of the last run: leave it out, "
            "to read the topic from its beginning, or run on Flink and go on from a savepoint (--runner=FlinkRunner)"
        )
    clusters = {tuple(sorted(address.host.split(","))) for address in options.inputs}
    is_limited = bool(options.max_records) and len(options.inputs) > 1
    if len(clusters) > 1 or is_limited or any(address.scheme != "kafka" for address in options.inputs):
        raise UsageError(
            "--from committed goes on exactly where one cluster of Kafka is all the input: name its topics together, "
            "kafka://host:port/a,b, and read other input by a run of its own"
        )
