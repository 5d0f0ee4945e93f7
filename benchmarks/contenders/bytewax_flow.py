"""Bytewax: one dataflow in one worker, folded to the end of the tape."""

import csv
import io
import sys
from pathlib import Path

import bytewax.operators as op
from bytewax.connectors.files import FileSink, FileSource
from bytewax.dataflow import Dataflow
from bytewax.testing import run_main

from benchmarks.contenders.lines import HEADER, Total, fields_of, merge, parse

ROWS_A_BATCH = 1_000


def keyed(line: str) -> tuple[str, Total] | None:
    """Gives the row under a text key, as Bytewax wants it."""
    row = parse(line)
    return row and (" ".join(row[0]), row[1])


def to_line(row: tuple[str, Total]) -> tuple[str, str]:
    """Gives one line of the file."""
    day, upc = row[0].split(" ", 1)
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(fields_of((day, upc), row[1]))
    return row[0], text.getvalue()


def main(tape: str, folder: str) -> None:
    """Writes ``totals.csv``."""
    flow = Dataflow("produce")
    lines = op.input("tape", flow, FileSource(tape, batch_size=ROWS_A_BATCH))
    rows = op.filter_map("parse", lines, keyed)
    totals = op.fold_final("total", rows, Total, merge)
    op.output("write", op.map("to_line", totals, to_line), FileSink(Path(folder) / "lines"))
    run_main(flow)
    lines_file = Path(folder) / "lines"
    with (Path(folder) / "totals.csv").open("w", encoding="utf-8") as file:
        file.write(",".join(HEADER) + "\n" + lines_file.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(*sys.argv[1:])
