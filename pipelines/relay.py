"""Records from anywhere to anywhere, one by one: in order, paced or as they come, all of them or some.

    python -m pipelines.relay --input my.csv --output out9.txt --interval 1..3
    python -m pipelines.relay --input my.csv --where "price > 3" --format "{time}: {item} at {price}"
    python -m pipelines.relay --input udp-listen://:9000 --output tcp://127.0.0.1:9001 log.txt

Records leave as they came, unless --columns, --as or --format says otherwise.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import apache_beam as beam

from pipelines.relay_plan import Plan, plan
from pipelines.runtime.lines_out import check_headers, check_line_outputs, line_files, write_lines
from pipelines.runtime.options import StreamOptions, UsageError, parse_command_line
from pipelines.runtime.positions import Keeper, check_positions, keeping, status_of
from pipelines.runtime.program import run_program
from pipelines.runtime.results_out import write_records
from pipelines.runtime.run import refuse, run
from sinks.lines.render import STYLES
from transforms.untyped.fields import ReadFields
from transforms.untyped.infer_schema import FORMS


class RelayOptions(StreamOptions):
    """The shared options, and those of this pipeline."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("relay: what comes in")
        group.add_argument(
            "--read-as",
            dest="form",
            choices=FORMS,
            help="how records are written (default: JSON lines where a file ends in .jsonl or .ndjson, else delimited; "
            "live input is not looked into, unless --names or this says what it is)",
        )
        group.add_argument(
            "--names",
            metavar="A,B,C",
            help="the columns, where no header row of a file tells them; price:number for one of numbers",
        )
        group.add_argument("--time", metavar="COLUMN", help="the column with the event time, for --speed")
        group.add_argument(
            "--sequence", metavar="COLUMN", help="the column of sequence numbers: gaps in UDP are counted"
        )
        group.add_argument("--loop", action="store_true", help="begin again at the end of the files, without end")
        group = parser.add_argument_group("relay: what goes out")
        group.add_argument("--key", metavar="COLUMN", help="the column whose text is the key of messages in Kafka")
        group.add_argument("--columns", metavar="A,B", help="only these columns, in this order")
        group.add_argument("--where", metavar="SQL", help='only the records that meet a condition, as "price > 3"')
        group.add_argument("--as", dest="style", choices=STYLES, help="how to write them (default: by the output)")
        group.add_argument("--format", metavar="TEXT", help='a line of text for each, as "{time}: {item} at {price}"')

    @property
    def needs_clock(self) -> bool:
        """Whether records are due while others still come: a loop has no end to wait for."""
        return bool(self._get("loop")) or super().needs_clock


def build(pipeline: beam.Pipeline, options: RelayOptions, plan: Plan) -> None:
    """Reads, picks, writes."""
    fields = ReadFields(
        plan.shape.record_type, plan.columns, shape=plan.shape, condition=plan.condition, watch=plan.watch
    )
    parsed = pipeline | "ReadRecords" >> plan.read | "ReadFields" >> fields
    write_lines(parsed["records"], options, plan.layouts, key=plan.key)
    write_records(parsed["rejected"], options.rejected, "WriteRejected", options)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the pipeline and gives the exit status."""
    options = parse_command_line(RelayOptions, "python -m pipelines.relay", __doc__, argv)
    try:
        if options.output is None:
            options.output = ["-"]
        check_positions(options, is_loop=bool(options.loop))
        planned = plan(options)
        check_line_outputs(options)
        check_headers(options, planned.layouts)
        files = line_files(options, planned.layouts)
        keeper = Keeper(options, planned.read, files, "relay") if options.positions else None
    except UsageError as error:
        return refuse(error)
    form = planned.shape.record_type.form
    with keeping(keeper):
        status = run(options, lambda pipeline: build(pipeline, options, planned), planned.total_bytes, form)
    return status_of(status, keeper)


if __name__ == "__main__":
    run_program(main)
