"""Flink clusters for tests: processes of their own in a folder of their own, on ports that nobody has."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.runtime.flink.rest import FlinkCluster
from tests.ports import free_port

_SCRIPT = Path(__file__).parent.parent / "scripts" / "flink.sh"
_NOT_THERE = 3  # the script's exit status where there is no Java, or no jars
_TRIES = 3
_PORTS = ("port", "rpc-port", "blob-port", "job-port", "pool-port")


class Cluster:
    """A JobManager, two TaskManagers with a worker pool each, and a job server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports: dict[str, int] = {}

    @property
    def master(self) -> str:
        """What --flink_master names."""
        return f"127.0.0.1:{self.ports['port']}"

    @property
    def rest(self) -> FlinkCluster:
        """Where it is asked."""
        return FlinkCluster(self.master)

    def start(self) -> None:
        for _ in range(_TRIES):
            self.ports = {name: free_port() for name in _PORTS}
            options = [text for name, port in self.ports.items() for text in (f"--{name}", str(port))]
            done = self.run("start", "--python", sys.executable, *options)
            if done.returncode == _NOT_THERE:
                pytest.skip(done.stderr.strip())
            if done.returncode == 0:
                return
        raise AssertionError(done.stderr + self.logs())

    def stop(self) -> None:
        """Stop it; fail where it leaves a process or a port."""
        done = self.run("stop")
        assert done.returncode == 0, done.stderr
        assert not self.processes()
        for port in self.ports.values():
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", port)), f"port {port} is still open"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script on this cluster."""
        return subprocess.run(
            [str(_SCRIPT), *arguments, "--folder", str(self.folder)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def processes(self, *words: str) -> list[int]:
        """Return the processes of the cluster whose command lines have these words."""
        found = []
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                line = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if f"{self.folder}/" in line and all(word in line for word in words):
                    found.append(int(place.parent.name))
        return found

    def workers(self) -> list[int]:
        """Return the processes that its pools have started."""
        pools, found = set(self.processes("worker_pool")), []
        for place in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if int(place.read_text().rpartition(")")[2].split()[1]) in pools:
                    found.append(int(place.parent.name))
        return found

    def logs(self) -> str:
        return "\n".join(f"{log}:\n{log.read_text()[-2_000:]}" for log in (self.folder / "log").glob("*.log"))


@contextlib.contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Run a cluster; skip the test where there is no Java, or its jars have not been fetched."""
    folder = Path(tempfile.mkdtemp(prefix="flink-"))
    cluster = Cluster(folder)
    try:
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
