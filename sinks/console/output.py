"""The standard output as an output."""

# ruff: noqa: ARG002 - kinds of outputs are asked the same things, and not all matter to each
from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam

from sinks.console.tables import PrintResults
from sinks.lines.render import Layout
from sinks.lines.write import StdoutLines
from sinks.output import Output, OutputSettings, Table


@dataclass(frozen=True)
class ConsoleOutput(Output):
    """The standard output: results as tables, records as lines."""

    path: str = "-"

    @property
    def name(self) -> str:
        """What a person calls it."""
        return "the standard output"

    def result_writer(self, table: Table, settings: OutputSettings) -> beam.PTransform:
        """Return the transform that prints a table for each result."""
        return table.show or PrintResults(by=table.key[0])

    def destination(self, layout: Layout, settings: OutputSettings) -> StdoutLines:
        """Return the standard output, for lines."""
        return StdoutLines()
