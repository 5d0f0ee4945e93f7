"""What a pipeline does to its process where it has one to itself: ``python -m pipelines.NAME``, or a script."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from command_line.main import PIPELINES

#: How long the standard streams may take to be flushed at the end: nobody may read them any longer.
_FLUSH_SECONDS = 1.0
#: What Beam imports, if it is there, and we do without or import by ourselves.
_BEAM_ALONE = ("boto3", "bson")
#: The packages that threads of a runner run through.
_RUNNERS = ("apache_beam", "grpc")


def begin() -> None:
    """Prepare the process for the imports of a program, which take a second."""
    gc.disable()  # imports make much that stays; looking for garbage in it takes a tenth of a second
    # Ctrl-C in its imports shall not cost a traceback. SIG_DFL would be lost: polars, imported, takes it for "ignore".
    signal.signal(signal.SIGINT, _die)


@contextlib.contextmanager
def lean_beam() -> Iterator[None]:
    """Let Beam be imported without what it needs for MongoDB and S3, where a pipeline of this project is the program.

    That is a fifth of the time that Beam takes. No pipeline here has a step of Beam's for either: objects are read by
    ``storage/``. A pipeline that somebody has added gets all of Beam.
    """
    program = sys.orig_argv[-len(sys.argv)].removeprefix("-m")
    is_ours = program in {f"pipelines.{name}" for name in PIPELINES}
    hidden = {name for name in _BEAM_ALONE if name not in sys.modules} if is_ours else set()
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: there is no such module
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextlib.contextmanager
def deaf_logging() -> Iterator[None]:
    """Keep Beam from setting up the handlers of the process's logging as long as the context lasts."""
    root, deaf = logging.getLogger(), logging.NullHandler()
    root.addHandler(deaf)
    try:
        yield
    finally:
        root.removeHandler(deaf)


def run_program(main: Callable[[], int]) -> NoReturn:
    """Run a pipeline as the only thing in this process, and leave it with the exit status that it gives.

    Nothing waits for the threads of a job that was stopped.
    """
    gc.freeze()  # what was imported stays
    gc.enable()
    threading.excepthook = sys.unraisablehook = _log
    logging.getLogger().addHandler(logging.NullHandler())  # for the last words of what was stopped
    try:
        status = main()
    except SystemExit as error:  # of argparse, which has told why
        status = error.code if isinstance(error.code, int) else bool(error.code)
    flushing = threading.Thread(target=_flush, daemon=True)
    flushing.start()
    flushing.join(_FLUSH_SECONDS)
    os._exit(status)


@contextlib.contextmanager
def quiet_threads() -> Iterator[None]:
    """Log what ends the threads of a runner, and print nothing of it, as long as the context lasts.

    When a job ends before its time, many of them have a last word, which helps nobody. Those of others are told of as
    they were before.
    """
    before: tuple[Any, Any] = threading.excepthook, sys.unraisablehook

    def tell(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda failed: _log(failed) if _is_of_runner(failed) else hook(failed)

    threading.excepthook, sys.unraisablehook = tell(before[0]), tell(before[1])
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = before


def _is_of_runner(failed: Any) -> bool:
    names = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(failed.exc_traceback))
    return any(name.partition(".")[0] in _RUNNERS for name in names)


def _log(failed: Any) -> None:
    logging.getLogger("threads").error("ended by %r", failed.exc_value)


def _die(number: int, frame: Any) -> None:  # noqa: ARG001
    """End the process the way that the signal would have ended it."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads it any longer, which was told already
            stream.flush()
