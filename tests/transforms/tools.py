"""What the tests of transforms share: both ways of a parser, and what a pipeline has counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.pvalue import TaggedOutput

from schemas.elements.block import Block
from transforms.counting import COUNTED
from transforms.parse import patterns
from transforms.parse.parser import BlockParser, Parsed


def parse_both_ways(parser: BlockParser, block: Block) -> tuple[Parsed, Parsed]:
    """What comes of it fast, with patterns wherever one fits, and slowly, line by line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patterns, "FEW_LINES", 0)
        fast = parser(block)
        patch.setattr(patterns, "FEW_LINES", 10**9)
        slow = parser(block)
    return fast, slow


def as_known(pcoll: beam.PCollection, *, is_bounded: bool) -> beam.PCollection:
    """Make Beam believe that the input has an end, or none: transforms go by that."""
    pcoll.is_bounded = is_bounded
    return pcoll


def without_counts(outputs: Iterable[Any]) -> list[Any]:
    """What a step gives besides what it has counted."""
    return [output for output in outputs if not (isinstance(output, TaggedOutput) and output.tag == COUNTED)]


def counts_of(done: Any) -> Counter[str]:
    """The records that a pipeline has counted, by what became of them."""
    counts: Counter[str] = Counter()
    for counter in done.metrics().query(MetricsFilter().with_namespace("records"))["counters"]:
        counts[counter.key.metric.name] += counter.result
    return counts
