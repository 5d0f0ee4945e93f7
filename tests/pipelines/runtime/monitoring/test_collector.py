"""What is served is what Prometheus reads: its parsers take it; the page and the dashboard name what there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("prometheus_client")

from prometheus_client import exposition, parser
from prometheus_client.openmetrics import exposition as open_exposition
from prometheus_client.openmetrics import parser as open_parser

from pipelines.runtime.monitoring.collector import MOST_PARTITIONS, PREFIX, make_registry
from pipelines.runtime.written import GIVEN
from sources import progress as board
from sources.progress import Waiting

ROOT = Path(__file__).parents[4]
#: What Prometheus calls base units, and what is none but needs no unit.
_UNITS = ("_seconds", "_bytes", "_messages")
_WITHOUT_UNIT = {"state", "healthy", "open_inputs", "run"}
_OUTPUT = 'out/"a\\b\n.jsonl'


@pytest.fixture(autouse=True)
def _run() -> Iterator[None]:
    board.reset()
    for name, number in (("read", 7), ("used", 3), ("filtered", 2), ("rejected", 1), ("late", 1), ("bytes", 99)):
        board.add(name, number)
    for name in ("datagrams", "dropped", "missing", "reordered", "tombstones", "deleted", "connections", "reconnects"):
        board.add(name, len(name))
    board.add(f"{GIVEN}final best sellers", 2)
    board.add(f"{GIVEN}early best sellers", 9)
    board.add(_OUTPUT, 2)
    board.expect(1_000)
    board.set_watermark(1_500_000)
    board.set_state("running")
    board.ask_input("a", Waiting(5, {("sales", 0): 4, ("sales", 1): 0}))
    board.ask_input("b", Waiting(7))
    yield
    board.reset()


def served() -> dict[str, float]:
    """Every series of the run, as Prometheus would read it."""
    text = exposition.generate_latest(make_registry("produce", "a.DirectRunner")).decode()
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


def named() -> dict[str, str]:
    """The names of the series of all metrics, and the types of these."""
    text = exposition.generate_latest(make_registry("produce", "DirectRunner")).decode()
    found = {}
    for family in parser.text_string_to_metric_families(text):
        found[f"{family.name}_total" if family.type == "counter" else family.name] = family.type
        found.update({sample.name: family.type for sample in family.samples})
    return found


def test_each_number_is_in_its_series():
    found = served()
    for name, number in (("read", 7), ("used", 3), ("filtered", 2), ("rejected", 1), ("late", 1)):
        assert found[f"{PREFIX}records_total[('outcome', '{name}')]"] == number
    assert found[f"{PREFIX}read_bytes_total[]"] == 99
    assert found[f"{PREFIX}input_size_bytes[]"] == 1_000
    assert found[f"{PREFIX}watermark_timestamp_seconds[]"] == 1.5
    assert found[f"{PREFIX}watermark_lag_seconds[]"] > 1_000_000_000
    assert found[f"{PREFIX}waiting_bytes[]"] == 12
    assert found[f"{PREFIX}kafka_lag_messages[('partition', '0'), ('topic', 'sales')]"] == 4
    assert found[f"{PREFIX}results_total[('pane', 'final'), ('table', 'best sellers')]"] == 2
    assert found[f"{PREFIX}results_total[('pane', 'early'), ('table', 'best sellers')]"] == 9
    assert found[f"{PREFIX}written_total{[('output', _OUTPUT)]}"] == 2
    assert found[f"{PREFIX}datagrams_total[('fate', 'dropped')]"] == len("dropped")
    assert found[f"{PREFIX}reconnects_total[]"] == len("reconnects")
    assert found[f"{PREFIX}state[('state', 'running')]"] == 1
    assert sum(value for name, value in found.items() if name.startswith(f"{PREFIX}state[")) == 1
    assert found[f"{PREFIX}run_info[('pipeline', 'produce'), ('runner', 'DirectRunner')]"] == 1
    assert found["process_resident_memory_bytes[]"] > 0


def test_the_strict_parser_of_openmetrics_takes_it():
    text = open_exposition.generate_latest(make_registry("produce", "DirectRunner")).decode()
    families = list(open_parser.text_string_to_metric_families(text))
    assert {f"{PREFIX}records", f"{PREFIX}watermark_lag_seconds"} <= {family.name for family in families}


def test_names_and_units_are_those_of_prometheus():
    ours = {name: kind for name, kind in named().items() if name.startswith(PREFIX)}
    for name, kind in ours.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert name.endswith("_total") == (kind == "counter"), name
        assert name.endswith(("_total", "_info", *_UNITS)) or name.removeprefix(PREFIX) in _WITHOUT_UNIT, name


def test_a_run_that_knows_nothing_yet_shows_its_counters_at_zero():
    board.reset()
    found = served()
    assert found[f"{PREFIX}records_total[('outcome', 'rejected')]"] == 0
    assert found[f"{PREFIX}state[('state', 'starting')]"] == 1
    assert not [name for name in found if name.startswith((f"{PREFIX}watermark", f"{PREFIX}input_size"))]


def test_the_lag_of_many_partitions_has_few_series():
    many = MOST_PARTITIONS + 100
    board.ask_input("a", Waiting(0, {("sales", partition): partition for partition in range(many)}))
    lags = {name: value for name, value in served().items() if "kafka_lag" in name}
    assert len(lags) == MOST_PARTITIONS + 1
    assert sum(lags.values()) == sum(range(many))
    assert lags[f"{PREFIX}kafka_lag_messages[('partition', 'others'), ('topic', 'others')]"] == sum(range(100))


def test_the_dashboard_asks_for_metrics_that_there_are():
    dashboard = json.loads((ROOT / "docs/grafana.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [each["query"]["query"] for each in dashboard["templating"]["list"] if each["type"] == "query"]
    names = {name for text in asked for name in re.findall(rf"(?:{PREFIX}|process_|python_)\w+", text)}
    known = named()
    assert len(names) > 10
    assert names <= known.keys()
    for text in asked:
        for name in re.findall(r"rate\((\w+)", text):
            assert known[name] == "counter", text
    boxes = [panel["gridPos"] for panel in dashboard["panels"]]
    cells = [
        (x, y) for at in boxes for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells)), "panels lie over each other"


def test_the_page_names_each_metric():
    page = (ROOT / "docs/metrics.md").read_text()
    told = set(re.findall(rf"^\| `({PREFIX}\w+)", page, re.MULTILINE))
    assert told == {name for name in named() if name.startswith(PREFIX)}
