"""The law: how the input is cut, ordered, bundled and merged does not change one digit of the result.

The steps of the main job are run by hand, as a runner would in its worst mood.
"""

from __future__ import annotations

from collections import defaultdict
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.produce import COLUMNS, TOTALS, sold
from schemas.elements.block import Block, Span
from schemas.elements.frames import EDGES, Batch, FrameCoder
from schemas.record_type import Dialect
from schemas.tape import TAPE
from sources import progress as board
from tests import oracle
from tests.real_tape import REAL_TAPE, needs_real_tape
from tests.strategies import shuffled_cuts, tape_rows
from transforms.aggregate.aggregate import ReduceFn, ResultsFn, WindowsFn
from transforms.aggregate.combine import FrameCombine
from transforms.parse.delimited import Parser
from transforms.windows import Windows

WINDOWS = ["all", "10m", "1d", "10m/5m", "15m/10m"]
reduction = FrameCombine(("upc",), TOTALS)


def produce_by_hand(random: Random, lines: list[bytes], windows: Windows) -> tuple[dict, int, int]:
    """Gives {(window start, upc): [values]}, and how many records were read and how many rejected."""
    parser = Parser(TAPE, COLUMNS, sold(["2"]))
    put, give = WindowsFn(reduction, windows, random.choice([1, 64])), ResultsFn(reduction, windows)
    coder = FrameCoder()
    gathered = defaultdict(list)
    read = rejected = 0
    for bundle in shuffled_cuts(random, [part for part in shuffled_cuts(random, lines) if part]):
        reduce = ReduceFn(reduction, windows)
        reduce.start_bundle()
        for part in bundle:
            block = Block(b"\n".join(part) + random.choice([b"\n", b""]), (Span(0, "tape", 0),))
            parsed = parser(block)
            read += parsed.records
            rejected += len(parsed.rejected)
            reduce.process(Batch(parsed.rows, block))
        for value in reduce.finish_bundle():
            # Polars gives groups in any order; Hypothesis wants the same again.
            for placed in sorted(put.process(value.value), key=lambda placed: placed.value[0]):
                group, frame = placed.value
                gathered[group].append(coder.decode(coder.encode(frame)) if random.random() < 0.3 else frame)
    totals = {}
    for group, frames in gathered.items():
        random.shuffle(frames)
        for result in give.process((group, frames)):
            for upc, *values in result.rows.drop(EDGES).iter_rows():
                assert (result.window_start, upc) not in totals, "a key was given twice"
                totals[result.window_start, upc] = values
    return totals, read, rejected


def produce_slowly(lines: list[bytes], windows: Windows) -> tuple[dict, int, int]:
    """The same by the oracle, row by row."""
    wanted = (
        ["trans_type", "department"],
        lambda values: values["trans_type"] in ("I", "D") and values["department"] == 2,
    )
    rows, rejected, read = oracle.parse(b"\n".join(lines), TAPE, Dialect(), wanted, COLUMNS)
    rows = [values for _, values in rows]
    return oracle.produce_totals(rows, windows.length, windows.step), read, len(rejected)


@pytest.mark.parametrize("text", WINDOWS)
@settings(max_examples=60)
@given(lines=tape_rows(), random=st.randoms(use_true_random=False))
def test_no_cut_order_bundle_or_merge_tree_changes_a_digit(text, lines, random):
    board.reset()
    windows = Windows.parse(text)
    assert produce_by_hand(random, lines, windows) == produce_slowly(lines, windows)


@settings(max_examples=60)
@given(tape_rows(), st.randoms(use_true_random=False))
def test_what_is_read_is_used_filtered_or_rejected(lines, random):
    board.reset()
    totals, read, rejected = produce_by_hand(random, lines, Windows())
    used = sum(values[-1] for values in totals.values())
    assert used == board.counts()["used"]
    wanted_or_not = Parser(TAPE, COLUMNS, sold(["2"]))(Block(b"\n".join(lines), (Span(0, "tape", 0),)))
    filtered = wanted_or_not.records - wanted_or_not.rows.height - len(wanted_or_not.rejected)
    assert read == used + filtered + rejected == len([line for line in lines if line])


@needs_real_tape
@pytest.mark.parametrize("text", ["all", "1d", "1h", "1h/20m"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_real_tape_gives_the_totals_of_the_oracle(text, seed):
    lines = REAL_TAPE.read_bytes().split(b"\n")
    windows = Windows.parse(text)
    random = Random(seed)  # noqa: S311 - the same cuts each time
    found = produce_by_hand(random, lines, windows)
    assert found == produce_slowly(lines, windows)
    totals, read, _ = found
    assert read == 3000
    if text == "1d":
        assert len({start for start, _ in totals}) >= 3


def test_the_oracle_itself_by_example():
    def line(time: str, description: str, quantity: str, scale: str, total: str) -> dict:
        fields = {"datetime": time, "upc": "4011", "description": description, "quantity": quantity}
        fields |= {"scale": scale, "total": total, "trans_type": "I", "department": "2"}
        return "\t".join(fields.get(name, "") for name in TAPE.names).encode()

    lines = [
        line("2011-04-01 10:00:00", "BANANA", "1", "0", "0.30"),
        line("2011-04-01 10:09:59", "BANANAS", "2.5", "1", "1.25"),
        line("2011-04-01 10:10:00", "NULL", "-1", "0", "-0.30"),
    ]
    ten, five = 1301652000 * 10**6, 300 * 10**6
    totals, read, rejected = produce_slowly(lines, Windows.parse("10m"))
    as_text = {key: [str(value) for value in values] for key, values in totals.items()}
    assert as_text == {
        (ten, "4011"): ["BANANAS", "3.5", "2.5", "1.55", "2"],
        (ten + 2 * five, "4011"): ["None", "-1", "0", "-0.30", "1"],
    }
    assert (read, rejected) == (3, 0)
    sliding, _, _ = produce_slowly(lines, Windows.parse("10m/5m"))
    assert {start - ten: values[-1] for (start, _), values in sliding.items()} == {
        -five: 1,
        0: 2,
        five: 2,
        2 * five: 1,
    }
