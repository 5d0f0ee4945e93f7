"""Prism, the local runner that fires windows while records still come: where it is."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions, PrismRunnerOptions
from apache_beam.runners.portability.prism_runner import PrismJobServer
from apache_beam.version import __version__ as beam_version

from pipelines.runtime.options import UsageError

HOW_TO_GET = (
    "get Prism with `make prism` (needs Go), or let Beam download it while there is a network, "
    "or name one with --prism_location"
)
_DOWNLOAD_SECONDS = 120.0
#: A download that fails at once is not worth a word.
_NOTE_SECONDS = 1.0


def find_prism(options: PipelineOptions, note: Callable[[str], None]) -> Path | None:
    """Return the Prism binary: the one named, or that of ``make prism``, or of Beam, of the PATH, or of the network.

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
    private = Path(PrismJobServer.BIN_CACHE) / private_name()
    if not named and os.access(private, os.X_OK):
        return private
    cached = Path(PrismJobServer.BIN_CACHE) / f"apache_beam-v{beam_version}-prism-{_platform()}.zip"
    if not named and cached.is_file():
        return _unpack(str(cached))
    go_bin = Path(os.environ.get("GOPATH") or os.path.expanduser("~/go")) / "bin"  # noqa: PTH111 (it never fails)
    found = shutil.which("prism") or shutil.which("prism", path=str(go_bin))
    if not named and found:
        return Path(found)
    return _download(options, note)


def _unpack(path: str, *, is_named: bool = False) -> Path:
    """Return the program in a file, or at an address: itself, or what Beam unpacks into its cache if it is a zip."""
    if Path(path).is_file() and not zipfile.is_zipfile(path):
        return Path(path)
    try:
        return Path(PrismJobServer.local_bin(path, PrismJobServer.BIN_CACHE, ignore_cache=is_named))
    except Exception as error:
        raise UsageError(f"cannot unpack Prism from {path!r}: {error}") from error


def private_name() -> str:
    """Return the name of the file that scripts/get_prism.sh builds for this version of Beam and this machine.

    The number is that of the changes which the script makes to Prism: one with other changes is not mistaken for it.
    """
    return f"transaction-streams-prism-v{beam_version}-1-{_platform()}"


def _platform() -> str:
    machine = platform.machine().lower()
    architecture = {"x86_64": "amd64", "x64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    return f"{platform.system().lower()}-{architecture}"


def _download(options: PipelineOptions, note: Callable[[str], None]) -> Path | None:
    """Let Beam download the binary; None if that fails, or hangs."""
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
