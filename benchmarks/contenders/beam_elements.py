"""Beam, element by element: the same pipeline as its programming guide would write it."""

import csv
import io
import sys
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

import apache_beam as beam
from apache_beam.transforms.window import FixedWindows, GlobalWindows, TimestampedValue

from benchmarks.contenders.lines import HEADER, Key, Total, fields_of, merge, parse

DAY_SECONDS = 86_400


class TotalFn(beam.CombineFn):
    """Adds totals."""

    def create_accumulator(self) -> Total:
        """Starts with nothing."""
        return Total()

    def add_input(self, accumulator: Total, element: Total) -> Total:
        """Adds one row."""
        return merge(accumulator, element)

    def merge_accumulators(self, accumulators: Iterable[Total]) -> Total:
        """Adds what other bundles have added."""
        result = Total()
        for accumulator in accumulators:
            result = merge(result, accumulator)
        return result

    def extract_output(self, accumulator: Total) -> Total:
        """Gives the total."""
        return accumulator


def stamp(row: tuple[Key, Total]) -> TimestampedValue:
    """Gives ``(upc, total of one)`` at its event time."""
    (_, upc), total = row
    moment = datetime.strptime(total.latest[0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
    return TimestampedValue((upc, total), moment.timestamp())


def to_line(row: tuple[str, Total], window: beam.window.BoundedWindow = beam.DoFn.WindowParam) -> str:
    """Gives one line of the file."""
    upc, total = row
    text = io.StringIO()
    day = window.start.to_utc_datetime().date().isoformat()
    csv.writer(text, lineterminator="").writerow(fields_of((day, upc), total))
    return text.getvalue()


def main(tape: str, folder: str) -> None:
    """Writes ``totals.csv``, in one shard."""
    with beam.Pipeline(argv=["--runner=DirectRunner"]) as pipeline:
        (
            pipeline
            | "Read" >> beam.io.ReadFromText(tape)
            | "Parse" >> beam.Map(parse)
            | "KeepProduce" >> beam.Filter(lambda row: row is not None)
            | "Stamp" >> beam.Map(stamp)
            | "Days" >> beam.WindowInto(FixedWindows(DAY_SECONDS))
            | "Total" >> beam.CombinePerKey(TotalFn())
            | "ToLine" >> beam.Map(to_line)
            | "AllDays" >> beam.WindowInto(GlobalWindows())
            | "Write"
            >> beam.io.WriteToText(
                str(Path(folder) / "totals"),
                file_name_suffix=".csv",
                shard_name_template="",
                header=",".join(HEADER),
            )
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
