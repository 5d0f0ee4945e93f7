"""What all tests share: how long Hypothesis looks, and the runners that they name."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.prism_runner import PrismJobServer
from hypothesis import HealthCheck, settings

from pipelines.runtime.prism import private_name
from tests.brokers import Broker, running_broker

# Not to what pytest captures, as a library has set up already: runners still log when that is closed.
logging.basicConfig(level=logging.ERROR, stream=sys.__stderr__, force=True)

# It goes when the process ends, behind the job servers of Beam, which look for their folders then.
_TEMPORARY = tempfile.mkdtemp(prefix="ts-")
Path(_TEMPORARY).chmod(0o711)  # servers that are not run as root have theirs in it
atexit.register(shutil.rmtree, _TEMPORARY, ignore_errors=True)

# A busy machine is slow, and no fault: no example has a deadline. HYPOTHESIS_PROFILE names another profile.
_PATIENT = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", _PATIENT)
settings.register_profile("ci", _PATIENT, derandomize=True, database=None)
settings.register_profile("thorough", _PATIENT, max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(scope="session", autouse=True)
def _own_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have what Beam leaves behind go with the tests; the path is short, for sockets are in it."""
    tmp_path_factory.getbasetemp()  # that of pytest, which is kept, is elsewhere
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", _TEMPORARY)
        patch.setattr(tempfile, "tempdir", _TEMPORARY)
        yield


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
    """The options of each runner that results have to be right on."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    """A broker that all tests share: each makes topics of its own, and none stops it."""
    with running_broker() as broker:
        yield broker


@pytest.fixture(scope="module")
def kafka_of_the_module() -> Iterator[Broker]:
    with running_broker() as broker:
        yield broker


@pytest.fixture
def own_kafka(kafka_of_the_module: Broker) -> Broker:
    """A broker that a test may stop, kill and start; the tests of one file use it one after the other."""
    if not kafka_of_the_module.is_running():
        kafka_of_the_module.start()
    kafka_of_the_module.unpause()
    return kafka_of_the_module


def _prism_places():
    private = Path(PrismJobServer.BIN_CACHE) / private_name()
    if private.is_file():
        yield str(private)
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
