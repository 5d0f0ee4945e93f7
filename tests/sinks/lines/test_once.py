"""Lines into a file, each once, however a runner tries again."""

from __future__ import annotations

from pathlib import Path

import apache_beam as beam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.files.atomic import SinkError
from sinks.lines.line_file import FileLines
from sinks.lines.once import AppendOnce, _AppendFn
from sinks.lines.write import WriteLines

LINES = st.binary(max_size=5).map(lambda data: data.replace(b"\n", b"") + b"\n")


class State:
    """What a runner keeps of one key."""

    def __init__(self, value=None):
        self.value = value

    def read(self):
        return self.value

    def write(self, value):
        self.value = value


def bundle(fn: _AppendFn, state: State, lines) -> State:
    """Run a bundle and return the state behind it; a runner that fails goes on with the one before."""
    after = State(state.value)
    fn.start_bundle()
    for line in lines:
        list(fn.process((0, line), after))
    fn.finish_bundle()
    return after


@given(
    before=st.sampled_from([b"", b"old\n", b"torn"]),
    bundles=st.lists(st.tuples(st.lists(LINES, max_size=4), st.integers(0, 2), st.booleans()), max_size=6),
    header=st.sampled_from([b"", b"head\n"]),
)
def test_bundles_that_are_tried_again_write_each_line_once(tmp_path_factory, before, bundles, header):
    path = tmp_path_factory.mktemp("once") / "x.csv"
    if before:
        path.write_bytes(before)
    fn, state = _AppendFn(str(path), len(before), header), State()
    for lines, failures, is_other_worker in bundles:
        for _ in range(failures):
            bundle(fn, state, [*lines, b"of a bundle that failed\n"])
        if is_other_worker:
            fn.teardown()
            fn = _AppendFn(str(path), len(before), header)
        state = bundle(fn, state, lines)
    # What a last failure leaves is cut off by whoever writes next.
    bundle(fn, state, [b"failed\n"])
    state = bundle(fn, state, [b"end\n"])
    fn.teardown()
    begin = header if not before else before if before.endswith(b"\n") else before + b"\n"
    assert path.read_bytes() == begin + b"".join(line for lines, *_ in bundles for line in lines) + b"end\n"
    assert state.value == path.stat().st_size


def test_a_file_that_was_cut_off_is_one_line(tmp_path):
    path = tmp_path / "x.txt"
    fn = _AppendFn(str(path), 0, b"")
    state = bundle(fn, State(), [b"abc\n"])
    path.write_bytes(b"")
    with pytest.raises(SinkError, match=r"x\.txt was cut off while it was written: it has 0 bytes of 4"):
        bundle(fn, state, [b"def\n"])
    fn.teardown()


@pytest.mark.parametrize("replace", [True, False])
def test_a_pipeline_that_may_try_again_writes_once(fn_api, tmp_path, replace):
    path = tmp_path / "x.txt"
    path.write_text("older\n")
    place = FileLines.for_run(str(path), replace=replace, tries_again=True)
    with beam.Pipeline(options=fn_api) as pipeline:
        pipeline | beam.Create([b"b\n", b"a\n", b"c\nd\n"]) | WriteLines(place)
    lines = path.read_text().splitlines()
    assert sorted(lines) == (["a", "b", "c", "d"] if replace else ["a", "b", "c", "d", "older"])


def test_a_file_of_this_process_is_written_as_before(tmp_path):
    assert FileLines.for_run(str(tmp_path / "x"), replace=True).base is None
    assert AppendOnce(str(Path("x")), 0).render is None
