from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from pathlib import Path

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.coders import registry
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.elements.block import Block, Span
from schemas.elements.frames import Batch, FrameCoder, Result, decode_frame, encode_frame
from schemas.times import to_micros
from tests.patience import PATIENCE_SECONDS
from tests.strategies import dialects, sale_frame, sale_rows

blocks = st.builds(
    Block,
    st.binary(max_size=20),
    st.lists(st.builds(Span, st.integers(0, 9), st.text(max_size=9), st.integers(0, 2**62)), max_size=3).map(tuple),
    dialects,
    st.integers(-(2**63), 2**63 - 1),
    st.text(max_size=9),
    st.integers(0, 2**62),
)
edges = st.none() | st.integers(-(2**60), 2**60)


@settings(max_examples=60)
@given(sale_rows, blocks)
def test_a_batch_comes_back_from_its_coder(rows, block):
    coder = registry.get_coder(Batch)
    again = coder.decode(coder.encode(Batch(sale_frame(rows), block)))
    assert type(again) is Batch
    assert again.rows.equals(sale_frame(rows))
    assert again.rows.schema == sale_frame(rows).schema
    assert again.block == block
    assert again.block.dialect == block.dialect


@settings(max_examples=60)
@given(sale_rows, edges, edges, st.integers(0, 2**31 - 1), st.booleans())
def test_a_result_comes_back_from_its_coder(rows, start, end, pane, final):
    coder = registry.get_coder(Result)
    result = Result(start, end, pane, final, sale_frame(rows))
    again = coder.decode(coder.encode(result))
    assert type(again) is Result
    assert again._replace(rows=None) == result._replace(rows=None)
    assert again.rows.equals(result.rows)


def test_nested_columns_come_back():
    frame = pl.DataFrame({"set": [["a", None], []], "top": [[{"by": 1, "value": "x"}], []]})
    assert decode_frame(encode_frame(frame)).equals(frame)


def test_keys_are_deterministic_and_frames_are_none():
    keyed = registry.get_coder(beam.typehints.Tuple[int, pl.DataFrame])
    assert keyed.key_coder().is_deterministic()
    assert isinstance(keyed.value_coder(), FrameCoder)
    for element in (Batch, Result, pl.DataFrame):
        assert not registry.get_coder(element).is_deterministic()
        assert registry.get_coder(element).to_type_hint() is element


@pytest.mark.parametrize(
    ("start", "end", "label"),
    [
        (datetime(2011, 4, 1), datetime(2011, 4, 2), "20110401T000000Z-20110402T000000Z"),
        (datetime(1969, 12, 31, 23, 50), datetime(1970, 1, 1), "19691231T235000Z-19700101T000000Z"),
        (datetime(2011, 4, 1, 0, 0, 0, 1), datetime(2011, 4, 2), "20110401T000000.000001Z-20110402T000000Z"),
    ],
)
def test_the_label_of_a_window_sorts_and_is_a_file_name(start, end, label):
    assert Result(to_micros(start), to_micros(end), 0, True, pl.DataFrame()).label == label


def test_the_label_of_all_time_is_all():
    assert Result(None, None, 0, True, pl.DataFrame()).label == "all"


def test_a_frame_may_be_looked_at_while_it_is_encoded():
    script = """
import threading, time
import polars as pl
from schemas.elements.frames import encode_frame

frame = pl.DataFrame({"number": range(2_000), "text": ["x"] * 2_000})
end = time.monotonic() + 2

def again(work):
    while time.monotonic() < end:
        work()

works = [lambda: encode_frame(frame), lambda: frame["text"]] * 2
threads = [threading.Thread(target=again, args=(work,)) for work in works]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
"""
    root = Path(__file__).parents[3]
    # Where they wait for each other nothing in that process goes on any more.
    run = [sys.executable, "-c", script]
    done = subprocess.run(run, cwd=root, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
