"""The law: whatever the order, the cuts and the merges, the board has the distinct (address, date, hour) by hand."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, datetime, timedelta, timezone

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.testing.util import assert_that
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import met_an_error
from pipelines.visitors.live_hours import HOUR_START
from pipelines.visitors.visitors import CountVisitors, _by_date, _by_hour_of_day, _WithHourFn
from schemas.elements.block import Block, Span
from schemas.elements.frames import Batch
from schemas.http import RESPONSES
from tests.strategies import http_responses, merged_by_any_tree, shuffled_cuts
from tests.transforms.tools import as_known
from transforms.aggregate.aggregate import ReduceFn
from transforms.aggregate.aggregations import CountDistinct
from transforms.aggregate.combine import BUCKET, FrameCombine
from transforms.aggregate.distinct import CountDistinctAbout, CountDistinctAddresses
from transforms.parse.parser import parse_as
from transforms.windows import Windows

EXACTLY = [CountDistinct("ip"), CountDistinctAddresses("ip"), CountDistinctAbout("ip")]
IPS = {0: "10.0.0.1", 1: "10.0.0.10", 2: "::1", 2**32: "2001:db8::1"}
offsets = st.sampled_from([None, "Z", "+00:00", "+02:00", "-11:30", "+14:00"])


def line(moment: datetime, ip: str, status: int, offset: str | None = None) -> bytes:
    """A record: its time in UTC is the moment; with an offset it is written as the clocks of that zone show it."""
    shown = f"{moment:%Y-%m-%d %H:%M:%S}"
    if offset is not None:
        zone = datetime.fromisoformat(f"2020-01-01T00:00:00{offset.replace('Z', '+00:00')}").tzinfo
        shown = f"{moment.replace(tzinfo=timezone.utc).astimezone(zone):%Y-%m-%dT%H:%M:%S}{offset}"
    return json.dumps({"time": shown, "ip": ip, "status_code": status}).encode()


def by_hand(rows: list[tuple[datetime, str, int]], weekdays: str) -> Counter:
    most = 5 if weekdays == "mon-fri" else 7
    met = {(ip, m.date(), m.hour) for m, ip, status in rows if 500 <= status <= 599 and m.isoweekday() <= most}
    return Counter((day, hour) for _, day, hour in met)


def reduced(lines: list[bytes], weekdays: str, reduction: FrameCombine) -> list[pl.DataFrame]:
    """What comes out of one bundle of one block."""
    parse = parse_as(RESPONSES, ("ip",), met_an_error(weekdays)).parser()
    block = Block(b"".join(one + b"\n" for one in lines), (Span(0, "x.jsonl", 0),))
    parsed = parse(block)
    assert not parsed.rejected
    step = ReduceFn(reduction, Windows())
    step.start_bundle()
    for batch in _WithHourFn().process(Batch(parsed.rows, block)):
        if batch.rows.height:
            step.process(batch)
    return [value.value[1].drop(BUCKET) for value in step.finish_bundle()]


def counted(lines: list[bytes], weekdays: str = "mon-fri", visitors=EXACTLY[1], random=None) -> tuple[dict, list[int]]:
    """Gives the visitors by (date, hour), and those of the 24 hours of the day."""
    reduction = FrameCombine((HOUR_START,), {"visitors": visitors})
    bundles = [lines] if random is None else shuffled_cuts(random, lines)
    frames = [frame for bundle in bundles for frame in reduced(bundle, weekdays, reduction)]
    if not frames:
        frames = [reduction.reduce(pl.DataFrame(schema={HOUR_START: pl.Datetime("us", "UTC"), "ip": pl.String}))]
    merged = reduction.merge(frames) if random is None else merged_by_any_tree(random, frames, reduction.merge)
    hours = _by_date(reduction.result(merged, (None, None), 0))
    assert hours.rows.columns == ["window_start", "window_end", "date", "hour", "visitors"]
    board = _by_hour_of_day(hours)
    assert board.rows["hour"].to_list() == list(range(24))
    found = {(day, hour): number for day, hour, number in hours.rows.select("date", "hour", "visitors").rows()}
    assert list(found) == sorted(found)
    return found, board.rows["visitors"].to_list()


@pytest.mark.parametrize("visitors", EXACTLY, ids=lambda visitors: type(visitors).__name__)
@settings(max_examples=40)
@given(http_responses, st.lists(offsets, min_size=60, max_size=60), st.booleans(), st.randoms(use_true_random=False))
def test_the_counts_are_those_by_hand_however_records_come(visitors, responses, zones, every_day, random):
    rows = [(moment, IPS[visitor], status) for moment, visitor, status in responses]
    weekdays = "all" if every_day else "mon-fri"
    lines = [line(*row, zone) for row, zone in zip(rows, zones)]
    expected = by_hand(rows, weekdays)
    found, board = counted(lines, weekdays, visitors, random)
    assert found == expected
    assert board == [sum(number for (_, at), number in expected.items() if at == hour) for hour in range(24)]


def at(text: str, ip: str = "10.0.0.1", status: int = 500) -> bytes:
    return json.dumps({"time": text, "ip": ip, "status_code": status}).encode()


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("2019-05-06 23:59:59", "2019-05-07 00:00:00"), {(date(2019, 5, 6), 23): 1, (date(2019, 5, 7), 0): 1}),
        (("2019-12-31 23:59:59", "2020-01-01 00:00:00"), {(date(2019, 12, 31), 23): 1, (date(2020, 1, 1), 0): 1}),
        (
            ("2024-02-28 23:00:00", "2024-02-29 00:00:00", "2024-02-29 23:59:59", "2024-03-01 00:00:00"),
            {
                (date(2024, 2, 28), 23): 1,
                (date(2024, 2, 29), 0): 1,
                (date(2024, 2, 29), 23): 1,
                (date(2024, 3, 1), 0): 1,
            },
        ),
        # From Friday to Saturday, and from Sunday to Monday.
        (("2019-05-10 23:59:59", "2019-05-11 00:00:00"), {(date(2019, 5, 10), 23): 1}),
        (("2019-05-12 23:59:59", "2019-05-13 00:00:00"), {(date(2019, 5, 13), 0): 1}),
        # The zone makes it another date, and so another day of the week.
        (("2019-05-11T01:30:00+02:00", "2019-05-10T23:10:00Z"), {(date(2019, 5, 10), 23): 1}),
        (("2019-05-10T23:30:00-02:00",), {}),
        (("2020-03-01T00:30:00+01:00", "2020-02-28T23:30:00-01:00"), {}),
        (("2021-01-01T00:30:00+01:00",), {(date(2020, 12, 31), 23): 1}),
    ],
)
def test_dates_hours_and_weekdays_are_those_of_utc(texts, expected):
    assert counted([at(text) for text in texts])[0] == expected


@pytest.mark.parametrize(("status", "counts"), [(499, 0), (500, 1), (599, 1), (600, 0), (202, 0)])
def test_only_server_errors_count(status, counts):
    assert sum(counted([at("2019-05-06 10:00:00", status=status)])[1]) == counts


def test_a_visitor_counts_once_an_hour_and_again_in_the_next_and_on_the_next_day():
    moment = datetime(2019, 5, 6, 10)
    times = [moment, moment + timedelta(minutes=59), moment + timedelta(hours=1), moment + timedelta(days=1)]
    _, board = counted([line(one, "10.0.0.1", 503) for one in times])
    assert (board[10], board[11], sum(board)) == (2, 1, 3)


def test_the_example_has_one_visitor_at_16_and_four_at_17():
    rows = [
        ("2019-05-06 17:24:53", "10.0.186.98", 202),
        ("2019-05-06 17:24:54", "10.0.121.67", 301),
        ("2019-05-06 17:25:54", "10.0.121.67", 500),
        ("2019-05-06 17:26:55", "10.0.121.67", 500),
        ("2019-05-07 16:59:55", "10.0.121.67", 502),
        ("2019-05-07 17:00:56", "10.0.247.5", 503),
        ("2019-05-11 10:24:57", "10.0.182.224", 502),
        ("2019-05-11 10:24:58", "10.0.117.193", 401),
        ("2019-05-12 10:24:59", "10.0.52.162", 500),
        ("2020-01-01 17:24:53", "10.0.186.98", 502),
        ("2020-01-01 17:24:54", "10.0.121.67", 301),
        ("2020-01-01 17:25:54", "10.0.121.67", 500),
    ]
    _, board = counted([at(*row) for row in rows])
    assert board == [0] * 16 + [1, 4] + [0] * 6


@pytest.mark.parametrize("is_bounded", [True, False])
@pytest.mark.parametrize("rows", [0, 200])
def test_a_replay_gives_one_result_of_all_hours(is_bounded, rows):
    moments = [datetime(2019, 5, 6, 10) + timedelta(minutes=7 * number) for number in range(rows)]
    lines = [line(moment, f"10.0.0.{number % 3}", 500) for number, moment in enumerate(moments)]
    blocks = [Block(b"".join(one + b"\n" for one in lines[start::2]), (Span(0, "x", 0),)) for start in (0, 1)]
    parse = parse_as(RESPONSES, ("ip",), met_an_error("all")).parser()
    batches = [Batch(parse(block).rows, block) for block in blocks if block.data]
    expected = by_hand([(moment, f"10.0.0.{number % 3}", 500) for number, moment in enumerate(moments)], "all")

    def check(results):
        (result,) = results
        assert result.final
        assert {(day, hour): number for *_, day, hour, number in result.rows.rows()} == expected

    with beam.Pipeline("FnApiRunner") as pipeline:
        made = as_known(pipeline | beam.Create(batches).with_output_types(Batch), is_bounded=is_bounded)
        counts = made | CountVisitors(lateness_micros=60 * 10**6)
        assert_that(counts, check)
