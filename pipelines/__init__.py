"""Which source, which transforms, which sink; nothing else."""

import gc
import logging
import os
import signal
import sys
import threading
from typing import Any


def _die(number: int, frame: Any) -> None:  # noqa: ARG001
    """Ends the process the way that the signal would have ended it."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _keep_to_the_log(failed: Any) -> None:
    logging.getLogger("threads").error("ended by %r", failed.exc_value)


def imports_are_done() -> None:
    """Lets the garbage collector work, but leave alone what was imported, which stays."""
    gc.freeze()
    gc.enable()


if sys.argv[0] == "-m":  # Python is still looking for the program, which is one of ours
    gc.disable()  # imports make much that stays; looking for garbage in it takes a tenth of a second
    # Ctrl-C in its imports shall not cost a traceback. SIG_DFL would be lost: polars, imported, takes it for "ignore".
    signal.signal(signal.SIGINT, _die)
    # When a job ends before its time, many of a runner's threads have a last word, which helps nobody.
    logging.getLogger().addHandler(logging.NullHandler())
    threading.excepthook = sys.unraisablehook = _keep_to_the_log
