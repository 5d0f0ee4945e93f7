"""Real servers for tests, each in its own process and folder, on a port that the system picks."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port

USER, PASSWORD = "tester", "s3cret-word"


class Postgres:
    """A PostgreSQL server of our own; it asks for a password."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._programs = programs
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        # It refuses to run as root.
        self._as_whom: dict = {"user": folder.stat().st_uid, "group": folder.stat().st_gid, "extra_groups": []}
        if os.geteuid():
            self._as_whom = {}

    def url(self, user: str = USER, password: str = PASSWORD, database: str = "postgres") -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def empty(self) -> str:
        """Makes a database and gives its address."""
        name = f"empty_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        return self.url(database=name)

    def run(self, command: str) -> None:
        """Runs a command of SQL as the administrator."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(command)

    def make(self) -> None:
        """Makes its files."""
        words = self.folder / "password"
        words.write_text(PASSWORD)
        words.chmod(0o644)
        options = ("--auth=scram-sha-256", f"--username={USER}", f"--pwfile={words}", "--no-sync", "--locale=C.UTF-8")
        data = str(self.folder / "data")
        done = subprocess.run(
            [str(self._programs / "initdb"), "-D", data, "--encoding=UTF8", *options],
            capture_output=True,
            text=True,
            cwd=self.folder,
            check=False,
            **self._as_whom,
        )
        assert done.returncode == 0, done.stderr
        self.port = free_port()

    def start(self) -> None:
        """Starts it, and waits until it takes connections."""
        settings = (f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}")
        options = [part for setting in (*settings, "fsync=off", "shared_buffers=16MB") for part in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self.folder / "data"), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._as_whom,
            )
        deadline = time.monotonic() + PATIENCE_SECONDS
        ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode:
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            assert self._process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        """Stops it as an administrator would, who does not wait for its clients."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(PATIENCE_SECONDS)
            finally:
                self._process.kill()
                self._process.wait()
                self._process = None


@contextlib.contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Runs a server; skips the test where PostgreSQL is not installed."""
    programs = _find_postgres()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: neither initdb on PATH nor under /usr/lib/postgresql")
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    server = None
    try:
        if not os.geteuid():
            owner = _somebody()
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        server = Postgres(programs, folder)
        server.make()
        server.start()
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder)


def _find_postgres() -> Path | None:
    """Gives the folder of the newest PostgreSQL; Debian has no initdb on PATH."""
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = sorted(versions, key=lambda program: int(program.parts[-3]))
    if newest:
        return newest[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _somebody() -> pwd.struct_passwd:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres")
    return pwd.getpwnam("nobody")
