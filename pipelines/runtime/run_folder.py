"""A folder that each run has to itself: for its sockets, and for the temporary files that Beam leaves behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipelines.runtime.options import UsageError

PREFIX = "transaction-streams-run-"
#: The address of a Unix socket has 104 bytes on macOS, 108 on Linux, and this much of it is for its name.
_LONGEST_FOLDER = 104 - len("/prism.sock") - 1


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """Make a folder that only this user can enter, and have this process put its temporary files there.

    It is removed when the context ends, with all that is in it, and so are the folders of runs that were killed. Those
    are told by a lock, which the system lets go of when a process ends, however that comes about: a process id may be
    that of another process by now, or of one in another container.

    Raises:
        UsageError: there is no place for it.
    """
    before = tempfile.tempdir
    folder, lock = _make()
    try:
        tempfile.tempdir = str(folder)
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _make() -> tuple[Path, int]:
    """Return a new folder and the descriptor that holds its lock."""
    for parent in dict.fromkeys([tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR") or "/tmp", "/tmp"]):  # noqa: S108
        name = f"{PREFIX}{os.getpid()}-"
        if len(os.fsencode(os.path.join(parent, name))) + 8 > _LONGEST_FOLDER:  # noqa: PTH118
            continue
        with contextlib.suppress(OSError):
            _remove_left_behind(Path(parent))
            while True:
                folder = Path(tempfile.mkdtemp(prefix=name, dir=parent))
                lock = _lock(folder, wait=True)
                if lock is not None:
                    return folder, lock
    raise UsageError(f"no folder for temporary files: cannot make one in {tempfile.gettempdir()} or /tmp; set TMPDIR")


def _remove_left_behind(parent: Path) -> None:
    """Remove the folders of this user's runs that have ended without doing so."""
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another run may be at the same
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                continue
            lock = _lock(folder, wait=False)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _lock(folder: Path, *, wait: bool) -> int | None:
    """Take the lock of a folder; return None if another process has it, or has removed the folder meanwhile."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        if os.path.samestat(os.fstat(descriptor), folder.lstat()):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None
