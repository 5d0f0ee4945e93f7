"""Beam's job server for Flink: that of ``make flink`` where it runs, or one that is started for this run."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from apache_beam.options.pipeline_options import FlinkRunnerOptions, JobServerOptions
from apache_beam.runners.portability.flink_runner import FlinkJarJobServer

from pipelines.runtime.flink import loopback
from pipelines.runtime.flink.rest import cache_folder
from pipelines.runtime.options import StreamOptions, UsageError
from pipelines.runtime.prism_server import die_with

_START_SECONDS = 120.0
_LOG_LINES = 200
_STARTED = re.compile(r"JobService started on \S+?:(\d+)")
_DRIVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"
#: What the job server looks into, and newer versions of Java close.
_OPENED = (
    "java.lang", "java.net", "java.io", "java.nio", "sun.nio.ch", "java.lang.reflect", "java.text", "java.time",
    "java.util", "java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks",
)  # fmt: skip
_FOR_JAVA = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xmx512m",
    "--add-exports=java.base/sun.net.util=ALL-UNNAMED",
    *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED),
)


class Registration(NamedTuple):
    """What scripts/flink.sh tells of a cluster that it has started.

    Attributes:
        job_endpoint: where its job server is.
        environment_config: where its TaskManagers find their worker pools.
    """

    job_endpoint: str
    environment_config: str


def find_registration(master: str) -> Registration | None:
    """Return what is known of a cluster of scripts/flink.sh, None where it is none."""
    bare = master.partition("://")[2] or master
    place = cache_folder() / "flink-clusters" / bare.rstrip("/").replace("localhost", "127.0.0.1")
    try:
        told = dict(line.partition("=")[::2] for line in place.read_text().splitlines())
        return Registration(told["job_endpoint"], told["environment_config"])
    except (OSError, KeyError, ValueError):
        return None


@contextlib.contextmanager
def running_job_server(
    options: StreamOptions, master: str, flink_version: str, folder: Path, note: Callable[[str], None]
) -> Iterator[str]:
    """Run a job server as long as the context lasts, and yield where it is.

    It is in a session of its own, so that Ctrl-C at a terminal does not end it before its job, and where the system can
    do that (Linux) it ends when this process does. Beam's own is ended by a signal handler, which only the main thread
    may set.

    Args:
        options: may name its jar, and the program of Java.
        master: the JobManager that jobs go to.
        flink_version: of the cluster, such as 1.19.0.
        folder: for what it writes.
        note: tells the user what takes a while.

    Raises:
        UsageError: there is no Java, or no jar.
        RuntimeError: it does not start.
    """
    java = options.view_as(JobServerOptions).job_server_java_launcher
    if shutil.which(java) is None:
        raise UsageError(
            f"Beam's job server takes Java: there is no {java!r} here (apt-get install default-jre-headless)"
        )
    program = _find_program(options, flink_version, folder, note)
    artifacts = folder / "artifacts"
    command = [
        java, *_FOR_JAVA, f"-Djava.io.tmpdir={folder}", *program, f"--flink-master={master}", "--job-host=127.0.0.1",
        "--job-port=0", "--artifact-port=0", "--expansion-port=-1", f"--artifacts-dir={artifacts}",
    ]  # fmt: skip
    process = subprocess.Popen(  # noqa: S603 (a jar that Beam, the user or scripts/flink.sh has chosen)
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=partial(die_with, os.getpid()) if sys.platform == "linux" else None,  # noqa: PLW1509
    )
    try:
        yield f"127.0.0.1:{_await_port(process)}"
    finally:
        process.kill()  # the job is the cluster's
        process.wait()


def _find_program(options: StreamOptions, flink_version: str, folder: Path, note: Callable[[str], None]) -> list[str]:
    """Return the arguments of Java for the job server.

    Raises:
        UsageError: it is not to be had.
    """
    named = options.view_as(FlinkRunnerOptions).flink_job_server_jar
    line = ".".join(flink_version.split(".")[:2])
    if named is None:
        for jars in sorted(cache_folder().glob("flink-*/gradle/wrapper"), reverse=True):
            if any(jars.glob(f"beam-runners-flink-{line}-*.jar")):
                patched = folder / "loopback.jar"
                fault = loopback.main(str(jars), str(patched))
                if fault:
                    note(f"warning: Beam's job server listens on all interfaces until this ends: {fault}")
                return ["-cp", f"{patched}:{_staged(jars)}/*", _DRIVER]
    options.view_as(FlinkRunnerOptions).flink_version = line
    note("warning: Beam's job server listens on all interfaces until this ends: see docs/security.md")
    try:
        server = FlinkJarJobServer(options.beam)
        return ["-jar", server.local_jar(server.path_to_jar())]
    except Exception as error:  # noqa: BLE001 (whatever Beam says of it)
        raise UsageError(
            f"no job server for Flink {line}: scripts/flink.sh get, or --flink_job_server_jar=PATH ({error})"
        ) from None


def _staged(jars: Path) -> Path:
    """Return a folder with the same jars from which jobs bring them along: another cluster may not have them."""
    staged = jars.parents[1] / "staged"
    staged.mkdir(exist_ok=True)
    for jar in jars.glob("*.jar"):
        with contextlib.suppress(FileExistsError):
            os.link(jar, staged / jar.name)
    return staged


def _await_port(process: subprocess.Popen[bytes]) -> int:
    """Return the port that the job server tells, and read on what it logs so that it never waits.

    Raises:
        RuntimeError: it ends before that, or takes too long.
    """
    log: deque[str] = deque(maxlen=_LOG_LINES)
    ports: list[int] = []
    told = threading.Event()

    def read() -> None:
        assert process.stdout is not None  # noqa: S101 (for the type checker)
        with process.stdout as lines:
            for line in lines:
                text = line.decode(errors="replace").rstrip()
                log.append(text)
                if not ports and (found := _STARTED.search(text)):
                    ports.append(int(found[1]))
                    told.set()
        told.set()

    threading.Thread(target=read, name="job server log", daemon=True).start()
    deadline = time.monotonic() + _START_SECONDS
    told.wait(max(0.0, deadline - time.monotonic()))
    if not ports:
        raise RuntimeError(f"Beam's job server does not start: {' | '.join(list(log)[-3:]) or 'it logged nothing'}")
    return ports[0]
