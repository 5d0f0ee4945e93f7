"""``--plot`` of each pipeline: what is drawn is what is written, and what cannot be drawn is told before the run."""

from __future__ import annotations

import json
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from sinks.charts.figure import exact
from tests.pipelines.tools import run_here
from tests.sinks.charts.tools import texts_of

CHARTED = ("produce", "errors", "credit", "sales")


@pytest.fixture
def plotted(tmp_path, capsys):
    """Run a simulator and a pipeline with a chart; return the texts of the picture, and what both programs give."""

    def run(pipeline: str, simulator: str, *options: object, data: str = "in.data", more: tuple = ()) -> list[str]:
        made = run_here(
            capsys, *options, "--quiet", "--output", f"{tmp_path}/{data}", program=f"simulators.{simulator}"
        )
        assert made.status == 0, made.err
        chart, output = tmp_path / "chart.svg", tmp_path / "out.jsonl"
        arguments = ["--input", f"{tmp_path}/{data}", "--output", output]
        done = run_here(capsys, *arguments, "--plot", chart, *more, program=f"pipelines.{pipeline}")
        assert done.status == 0, done.err
        assert f"drew {chart}" in done.lines
        assert done.balance.read == sum(done.balance[1:])
        return texts_of(chart.read_bytes())

    return run


def rows_of(path: Path) -> list[dict]:
    return [json.loads(line, parse_float=Decimal) for line in path.read_text().splitlines()]


def test_best_sellers_have_the_amounts_that_are_written(plotted, tmp_path):
    texts = plotted("produce", "registers", "--rows", 5_000, "--seed", 4)
    rows = sorted(rows_of(tmp_path / "out.jsonl"), key=lambda row: (-row["spend"], row["upc"]))
    whole = sum(row["spend"] for row in rows)
    assert any(f"{exact(whole, '$')} in all, the best 15 of {len(rows)} products" in text for text in texts)
    for row in rows[:15]:
        assert f"{exact(row['spend'], '$')} · {row['spend'] / whole:.1%}" in texts
        assert row["description"][:29] in " ".join(texts)


def test_windows_change_nothing_of_what_is_drawn_since_the_start(plotted):
    sent = ("produce", "registers", "--rows", 3_000, "--seed", 4)
    assert plotted(*sent) == plotted(*sent, more=("--window", "1h"))


def test_a_heat_map_has_the_visitors_that_are_written(plotted, tmp_path):
    texts = plotted("errors", "http", "--script", 1, "--rows", 40_000)
    by_date = rows_of(tmp_path / "out-by-date.jsonl")
    assert by_date
    cells = Counter(f"{row['visitors']:,}" for row in by_date)
    assert not cells - Counter(texts)
    assert any(f" · {sum(row['visitors'] for row in by_date):,} in all" in text for text in texts)
    assert "Fri" in texts
    assert "Sat" not in texts  # they are not counted, so there is no row of zeros


def test_flow_has_the_sums_that_are_written(plotted, tmp_path):
    texts = plotted("credit", "bank", "--rows", 3_000, "--fields", "full")
    rows = rows_of(tmp_path / "out.jsonl")
    whole = sum(row["sum"] for row in rows)
    assert any(f"{exact(whole, 'USD')} in all" in text for text in texts)
    for row in rows:
        assert row["account_region"] in texts
        assert f"{exact(row['sum'])} · {row['sum'] / whole:.1%}" in texts


def test_small_regions_are_drawn_as_one_and_names_as_they_are(tmp_path, capsys):
    names = ["$x_1$ <b>", "a\u202eb", *(f"r{number:02}" for number in range(10))]
    lines = [
        {"account_id": 1, "account_region": name, "transaction_value": 100 - place} for place, name in enumerate(names)
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, lines)))
    options = ["--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl", "--plot", tmp_path / "chart.svg"]
    assert run_here(capsys, *options, program="pipelines.credit").status == 0
    texts = texts_of((tmp_path / "chart.svg").read_bytes())
    assert [text for text in texts if text in {*names, "a�b", "all others"}] == [
        *("$x_1$ <b>", "a�b", "r00", "r01", "r02", "r03", "r04", "all others")
    ]
    assert any(text.startswith(f"{exact(sum(Decimal(100 - place) for place in range(7, 12)))} · ") for text in texts), (
        texts
    )


def test_sales_have_the_totals_of_their_categories_and_what_stands_out(plotted, tmp_path):
    promotion = "promotion@2024-02-08T11:00+2h*9"
    options = ("--from", "2024-01-02T07:00", "--to", "2024-02-12", "--rows", 100_000, "--anomaly", promotion)
    slow = ("--min-sale-freq", 300, "--max-sale-freq", 900)
    more = ("--tables", "categories", "anomalies")
    texts = plotted("sales", "smoothies", *options, *slow, data="shop/", more=more)
    for row in rows_of(tmp_path / "out-categories.jsonl"):
        assert f"{row['category']} · {exact(row['sales'], '$')}" in texts
    far = [row for row in rows_of(tmp_path / "out-anomalies.jsonl") if row["window_start"] == "2024-02-08T11:00:00Z"]
    (shop,) = [row for row in far if row["product_id"] == "(shop)"]
    assert f"{shop['seen']:,} seen, {shop['expected']:,.1f} expected" in texts


@pytest.mark.parametrize("pipeline", CHARTED)
def test_what_cannot_be_drawn_is_one_line_before_anything_is_read(pipeline, tmp_path, capsys, monkeypatch):
    (tmp_path / "in.jsonl").write_text("{}\n")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()

    def told(plot: object) -> str:
        paths = ["--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl"]
        done = run_here(capsys, *paths, "--plot", plot, program=f"pipelines.{pipeline}")
        assert done.status == 2
        (line,) = done.err.splitlines()
        return line

    assert "expected a chart's path to end in .png or .svg" in told(tmp_path / "x.jpg")
    assert "Is a directory" in told(tmp_path / "folder.png")
    assert "Not a directory" in told(tmp_path / "file" / "x.png")
    (tmp_path / "in.png").hardlink_to(tmp_path / "in.jsonl")
    assert "is read, so it cannot be written" in told(tmp_path / "in.png")
    assert "s3://" in told("s3://bucket/x.png")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "charts need matplotlib: pip install 'transaction-streams[plot]'" in told(tmp_path / "x.png")
    assert not (tmp_path / "out.jsonl").exists()


def test_a_picture_that_fails_fails_the_run(tmp_path, capsys, monkeypatch):
    (tmp_path / "in.jsonl").write_text('{"account_id": 1, "account_region": "a", "transaction_value": 1}\n')
    chart = tmp_path / "chart.png"

    def full(path: str, data: bytes) -> None:
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr("sinks.charts.draw.write_whole", full)
    done = run_here(
        capsys,
        *("--input", tmp_path / "in.jsonl", "--output", tmp_path / "x.jsonl", "--plot", chart),
        program="pipelines.credit",
    )
    assert done.status == 1
    assert "No space left on device" in done.err
    assert "drew" not in done.err


def test_a_picture_of_nothing_is_told_of_and_an_older_one_stays(tmp_path, capsys):
    (tmp_path / "in.jsonl").touch()
    chart = tmp_path / "chart.svg"
    chart.write_text("old")
    done = run_here(
        capsys,
        *("--input", tmp_path / "in.jsonl", "--output", tmp_path / "x.jsonl", "--plot", chart),
        program="pipelines.credit",
    )
    assert f"drew nothing in {chart}: there are no totals; what is there is older" in done.lines
    assert chart.read_text() == "old"
