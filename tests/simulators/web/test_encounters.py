from __future__ import annotations

from collections import Counter
from datetime import datetime
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from schemas.times import to_micros
from simulators.web.encounters import Encounters
from simulators.web.responses import FACTS
from tests.strategies import http_responses


@given(http_responses, st.lists(st.integers(0, 60), max_size=4))
def test_they_are_the_distinct_visitors_of_each_hour_however_the_responses_are_cut(
    answers: list[tuple[datetime, int, int]], cuts: list[int]
) -> None:
    encounters = Encounters()
    borders = [0, *sorted(min(cut, len(answers)) for cut in cuts), len(answers)]
    for start, stop in pairwise(borders):
        part = answers[start:stop]
        facts = np.array([(visitor, status) for _, visitor, status in part], FACTS)
        times = np.array([to_micros(moment) for moment, _, _ in part], np.int64)
        encounters.add(facts, times)
    met = {(visitor, moment.replace(minute=0, second=0)) for moment, visitor, status in answers if 500 <= status <= 599}
    hours = Counter(hour for _, hour in met)
    said = encounters.to_json()
    assert said["statuses"] == {str(status): count for status, count in Counter(s for _, _, s in answers).items()}
    assert said["visitors_by_date_and_hour"] == {f"{hour:%Y-%m-%d %H}": count for hour, count in hours.items()}
    for days, first_free_day in (("mon-fri", 5), ("all", 7)):
        expected = [0] * 24
        for hour, count in hours.items():
            if hour.weekday() < first_free_day:
                expected[hour.hour] += count
        assert said["visitors_by_hour_of_day"][days] == expected
