"""What the sink tests share: results, and the runners they are tried on."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from schemas.units import to_micros
from transforms.frames import Result

DECIMAL = pl.Decimal(38, 9)
TIME = pl.Datetime("us", "UTC")
TOTALS = {
    "window_start": TIME,
    "window_end": TIME,
    "upc": pl.String,
    "description": pl.String,
    "quantity": DECIMAL,
    "scale": DECIMAL,
    "spend": DECIMAL,
}
HOUR = 3_600_000_000


def micros(*when: int) -> int:
    return to_micros(datetime(*when))


def totals(*rows: tuple[str | None, str | None, str, str, str]) -> pl.DataFrame:
    """A frame of totals, its numbers given as texts; the window columns are those of all time."""
    values = [(None, None, upc, description, *map(Decimal, numbers)) for upc, description, *numbers in rows]
    return pl.DataFrame(values, schema=TOTALS, orient="row")


def result(rows: pl.DataFrame, window: tuple[int | None, int | None] = (None, None), **fields: object) -> Result:
    whole = Result(window[0], window[1], shard=0, shards=1, pane=0, final=True, rows=rows)
    return whole._replace(**fields)


@pytest.fixture
def fn_api() -> PipelineOptions:
    return PipelineOptions(["--runner=FnApiRunner"])


@pytest.fixture(scope="session")
def prism() -> PipelineOptions:
    found = next(_prism_places(), None)
    if found is None:
        pytest.skip("Prism is not there: neither on PATH, nor built by Go, nor in Beam's cache")
    options = ["--runner=PrismRunner", f"--prism_location={found}", "--job_server_timeout=600"]
    return PipelineOptions([*options, "--environment_type=LOOPBACK"])


@pytest.fixture(params=["fn_api", "prism"])
def options(request: pytest.FixtureRequest) -> PipelineOptions:
    """The options of each runner that the sinks have to be right on."""
    return request.getfixturevalue(request.param)


def _prism_places():
    on_path = shutil.which("prism")
    if on_path:
        yield on_path
    if shutil.which("go"):
        home = subprocess.run(["go", "env", "GOPATH"], capture_output=True, text=True, check=False).stdout.strip()
        built = Path(home) / "bin" / "prism"
        if home and os.access(built, os.X_OK):
            yield str(built)
    cache = Path.home() / ".apache_beam" / "cache" / "prism" / "bin"
    yield from map(str, sorted(cache.glob("apache_beam-v*-prism-*"), reverse=True))
