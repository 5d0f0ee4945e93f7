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
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
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
#: A download that fails at once is not worth a word.
_NOTE_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1


def find_prism(options: PipelineOptions, note: Callable[[str], None]) -> Path | None:
    """Gives the Prism binary: the one named, or one that Beam has, or one on the PATH, or one from the network.

    Args:
        options: may name one.
        note: tells the user of a download, which takes a while.

    Raises:
        UsageError: the one that was named is not there, or cannot be unpacked.
    """
    named = options.view_as(PrismRunnerOptions).prism_location
    if named and "://" not in named:
        if not Path(named).is_file():
            raise UsageError(f"no file at --prism_location {named!r}")
        return _unpack(named, is_named=True)
    cached = Path(PrismJobServer.BIN_CACHE) / f"apache_beam-v{beam_version}-prism-{_platform()}.zip"
    if not named and cached.is_file():
        return _unpack(str(cached))
    go_bin = Path(os.environ.get("GOPATH") or os.path.expanduser("~/go")) / "bin"  # noqa: PTH111 (it never fails)
    found = shutil.which("prism") or shutil.which("prism", path=str(go_bin))
    if not named and found:
        return Path(found)
    return _download(options, note)


def _unpack(path: str, *, is_named: bool = False) -> Path:
    """Gives the program in a file, or at an address: itself, or what Beam unpacks into its cache if it is a zip."""
    if Path(path).is_file() and not zipfile.is_zipfile(path):
        return Path(path)
    try:
        return Path(PrismJobServer.local_bin(path, PrismJobServer.BIN_CACHE, ignore_cache=is_named))
    except Exception as error:
        raise UsageError(f"cannot unpack Prism from {path!r}: {error}") from error


def _platform() -> str:
    machine = platform.machine().lower()
    architecture = {"x86_64": "amd64", "x64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    return f"{platform.system().lower()}-{architecture}"


def _download(options: PipelineOptions, note: Callable[[str], None]) -> Path | None:
    """Lets Beam download the binary; None if that fails, or hangs."""
    found: list[Path] = []

    def fetch() -> None:
        with contextlib.suppress(Exception):  # no network, no such release, no place to put it: all mean no Prism
            found.append(_unpack(PrismJobServer(options).path_to_binary()))

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(_NOTE_SECONDS)
    if thread.is_alive():
        note(f"getting Prism {beam_version} ...")
        thread.join(_DOWNLOAD_SECONDS)
    return found[0] if found else None


@contextlib.contextmanager
def running_prism(binary: Path) -> Iterator[str]:
    """Runs Prism as long as the context lasts, and gives its endpoint.

    It is in a session of its own, so that Ctrl-C at a terminal ends it only after its job has been drained; and where
    the system can do that (Linux) it ends when this process does, however that comes about.

    Raises:
        UsageError: it is no program.
        RuntimeError: it does not start.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    try:
        process = subprocess.Popen(  # noqa: S603 (a binary that Beam or the user chose)
            [str(binary), f"--job_port={port}", "--serve_http=false", "--log_kind=text", "--log_level=warn"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=partial(_die_with, os.getpid()) if sys.platform == "linux" else None,  # noqa: PLW1509
        )
    except OSError as error:
        raise UsageError(f"cannot run {str(binary)!r} as Prism: {error.strerror}; {HOW_TO_GET}") from None
    try:
        _await_port(process, port)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()  # it has nothing to keep
        process.wait()


def _die_with(parent: int) -> None:
    """Has this process end when its parent does, or at once if that has ended before it could be asked."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        signal.raise_signal(signal.SIGKILL)


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            raise RuntimeError(f"Prism ended at once, with status {process.returncode}; {HOW_TO_GET}")
        time.sleep(0.02)
    raise RuntimeError(f"Prism did not start within {_START_SECONDS:.0f} s")
