"""What a job on Flink needs of its options: those that it has to have, and what cannot work on its workers."""

from __future__ import annotations

import ipaddress
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
)

from pipelines.runtime.flink.rest import FlinkCluster, FlinkError, cache_folder
from pipelines.runtime.options import StreamOptions, UsageError
from schemas.object_path import is_remote
from schemas.paths import is_stream
from sinks.console.output import ConsoleOutput
from sources.address import Address
from sources.parts import Spread

#: Where a TaskManager finds its worker pool, unless it is said where: beside it.
BESIDE = "localhost:50000"
#: What live jobs need unless it is given: checkpoints, whole bundles in each (or workers hang), and short bundles.
_NEEDED = ("--checkpointing_interval=1000", "--finish_bundle_before_checkpointing", "--max_bundle_time_mills=200")
#: So many parts has the state of a job: a savepoint may be gone on from with other parallelism, up to this.
_MAX_PARALLELISM = 128
_NOT_A_CLUSTER = ("", "[auto]", "[local]", "[collection]")
_MAKES_A_CLUSTER = "`make flink` starts a cluster on this machine"


class FlinkTarget(NamedTuple):
    """The cluster that a job goes to.

    Attributes:
        master: where its JobManager is.
        is_here: whether its workers see the files of this machine, at the same paths.
        is_loopback: whether its workers are in this process.
    """

    master: str
    is_here: bool
    is_loopback: bool


def flink_target(options: StreamOptions) -> FlinkTarget | None:
    """Return the cluster of the options; None where the runner is another one.

    Raises:
        UsageError: the runner is Flink, and nobody says where that is.
    """
    runner = str(options.view_as(StandardOptions).runner or "").rpartition(".")[2].lower()
    if not runner.startswith("flink"):
        return None
    master = options.view_as(FlinkRunnerOptions).flink_master
    portable = options.view_as(PortableOptions)
    if master in _NOT_A_CLUSTER:
        raise UsageError(f"expected --flink_master=HOST:PORT of a JobManager, got {master!r}; {_MAKES_A_CLUSTER}")
    is_here = is_on_loopback(master) and not options.workers_elsewhere
    return FlinkTarget(master, is_here, portable.environment_type == "LOOPBACK")


def settle_for_flink(options: StreamOptions, *, is_output_given: bool) -> None:
    """Fill in what a job on Flink needs and was not given, and refuse what its workers cannot do.

    Paths become absolute for workers on this machine, which are in another folder.

    Args:
        options: what was asked for; they are changed.
        is_output_given: whether the outputs were named, and are not those of a run that names none.

    Raises:
        UsageError: something cannot work there.
    """
    target = flink_target(options)
    if target is None:
        for name, is_asked in (("--detach", options.detach), ("--workers-elsewhere", options.workers_elsewhere)):
            if is_asked:
                raise UsageError(f"{name} is for a cluster: expected --runner=FlinkRunner, got {options.runner}")
        return
    if options.detach and target.is_loopback:
        raise UsageError("--detach leaves the job to its cluster, and --environment_type=LOOPBACK keeps it here")
    if not target.is_loopback:
        if not is_output_given:
            options.output = [text for text in options.output or () if text != "-"]
        for complaint in _misplaced(options, target):
            raise UsageError(f"{complaint} (workers of {target.master})")
    if target.is_here:
        _make_absolute(options)
    options.beam_flags += tuple(_missing(options.beam_flags, options))
    options.beam = PipelineOptions(list(options.beam_flags), **_kept(options))
    parallelism = options.view_as(FlinkRunnerOptions).parallelism
    if parallelism < 1:
        parallelism = _default_parallelism(target.master)
        options.view_as(FlinkRunnerOptions).parallelism = parallelism
    job = options.view_as(GoogleCloudOptions).job_name
    options.spread = Spread(parallelism, str(drain_file(job, target) or ""))
    if target.is_here or target.is_loopback:
        options.balance = str(cache_folder() / "flink-balances" / quote(job, safe=""))


def drain_file(job_name: str, target: FlinkTarget) -> Path | None:
    """Return the file at which the readers of a job look whether they are to end; None where they cannot see it."""
    if not target.is_here or target.is_loopback:
        return None
    return cache_folder() / "flink-drains" / quote(job_name, safe="")


def _default_parallelism(master: str) -> int:
    try:
        return FlinkCluster(master).default_parallelism()
    except FlinkError as error:
        raise UsageError(str(error)) from None


def _kept(options: StreamOptions) -> dict[str, str]:
    return {name: value for name in ("runner", "prism_location") if (value := getattr(options, name))}


def _missing(given: tuple[str, ...], options: StreamOptions) -> Iterator[str]:
    names = {text.partition("=")[0] for text in given}
    portable = options.view_as(PortableOptions)
    for flag in _NEEDED:
        if flag.partition("=")[0] not in names:
            yield flag
    if options.view_as(FlinkRunnerOptions).max_parallelism < 1:
        yield f"--max_parallelism={_MAX_PARALLELISM}"
    if options.view_as(GoogleCloudOptions).job_name is None:
        yield f"--job_name={options.pipeline}-{secrets.token_hex(4)}"
    if portable.environment_type is None:
        yield "--environment_type=EXTERNAL"
        if portable.environment_config is None:
            yield f"--environment_config={BESIDE}"


def _misplaced(options: StreamOptions, target: FlinkTarget) -> Iterator[str]:
    """Give what cannot work on workers, a line each."""
    if not options.output:
        yield "nobody sees what workers print: expected an --output, got none"
    for output in options.destinations:
        if isinstance(output, ConsoleOutput):
            yield "nobody sees what workers print: expected another --output than -"
    for path in (*_files_written(options), options.rejected, options.late, options.summary):
        if path and is_stream(path):
            yield f"{path} is a pipe or a device of this process: expected a file"
    for address in options.inputs:
        yield from _misplaced_input(address, is_here=target.is_here)
    if target.is_here:
        return
    elsewhere = "workers elsewhere do not see the folder of this process"
    read = [address.path for address in options.inputs if address.scheme == "file"]
    for path in (*read, *_files_written(options), options.rejected, options.late, options.summary):
        if path and not is_remote(path) and not os.path.isabs(path):  # noqa: PTH117
            yield f"{elsewhere}: expected an absolute path of a disk that they share, got {path!r}"
    for output in options.destinations:
        if output.shared_file:
            yield f"SQLite is a file of one machine: expected postgresql://..., got {output.path}"


def _misplaced_input(address: Address, *, is_here: bool) -> Iterator[str]:
    if address.scheme == "-":
        yield "the standard input is that of this process: expected another --input than -"
    elif address.scheme == "exec":
        yield f"workers have not the commands of this process: expected another --input than {address.text}"
    elif address.scheme in ("tcp-listen", "udp-listen") and not is_here and is_on_loopback(address.host):
        yield f"nobody knows which worker will listen: expected a host that they have, got {address.text}"


def _files_written(options: StreamOptions) -> list[str]:
    return [output.path for output in options.destinations if output.unit == "file"]


def _make_absolute(options: StreamOptions) -> None:
    options.input = [
        os.path.abspath(address.path) if _is_here(address) else text  # noqa: PTH100
        for text, address in zip(options.input or (), options.inputs, strict=True)
    ]
    options.output = [
        _absolute_output(text, output.shared_file, is_file=output.unit == "file")
        for text, output in zip(options.output or (), options.outputs, strict=True)
    ]
    for name in ("rejected", "late", "summary"):
        if (path := getattr(options, name)) and not is_remote(path):
            setattr(options, name, os.path.abspath(path))  # noqa: PTH100


def _is_here(address: Address) -> bool:
    return address.scheme == "file" and not is_remote(address.path)


def _absolute_output(text: str, shared_file: str, *, is_file: bool) -> str:
    if is_file and not is_remote(text):
        return os.path.abspath(text)  # noqa: PTH100
    if shared_file and not os.path.isabs(shared_file):  # noqa: PTH117
        return text.replace(shared_file, os.path.abspath(shared_file), 1)  # noqa: PTH100
    return text


def is_on_loopback(address: str) -> bool:
    """Tell whether ``HOST:PORT``, a host, or a URL is on this machine alone."""
    bare = address.partition("://")[2] or address
    host = bare.rpartition(":")[0] or bare
    if host in ("localhost", ""):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
