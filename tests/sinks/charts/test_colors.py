from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from schemas.bank import REGIONS
from sinks.charts.colors import PALETTE, colors_of

NAMES = st.lists(st.text(), unique=True)


@given(NAMES.flatmap(lambda names: st.tuples(st.just(names), st.permutations(names))))
def test_a_name_has_its_colour_whatever_the_order(both):
    names, others = both
    assert colors_of(names) == colors_of(others)
    assert set(colors_of(names)) == set(names)


@given(NAMES.filter(lambda names: len(names) <= len(PALETTE)))
def test_as_many_names_as_there_are_colours_have_different_ones(names):
    assert len(set(colors_of(names).values())) == len(names)


@given(NAMES)
def test_no_colour_is_used_a_third_time_before_each_was_used_twice(names):
    used = list(colors_of(names).values())
    assert max((used.count(color) for color in PALETTE), default=0) <= -(-len(names) // len(PALETTE))


def test_colours_are_the_same_in_another_process():
    told = "from schemas.bank import REGIONS; from sinks.charts.colors import colors_of; print(colors_of(REGIONS))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(colors_of(REGIONS))
