"""The metrics of a run, by the names and in the units of Prometheus, as they are when somebody asks.

Nothing is counted here: what is shown is what the sources, the parsers and the outputs of this process have noted, a
block at a time, and on a cluster what that tells.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from pipelines.runtime.monitoring.health import STATES, examine
from pipelines.runtime.written import GIVEN
from schemas.times import MICROS_PER_SECOND
from sources import progress as board
from transforms.counting import COUNTS

PREFIX = "transaction_streams_"
#: So many partitions have a series of their own; the lag of the others, those with the least, is told in one.
MOST_PARTITIONS = 500
_OTHERS = "others"
#: Counts of inputs: their metric, its label, and what that says.
_OF_INPUTS: Mapping[str, tuple[str, str]] = {
    "datagrams": ("datagrams", "received"),
    "dropped": ("datagrams", "dropped"),
    "missing": ("sequence_numbers", "missing"),
    "reordered": ("sequence_numbers", "reordered"),
    "tombstones": ("kafka_messages_skipped", "tombstone"),
    "deleted": ("kafka_messages_skipped", "deleted"),
}
_HELP: Mapping[str, str] = {
    "datagrams": "Datagrams that came, and those that the kernel dropped before they were received.",
    "sequence_numbers": "Records that are missing or out of order by the column of --sequence.",
    "kafka_messages_skipped": "Messages without a value, and those that were deleted before they were read.",
}
_BYTES, _CONNECTIONS, _RECONNECTS = "bytes", "connections", "reconnects"
_NAMED = {*COUNTS, *_OF_INPUTS, _BYTES, _CONNECTIONS, _RECONNECTS}


class RunCollector(Collector):
    """Gives the metrics of the run of this process.

    Args:
        pipeline: the name of the pipeline.
        runner: the runner that was asked for.
    """

    def __init__(self, pipeline: str, runner: str) -> None:
        """Note what does not change."""
        self._labels = {"pipeline": pipeline, "runner": runner.rpartition(".")[2]}

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics, those of no value yet among them where one can be expected."""
        yield InfoMetricFamily(f"{PREFIX}run", "Which pipeline runs on which runner.", self._labels)
        yield from self._standing()
        counts = board.counts()
        yield _counter(
            "records",
            "Records by what became of them; read is the sum of the others once nothing is under way.",
            ("outcome",),
            {(name,): counts[name] for name in COUNTS},
        )
        yield _plain_counter("read_bytes", "Bytes that were read.", counts[_BYTES])
        yield _plain_counter("connections", "Connections of tcp:// and tcp-listen:// inputs.", counts[_CONNECTIONS])
        yield _plain_counter(
            "reconnects", "Times that a peer or broker was there again after it had been lost.", counts[_RECONNECTS]
        )
        for metric, told in _HELP.items():
            found = {(label,): counts[name] for name, (of, label) in _OF_INPUTS.items() if of == metric}
            yield _counter(metric, told, ("fate",), found)
        yield from self._given(counts)
        yield from self._waiting()

    def _standing(self) -> Iterator[Metric]:
        health = examine(time.monotonic())
        state = GaugeMetricFamily(f"{PREFIX}state", "What the run is at: 1 of one state.", labels=["state"])
        for name in STATES:
            state.add_metric([name], float(name == health.state))
        yield state
        yield GaugeMetricFamily(
            f"{PREFIX}healthy", "1, or 0 while the run is stuck, as /health tells.", not health.reason
        )
        total, watermark = board.total_bytes(), board.watermark()
        if total is not None:
            yield GaugeMetricFamily(f"{PREFIX}input_size_bytes", "Bytes that there are to read.", total)
        if watermark is not None:
            seconds = watermark / MICROS_PER_SECOND
            told = "The event time that all is there of, as far as the inputs can tell."
            yield GaugeMetricFamily(f"{PREFIX}watermark_timestamp_seconds", told, seconds)
            told = "How far the watermark is behind the clock; negative where event times are ahead of it."
            yield GaugeMetricFamily(f"{PREFIX}watermark_lag_seconds", told, time.time() - seconds)

    def _given(self, counts: Counter[str]) -> Iterator[Metric]:
        results: dict[tuple[str, str], int] = {}
        written: dict[tuple[str], int] = {}
        for name, number in counts.items():
            if name.startswith(GIVEN):
                pane, _, table = name.removeprefix(GIVEN).partition(" ")
                results[table, pane] = number
            elif name not in _NAMED:
                written[(name,)] = number
        told = "Results, each of a window: final ones, and early ones that --emit gives."
        yield _counter("results", told, ("table", "pane"), results)
        told = "What outputs have taken: files, rows, lines or messages."
        yield _counter("written", told, ("output",), written)

    def _waiting(self) -> Iterator[Metric]:
        inputs = board.inputs()
        told = "Inputs that are being read in this process."
        yield GaugeMetricFamily(f"{PREFIX}open_inputs", told, len(inputs))
        told = "Bytes that were received, or stand in files that are followed, and were not read yet."
        yield GaugeMetricFamily(f"{PREFIX}waiting_bytes", told, sum(each.bytes for each in inputs))
        lags = {place: lag for each in inputs for place, lag in each.messages.items()}
        told = "Messages of a partition that were not read yet."
        family = GaugeMetricFamily(f"{PREFIX}kafka_lag_messages", told, labels=["topic", "partition"])
        most = sorted(lags, key=lambda place: lags[place], reverse=True)
        for topic, partition in sorted(most[:MOST_PARTITIONS]):
            family.add_metric([topic, str(partition)], lags[topic, partition])
        if others := most[MOST_PARTITIONS:]:
            family.add_metric([_OTHERS, _OTHERS], sum(lags[place] for place in others))
        yield family


def make_registry(pipeline: str, runner: str) -> CollectorRegistry:
    """Return the metrics of a run, and those of its process."""
    registry = CollectorRegistry()
    registry.register(RunCollector(pipeline, runner))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def _counter(name: str, told: str, labels: Sequence[str], series: Mapping[Any, int]) -> Metric:
    """Return a counter with a series for the values of its labels."""
    family = CounterMetricFamily(f"{PREFIX}{name}", told, labels=labels)
    for key, number in series.items():
        family.add_metric(key, number)
    return family


def _plain_counter(name: str, told: str, number: int) -> Metric:
    return CounterMetricFamily(f"{PREFIX}{name}", told, number)
