"""Where the money moves: totals of bank transfers per region, since the start of the stream and in the last minutes.

    python -m pipelines.credit
    python -m pipelines.credit --last 5m 1h --plot credit.png
    python -m pipelines.credit --input transfers.jsonl --output sqlite:///credit.db

Per region: the number of transfers, their sum, their mean, and the share of the whole; and which regions are the first
by each. A transfer without a time happened when it arrived.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence

import apache_beam as beam

from command_line.arguments import checked, positive
from pipelines.runtime.options import StreamOptions, UsageError, parse_command_line
from pipelines.runtime.program import run_program
from pipelines.runtime.results_out import check_outputs, open_input, write_records, write_results
from pipelines.runtime.run import refuse, run
from schemas.bank import TRANSFERS, read_regions
from schemas.times import format_duration, parse_duration
from sinks.chart import DrawFlow, check_plot
from sinks.console.ranked import PrintRanked
from sinks.output import Table
from sources.read import ReadAddresses
from transforms.aggregate.aggregate import Aggregate
from transforms.aggregate.aggregations import Count, Mean, Sum
from transforms.aggregate.sliding_windows import SlidingAggregate
from transforms.counting import CountUsed
from transforms.late import SplitLate
from transforms.parse.by_form import parse_as
from transforms.rank import Rank, Ranking
from transforms.reject_unknown import RejectUnknown
from transforms.share_of_total import AddShare
from transforms.windows import Windows

INPUT = "tcp://127.0.0.1:9999"
#: How often totals of a live stream are given, if nothing is said.
EMIT = "1s"
#: A window of the last minutes slides by such a part of its length.
STEPS = 10
KEY = "account_region"
COLUMNS = ("account_id", KEY, "transaction_value")
TOTALS = {"count": Count(), "sum": Sum("transaction_value"), "mean": Mean("transaction_value")}
SHOWN = (KEY, *TOTALS, "share")
#: On the console figures are rounded, in files and databases they are not.
SHOWN_PLACES = {"mean": 2, "share": 4}


class CreditOptions(StreamOptions):
    """The shared options, and those of this pipeline. The properties give them parsed."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("credit")
        group.add_argument(
            "--last",
            nargs="+",
            action="extend",
            default=[],
            type=checked(_last),
            metavar="TIME",
            help="also give the totals of the last 5m, say, which slide by a tenth of that; several may be given",
        )
        group.add_argument(
            "--top", default=3, type=positive, metavar="N", help="how many regions to rank by their mean (default: 3)"
        )
        group.add_argument(
            "--regions",
            type=checked(read_regions),
            metavar="FILE.toml",
            help="reject transfers of regions that are not in the table [regions] of this file (default: none)",
        )
        group.add_argument(
            "--plot", metavar="PATH", help="draw a chart into this .png or .svg file, anew with each totals"
        )

    @property
    def last_windows(self) -> list[Windows]:
        """The windows of ``--last``, the shortest first."""
        return sorted(set(map(_last, self._get("last"))), key=lambda windows: windows.length)

    @property
    def known_regions(self) -> tuple[str, ...]:
        """The regions that there are, or none where every name makes one."""
        path = self._get("regions")
        return tuple(read_regions(path)) if path else ()

    @property
    def rankings(self) -> tuple[Ranking, ...]:
        """Which regions are the first."""
        return Ranking("count", "count"), Ranking("volume", "sum"), Ranking("mean", "mean", self._get("top"))


def _last(text: str) -> Windows:
    length = parse_duration(text)
    if not length or length % STEPS:
        raise ValueError(f"expected a time of some {STEPS} us, got {text!r}")
    return Windows(length, length // STEPS)


def tables_of(windows: Windows) -> tuple[Table, Table]:
    """Gives how the totals of windows, and their ranks, are named."""
    if not windows.length:
        return Table("credit", (KEY,)), Table("credit_ranks", ("ranking", "rank"), "ranks")
    last = f"last-{format_duration(windows.length)}"
    name = f"credit_{last.replace('-', '_')}"
    return Table(name, (KEY,), last), Table(f"{name}_ranks", ("ranking", "rank"), f"{last}-ranks")


def total(transfers: beam.PCollection, options: CreditOptions, windows: Windows, name: str) -> beam.PCollection:
    """Total per region and window."""
    aggregate = (SlidingAggregate if windows.length else Aggregate)(
        by=(KEY,),
        values=TOTALS,
        windows=windows,
        emit_micros=options.emit_micros,
        lateness_micros=options.lateness_micros,
    )
    return transfers | f"Total {name}" >> aggregate | f"AddShare {name}" >> AddShare("sum")


def build(pipeline: beam.Pipeline, options: CreditOptions, read: ReadAddresses) -> None:
    """Reads, parses, rejects unknown regions, totals, ranks, draws, writes."""
    parsed = pipeline | "ReadTransfers" >> read | "ParseTransfers" >> parse_as(TRANSFERS, COLUMNS)
    transfers, rejected, late = parsed["records"], parsed["rejected"], []
    if options.known_regions:
        known = transfers | "RejectUnknown" >> RejectUnknown(KEY, options.known_regions)
        transfers, rejected = known["records"], (rejected, known["rejected"]) | "AllRejected" >> beam.Flatten()
    transfers = transfers | "CountUsed" >> CountUsed()  # by the totals since the start, for which none is late
    for place, windows in enumerate((Windows(), *options.last_windows)):
        table, ranks = tables_of(windows)
        name = f"the last {format_duration(windows.length)}" if windows.length else "since the start"
        timely = transfers | f"SplitLate {name}" >> SplitLate(windows, options.lateness_micros)
        late.append(timely["late"])
        totals = total(timely["records"], options, windows, name)
        show = PrintRanked(name, KEY, options.rankings, by="sum", columns=SHOWN, places=SHOWN_PLACES, place=place)
        write_results(totals, options, table, show)
        write_results(totals | f"Rank {name}" >> Rank(KEY, options.rankings), options, ranks)
        if options.plot and not windows.length:
            totals | "DrawFlow" >> DrawFlow(options.plot, KEY)
    write_records(rejected, options.rejected, "WriteRejected", options)
    write_records(late | "AllLate" >> beam.Flatten(), options.late, "WriteLate", options)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the pipeline and gives the exit status."""
    options = parse_command_line(CreditOptions, "python -m pipelines.credit", __doc__, argv)
    try:
        if options.windows.length:
            raise UsageError(
                f"totals are since the start; for the last minutes say --last, got --window {options.windows}"
            )
        if options.input is None:
            options.input = [INPUT]
        if options.output is None:
            options.output = ["-", "out/credit.jsonl"]
        if options.emit is None and (options.needs_clock or options.plot):
            options.emit = EMIT
        if options.plot:
            check_plot(options.plot)
        read = open_input(options, TRANSFERS)
        tables = map(tables_of, (Windows(), *options.last_windows))
        check_outputs(options, *itertools.chain.from_iterable(tables), others=[options.plot] if options.plot else [])
    except (UsageError, ValueError, OSError) as error:
        return refuse(UsageError(str(error)))
    return run(options, lambda pipeline: build(pipeline, options, read), read.total_bytes, TRANSFERS.form)


if __name__ == "__main__":
    run_program(main)
