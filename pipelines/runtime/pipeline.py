"""A pipeline as a value: its options, its input, its transforms and its outputs, declared in one place.

PIPELINE = Pipeline(name="produce", doc=__doc__, options=..., records=TAPE, build=build, tables=[TOTALS])
main = PIPELINE.main
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam

from command_line.config_file import Translate
from command_line.option import Group, Option
from pipelines.runtime.command_line import all_groups, parse_command_line
from pipelines.runtime.flink.settings import settle_for_flink
from pipelines.runtime.monitoring.monitored import monitored
from pipelines.runtime.options import StreamOptions, UsageError
from pipelines.runtime.positions import Keeper, keeping, status_of
from pipelines.runtime.program import deaf_logging, run_program
from pipelines.runtime.results_out import check_outputs, draw_chart, open_input, write_records, write_results
from pipelines.runtime.run import refuse, run
from pipelines.runtime.shared_options import RECORDS, RESULTS
from pipelines.runtime.summary import summing_up
from schemas.forms.form import Form
from schemas.record_type import RecordType
from sinks.charts.draw import Chart
from sinks.files.atomic import check_writable
from sinks.output import Table

__all__ = ["Built", "Group", "Option", "Pipeline", "Ready", "StreamOptions", "Table", "run_program"]


class Built(NamedTuple):
    """What comes out of the transforms of a pipeline.

    Attributes:
        results: the totals of each table, as PCollection of :class:`schemas.elements.frames.Result`.
        rejected: the records that cannot be used, in one PCollection or several.
        late: the records that came too late, likewise.
        drawn: the parts of the chart by name, where there is a ``--plot``.
    """

    results: Mapping[Table, beam.PCollection]
    rejected: Sequence[beam.PCollection] | beam.PCollection = ()
    late: Sequence[beam.PCollection] | beam.PCollection = ()
    drawn: Mapping[str, beam.PCollection] = {}


class Ready(NamedTuple):
    """A pipeline whose options have been checked: it could begin.

    Attributes:
        build: applies all transforms.
        total_bytes: how much there is to read, None where nobody knows.
        form: how records are written.
        keeper: keeps the positions that the run gets to.
    """

    build: Callable[[beam.Pipeline], None]
    total_bytes: int | None
    form: Form
    keeper: Keeper | None = None


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A pipeline that totals records, and its command line.

    Attributes:
        name: what it is called, in the help and as a group of consumers.
        doc: for the help.
        options: those that it alone has, in groups.
        records: what is read, or what makes that of the options.
        build: the transforms, from a PCollection of :class:`schemas.elements.block.Block` on.
        tables: what is given, or what makes that of the options; with the keys that tell rows apart.
        default_input: an address, or what makes one, for a run that is given none.
        default_output: addresses, likewise.
        window: the default of ``--window``; ``lateness`` likewise.
        settle: fills in what depends on other options; raises a ValueError where they do not go together.
        chart: makes of the options what ``--plot`` draws, if that is among them.
        translate: makes options of keys of a configuration file that are none.
        options_type: has more properties of the options.
        prepare: takes the place of all that where records are not totalled.
    """

    name: str
    doc: str
    options: tuple[Group, ...] = ()
    records: RecordType | Callable[[Any], RecordType] | None = None
    build: Callable[[beam.PCollection, Any], Built] | None = None
    tables: Sequence[Table] | Callable[[Any], Iterable[Table]] = ()
    default_input: str | Callable[[], str] = ""
    default_output: tuple[str, ...] = ("-",)
    window: str = "all"
    lateness: str = "0s"
    settle: Callable[[Any], object] = id
    chart: Callable[[Any], Chart] | None = None
    translate: Translate | None = None
    options_type: type[StreamOptions] = StreamOptions
    prepare: Callable[[Any], Ready] | None = None

    @property
    def all_groups(self) -> tuple[Group, ...]:
        """All its options, those that every pipeline has among them."""
        return all_groups(self.options, self.window, self.lateness, self._outputs)

    @property
    def _outputs(self) -> str:
        return RESULTS if self.prepare is None else RECORDS

    def parse(self, argv: Sequence[str] | None = None) -> Any:
        """Parse a command line.

        Raises:
            SystemExit: 0 after ``--help``; 2 with one line for wrong usage.
        """
        return parse_command_line(
            argv,
            self._prog(),
            self.doc,
            pipeline=self.name,
            groups=self.options,
            options_type=self.options_type,
            window=self.window,
            lateness=self.lateness,
            translate=self.translate,
            outputs=self._outputs,
        )

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Run the pipeline and return the exit status; see :func:`pipelines.runtime.run.run`.

        Raises:
            SystemExit: as :meth:`parse`.
        """
        with deaf_logging():
            return self._main(argv)

    def _main(self, argv: Sequence[str] | None) -> int:
        options = self.parse(argv)
        try:
            with monitored(options):
                return self._run(options)
        except UsageError as error:
            return refuse(error)

    def _run(self, options: Any) -> int:
        try:
            if not options.input and self.default_input:
                default = self.default_input
                options.input = [default if isinstance(default, str) else default()]
            is_output_given = options.output is not None
            if not is_output_given:
                options.output = list(self.default_output)
            settle_for_flink(options, is_output_given=is_output_given)
            ready = self.prepare(options) if self.prepare is not None else self._prepare(options)
            if options.summary:
                check_writable(options.summary)
        except (UsageError, ValueError, OSError) as error:
            return refuse(UsageError(str(error)))
        with keeping(ready.keeper), summing_up(options) as summary:
            status = run(options, ready.build, ready.total_bytes, ready.form, summary)
        return status_of(status, ready.keeper)

    def _prepare(self, options: StreamOptions) -> Ready:
        transform = self.build
        assert self.records is not None and transform is not None  # noqa: S101, PT018 (for the type checker)
        self.settle(options)
        records = self.records if isinstance(self.records, RecordType) else self.records(options)
        tables = self.tables(options) if callable(self.tables) else self.tables
        read = open_input(options, records)
        check_outputs(options, *tables)

        def build(pipeline: beam.Pipeline) -> None:
            built = transform(pipeline | "Read" >> read, options)
            for table, results in built.results.items():
                write_results(results, options, table)
            if self.chart is not None and built.drawn:
                draw_chart(built.drawn, options.plot_path, self.chart(options))
            write_records(_together(built.rejected, "AllRejected"), options.rejected, "WriteRejected", options)
            write_records(_together(built.late, "AllLate"), options.late, "WriteLate", options)

        return Ready(build, read.total_bytes, records.form)

    def _prog(self) -> str:
        """Return what the user has typed to start it."""
        spec = sys.modules[(self.prepare or self.build).__module__].__spec__
        return f"python {Path(sys.argv[0]).name}" if spec is None else f"python -m {spec.name}"


def _together(records: Sequence[beam.PCollection] | beam.PCollection, label: str) -> beam.PCollection:
    return records if isinstance(records, beam.PCollection) else records | label >> beam.Flatten()
