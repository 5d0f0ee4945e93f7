"""The types of the project are seen by who uses it: every package is typed, and what it gives is not Any."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mypy import api
from setuptools import find_packages

ROOT = Path(__file__).parents[1]
SCRIPT = """
from schemas.tape import TAPE
from sources import Pace, Read
from transforms import Aggregate, Count, ParseDelimited, Windows

read = Read("tcp://127.0.0.1:9000", TAPE)
reveal_type(read)
reveal_type(Read(["a.csv", "b.csv"], TAPE, pace=Pace(rate=3)).pace)
reveal_type(ParseDelimited(TAPE))
reveal_type(Count())
Read(9000, TAPE)
"""


def test_every_package_says_that_it_is_typed() -> None:
    packages = {name.partition(".")[0] for name in find_packages(str(ROOT), include=["[a-z]*"])}
    ours = packages - {"benchmarks", "examples", "scripts", "tests"}
    assert {name for name in ours if not (ROOT / name / "py.typed").exists()} == set()


def test_a_script_that_uses_the_project_sees_its_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MYPYPATH", os.fspath(ROOT))  # mypy does not find what is installed editable
    cache = ROOT / ".mypy_cache" / "script"
    found, _, _ = api.run(["--strict", "--follow-imports=silent", f"--cache-dir={os.fspath(cache)}", "script.py"])
    told = [line.partition("note: ")[2] or line.partition("error: ")[2] for line in found.splitlines()]
    types = [line.removeprefix("Revealed type is ").strip('"') for line in told if line.startswith("Revealed")]
    assert types == [
        "sources.read.Read",
        "sources.pacing.Pace",
        "transforms.parse.delimited.ParseDelimited",
        "transforms.aggregate.aggregations.Count",
    ], found
    assert 'Argument 1 to "Read" has incompatible type "int"' in found
