"""The law: read = used + filtered + duplicate + rejected + late, for each pipeline, on any records and watermarks."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

import apache_beam as beam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.runtime.summary import Summary
from schemas.bank import TRANSFERS
from schemas.elements.block import NOTHING_IS_LATE, Block, Span
from schemas.http import RESPONSES
from schemas.smoothies import TOPICS
from schemas.times import MICROS_PER_SECOND
from sources import progress as board
from tests.strategies import json_records, lists_up_to, tape_rows
from tests.transforms.tools import as_known, counts_of
from transforms.counting import COUNTS

_ODD = st.sampled_from([b"", b"{}", b"garbage", b"\xff"])
_2011, _2022 = 1_301_652_000 * MICROS_PER_SECOND, 1_661_860_000 * MICROS_PER_SECOND
_WATERMARKS = st.sampled_from([NOTHING_IS_LATE, 0, _2011, _2011 + 600 * MICROS_PER_SECOND, _2022, 3 * _2022])


@dataclass
class _Blocks(beam.PTransform):
    """Reads what is at hand, as live input or as files."""

    blocks: list[Block]
    is_bounded: bool
    total_bytes = None

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        made = pipeline | beam.Create(self.blocks, reshuffle=False).with_output_types(Block)
        return as_known(made, is_bounded=self.is_bounded)


def _of(*types) -> st.SearchStrategy[list[bytes]]:
    return lists_up_to(12, st.one_of(*map(json_records, types), _ODD))


_OWN = lists_up_to(12, st.one_of(st.sampled_from([b"a,1", b"b,2.5", b"a,", b"c,x", b"c,0", b"d"]), _ODD))
PIPELINES = {
    "totals": (_OWN, ["--names", "key,value", "--by", "key", "--sum", "value", "--where", "value > 0"]),
    "produce": (tape_rows(), ["--window", "10m/5m", "--lateness", "1m"]),
    "credit": (_of(TRANSFERS), ["--last", "10m", "--lateness", "1m"]),
    "errors": (_of(RESPONSES), ["--lateness", "1m"]),
    "sales": (_of(*(record_type for _, record_type in TOPICS.values())), ["--lateness", "1m"]),
    "sales once": (_of(*(t for _, t in TOPICS.values())), ["--lateness", "1m", "--deduplicate", "transaction_id"]),
    "totals once": (_OWN, ["--names", "key,value", "--by", "key", "--deduplicate", "key", "value"]),
}


@pytest.mark.parametrize("name", PIPELINES)
@settings(max_examples=5)
@given(data=st.data(), is_bounded=st.booleans())
def test_all_that_was_read_is_accounted_for(name, data, is_bounded, tmp_path_factory):
    lines, arguments = PIPELINES[name]
    name = name.partition(" ")[0]
    module, folder = import_module(f"pipelines.{name}"), tmp_path_factory.mktemp(name)
    places = ["--output", folder / "o.jsonl", "--rejected", folder / "r.jsonl", "--late", folder / "l.jsonl"]
    options = module.PIPELINE.parse(["--input", "exec:true", "--emit", "never", *map(str, places), *arguments])
    blocks = []
    for part in data.draw(st.lists(lines, max_size=4)):
        watermark = data.draw(_WATERMARKS)
        blocks.append(Block(b"\n".join(part), (Span(0, "x", 0),), watermark=watermark))
    board.reset()
    pipeline = beam.Pipeline(runner="FnApiRunner")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.runtime.pipeline.open_input", lambda *_: _Blocks(blocks, is_bounded))
        module.PIPELINE._prepare(options).build(pipeline)
    summary = Summary(str(folder / "summary.json"), name)
    summary.add_to(pipeline)
    done = pipeline.run()
    done.wait_until_finish()
    counts = counts_of(done)
    read = sum(1 for block in blocks for line in block.data.split(b"\n") if line)
    assert counts["read"] == read
    assert read == sum(counts[outcome] for outcome in COUNTS if outcome != "read"), counts
    assert summary.read() == {each: counts[each] for each in COUNTS}, "as data they are others"
