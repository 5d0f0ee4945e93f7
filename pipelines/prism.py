"""Prism, the local runner that fires windows while records still come: finding it, starting it, ending it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions, PrismRunnerOptions
from apache_beam.runners.portability.prism_runner import PrismJobServer
from apache_beam.version import __version__ as beam_version

from pipelines.options import UsageError

HOW_TO_GET = (
    "get Prism with `make prism` (needs Go), or let Beam download it while there is a network, "
    "or name one with --prism_location"
)
_START_SECONDS = 20.0
_DOWNLOAD_SECONDS = 120.0
_STOP_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1


def find_prism(options: PipelineOptions, *, may_download: bool) -> Path | None:
    """Gives the Prism binary: the one named, or one that Beam has, or one on the PATH, or one from the network.

    Raises:
        UsageError: the one that was named is not there.
    """
    named = options.view_as(PrismRunnerOptions).prism_location
    if named and "://" not in named:
        if not Path(named).is_file():
            raise UsageError(f"no file at --prism_location {named!r}")
        return Path(PrismJobServer.local_bin(named))
    cached = Path(PrismJobServer.BIN_CACHE) / f"apache_beam-v{beam_version}-prism-{_platform()}.zip"
    if not named and cached.is_file():
        return Path(PrismJobServer.local_bin(str(cached)))
    go_bin = Path(os.environ.get("GOPATH", Path.home() / "go")) / "bin"
    found = shutil.which("prism") or shutil.which("prism", path=str(go_bin))
    if not named and found:
        return Path(found)
    return _download(options) if may_download or named else None


def _platform() -> str:
    machine = platform.machine().lower()
    architecture = {"x86_64": "amd64", "x64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    return f"{platform.system().lower()}-{architecture}"


def _download(options: PipelineOptions) -> Path | None:
    """Lets Beam download the binary; None if that fails, or hangs."""
    found: list[Path] = []

    def fetch() -> None:
        with contextlib.suppress(Exception):  # no network, no such release, no place to put it: all mean no Prism
            server = PrismJobServer(options)
            found.append(Path(server.local_bin(server.path_to_binary())))

    print(f"getting Prism {beam_version} ...", file=sys.stderr, flush=True)
    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(_DOWNLOAD_SECONDS)
    return found[0] if found else None


@contextlib.contextmanager
def running_prism(binary: Path) -> Iterator[str]:
    """Runs Prism as long as the context lasts, and gives its endpoint.

    It is in a session of its own, so that Ctrl-C at a terminal ends it only after its job has been drained; and where
    the system can do that (Linux) it ends when this process does, however that comes about.

    Raises:
        RuntimeError: it does not start.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 (a binary that Beam or the user chose)
            [str(binary), f"--job_port={port}", "--serve_http=false", "--log_kind=text", "--log_level=warn"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
        )
        try:
            _await_port(process, port)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            raise RuntimeError(f"Prism ended at once, with status {process.returncode}; {HOW_TO_GET}")
        time.sleep(0.02)
    raise RuntimeError(f"Prism did not start within {_START_SECONDS:.0f} s")
