"""Records from anywhere to anywhere, one by one: in order, paced or as they come, all of them or some.

    python -m pipelines.relay --input my.csv --output out9.txt --interval 1..3
    python -m pipelines.relay --input my.csv --where "price > 3" --format "{time}: {item} at {price}"
    python -m pipelines.relay --input udp-listen://:9000 --output tcp://127.0.0.1:9001 log.txt

Records leave as they came, unless --columns, --as or --format says otherwise.
"""

import apache_beam as beam

from pipelines.relay_plan import OPTIONS, RelayOptions, plan
from pipelines.runtime.lines_out import check_headers, check_line_outputs, line_files, write_lines
from pipelines.runtime.pipeline import Pipeline, Ready, run_program
from pipelines.runtime.positions import Keeper, check_positions
from pipelines.runtime.results_out import write_records
from sinks.lines.line_file import FileLines
from transforms.untyped.fields import ReadFields


def prepare(options: RelayOptions) -> Ready:
    """Work out what to do, and see that it can be done.

    Raises:
        UsageError: it cannot; the message is one line.
    """
    check_positions(options, is_loop=options.loop)
    planned = plan(options)
    check_line_outputs(options)
    check_headers(options, planned.layouts)
    files = line_files(options, planned.layouts)
    on_disk = [file for file in files if isinstance(file, FileLines)]
    keeper = Keeper(options, planned.read, on_disk, "relay") if options.positions else None

    def build(pipeline: beam.Pipeline) -> None:
        fields = ReadFields(
            planned.shape.record_type,
            planned.columns,
            shape=planned.shape,
            condition=planned.condition,
            watch=planned.watch,
        )
        parsed = pipeline | "ReadRecords" >> planned.read | "ReadFields" >> fields
        write_lines(parsed["records"], options, planned.layouts, key=planned.key)
        write_records(parsed["rejected"], options.rejected, "WriteRejected", options)

    return Ready(build, planned.total_bytes, planned.shape.record_type.form, keeper)


PIPELINE = Pipeline(name="relay", doc=__doc__, options=OPTIONS, options_type=RelayOptions, prepare=prepare)
main = PIPELINE.main

if __name__ == "__main__":
    run_program(main)
