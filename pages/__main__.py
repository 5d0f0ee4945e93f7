"""One page over all pipelines: start and stop them, and look at what they give while they give it.

python -m pages
python -m pages --port 8090 --no-open
python -m pages sqlite:///sales.db
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pages.door import Door, DoorError, open_door

_PORT = 8080
_FOLDER = "out/page"
OK, FAILED, USAGE = 0, 1, 2


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse a command line.

    Raises:
        SystemExit: 0 after ``--help``; 2 with one line for wrong usage.
    """
    parser = argparse.ArgumentParser(
        "python -m pages", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "database",
        nargs="?",
        metavar="ADDRESS",
        help="views show this database, which a job writes elsewhere: sqlite:///PATH or postgresql://...; read only",
    )
    parser.add_argument("--port", type=int, default=_PORT, metavar="N", help=f"to listen on (default: {_PORT})")
    parser.add_argument(
        "--host",
        default=Door.host,
        metavar="ADDRESS",
        help="to listen on; beyond this machine the page can only be opened with a token (default: %(default)s)",
    )
    parser.add_argument("--folder", default=_FOLDER, metavar="PATH", help=f"for what jobs write (default: {_FOLDER})")
    parser.add_argument("--no-open", action="store_true", help="open no browser")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the page until Ctrl-C or SIGTERM, drain its jobs, and return the exit status."""
    arguments = parse(argv)
    try:
        door = open_door(arguments.host, arguments.port)
    except DoorError as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return FAILED
    with door:
        try:
            from pages.serving import serve  # noqa: PLC0415 - whether the port is free is said at once
        except ImportError as error:
            if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
                raise
            print("cannot start: the page needs an extra: pip install 'transaction-streams[page]'", file=sys.stderr)
            return USAGE
        try:
            return serve(door, arguments.folder, arguments.database, opens=not arguments.no_open)
        except ValueError as error:
            print(f"wrong usage: {error}", file=sys.stderr)
            return USAGE
        except OSError as error:
            print(f"cannot start: {error}", file=sys.stderr)
            return FAILED


if __name__ == "__main__":
    sys.exit(main())
