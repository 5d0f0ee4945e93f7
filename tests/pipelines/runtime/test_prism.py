"""Finding Prism."""

from __future__ import annotations

import os
import platform
import zipfile
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.prism_runner import PrismJobServer

from pipelines.runtime import prism as module
from pipelines.runtime.options import UsageError
from pipelines.runtime.prism import find_prism
from tests.patience import wait_for
from tests.pipelines.tools import run

NOWHERE = {"HOME": "/nonexistent", "PATH": "", "GOPATH": "/nonexistent"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home without Prism, and Beam's cache in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GOPATH", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(tmp_path)
    cache = tmp_path / ".apache_beam" / "cache" / "prism" / "bin"
    cache.mkdir(parents=True)
    monkeypatch.setattr(PrismJobServer, "BIN_CACHE", str(cache))
    monkeypatch.setattr(PrismJobServer, "path_to_binary", _fail)
    return tmp_path


def _fail(self):
    raise RuntimeError("no network")


def _program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def _find(*argv: str) -> Path | None:
    return find_prism(PipelineOptions(list(argv)), lambda _: None)


def _cache_name() -> str:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"apache_beam-v{module.beam_version}-prism-{platform.system().lower()}-{machine}"


def test_none_is_none(home):
    assert _find() is None


def test_the_one_that_go_built_is_found(home, monkeypatch):
    built = _program(home / "go" / "bin" / "prism")
    assert _find() == built
    elsewhere = _program(home / "other" / "bin" / "prism")
    monkeypatch.setenv("GOPATH", str(home / "other"))
    assert _find() == elsewhere


def test_the_one_on_the_path_goes_before_it_and_that_of_beam_before_both(home, monkeypatch):
    _program(home / "go" / "bin" / "prism")
    on_path = _program(home / "bin" / "prism")
    monkeypatch.setenv("PATH", str(home / "bin"))
    assert _find() == on_path
    cached = _program(
        Path(PrismJobServer.BIN_CACHE) / f"{_cache_name()}.zip"
    )  # a program of that name is used as it is
    assert _find() == cached


def test_the_one_of_make_prism_goes_before_an_older_one_in_beams_cache(home):
    _program(Path(PrismJobServer.BIN_CACHE) / f"{_cache_name()}.zip")
    private = _program(Path(PrismJobServer.BIN_CACHE) / module.private_name())
    assert _find() == private


def test_the_one_that_is_named_goes_before_all(home):
    _program(Path(PrismJobServer.BIN_CACHE) / module.private_name())
    _program(home / "go" / "bin" / "prism")
    named = _program(home / "mine")
    assert _find(f"--prism_location={named}") == named


def test_a_zip_is_unpacked_into_the_cache_and_nowhere_else(home):
    with zipfile.ZipFile(Path(PrismJobServer.BIN_CACHE) / f"{_cache_name()}.zip", "w") as file:
        file.writestr(_cache_name(), "#!/bin/sh\n")
    found = _find()
    assert found == Path(PrismJobServer.BIN_CACHE) / _cache_name()
    assert os.access(found, os.X_OK)
    assert [path.name for path in home.iterdir()] == [".apache_beam"]


def test_a_zip_of_something_else_is_refused(home):
    path = home / "other.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme", "")
    with pytest.raises(UsageError, match="cannot unpack Prism from"):
        _find(f"--prism_location={path}")


def test_a_download_that_takes_long_is_told(home, monkeypatch):
    monkeypatch.setattr(module, "_NOTE_SECONDS", 0.01)
    notes: list[str] = []
    monkeypatch.setattr(PrismJobServer, "path_to_binary", lambda self: wait_for(lambda: notes))
    assert find_prism(PipelineOptions([]), notes.append) is None
    assert notes == [f"getting Prism {module.beam_version} ..."]


def test_without_prism_a_live_input_is_refused_in_one_line():
    # The download is asked of a proxy that is not there.
    env = NOWHERE | {"https_proxy": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"}
    done = run("--input", "tcp://127.0.0.1:9", "--output", "-", env=env)
    assert done.status == 2
    assert done.out == ""
    assert done.err.count("\n") == 1
    assert done.err.startswith("wrong usage: live input needs Prism, or no window would come out before the end: get")
    assert "make prism" in done.err
    assert "--prism_location" in done.err


def test_without_prism_files_are_totalled_all_the_same(short_tape):
    done = run("--input", short_tape, "--output", "-", env=NOWHERE)
    assert done.status == 0, done.err
    assert done.balance.read == 1_000
