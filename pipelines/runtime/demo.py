"""What a pipeline reads when it is given nothing: made by the project's own simulators, once, and kept."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

NAME = "transaction-streams"
ROWS = 100_000
MESSAGES = 20_000
SEED = 1


def demo_tape() -> str:
    """Return the path of the demo tape; make it if it is not there yet."""

    def make(path: Path) -> None:
        from simulators.registers import write_tape  # noqa: PLC0415 - costs a tenth of a second, which few have to pay

        write_tape(path, ROWS, seed=SEED)

    return _kept(f"registers-{ROWS}-{SEED}.tsv", make)


def demo_responses() -> str:
    """Return the path of the demo responses of a web server; make them if they are not there yet."""

    def make(path: Path) -> None:
        from simulators import http  # noqa: PLC0415 - as above

        status = http.main(["--rows", str(ROWS), "--seed", str(SEED), "--output", str(path), "--quiet"])
        if status:
            raise OSError(f"cannot make {path}")

    return _kept(f"responses-{ROWS}-{SEED}.jsonl", make)


def demo_messages() -> str:
    """Return the path of the demo messages of a smoothie shop; make them if they are not there yet."""

    def make(path: Path) -> None:
        from simulators import smoothies  # noqa: PLC0415 - as above

        status = smoothies.main(["--rows", str(MESSAGES), "--seed", str(SEED), "--output", str(path), "--quiet"])
        if status:
            raise OSError(f"cannot make {path}")

    return _kept(f"smoothies-{MESSAGES}-{SEED}.jsonl", make)


def demo_trips() -> str:
    """Return the path of the demo trips of taxis; make them if they are not there yet."""

    def make(path: Path) -> None:
        from simulators.taxi.trips import write_trips  # noqa: PLC0415 - as above

        write_trips(path, ROWS, seed=SEED)

    return _kept(f"trips-{ROWS}-{SEED}.csv", make)


def _kept(name: str, make: Callable[[Path], None]) -> str:
    """Return the path of a file in the user's cache folder, made if it is not there.

    Where that folder cannot be written, a folder of the user's own among the temporary ones takes its place.
    """
    for folder in (_cache, _temporary):
        with contextlib.suppress(OSError, RuntimeError):  # the next one, then: no home, or not ours to write to
            path = folder() / name
            if not path.is_file():
                make(path)
            return str(path)
    path = Path(tempfile.mkdtemp(prefix=NAME)) / name
    make(path)
    return str(path)


def _cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / NAME
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _temporary() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else ""
    folder = Path(tempfile.gettempdir()) / f"{NAME}-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    # Anybody may make a folder of that name, and put another tape into it.
    if folder.is_symlink() or (user != "" and folder.stat().st_uid != user):
        raise PermissionError(f"{folder} belongs to somebody else")
    return folder
