from __future__ import annotations

import math

import pytest
from apache_beam.io.iobase import RestrictionProgress

import sources.block  # noqa: F401 - brings the mend


def test_a_mean_of_no_samples_leaves_the_progress_as_it_was() -> None:
    progress = RestrictionProgress(completed=0.0, remaining=1.0)
    assert progress.with_completed(math.nan).fraction_completed == 0.0
    assert progress.with_completed(3).fraction_completed == pytest.approx(0.75)
