"""The packages of this project beside those of whoever runs it, which may have the same names."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("command_line", "pages", "pipelines", "schemas", "simulators", "sinks", "sources", "storage", "transforms")


def is_program(package: str) -> bool:
    """Return whether Python is looking for a program of that package, ``python -m PACKAGE.NAME``.

    Then its ``__init__`` has the first lines that are run. Behind the -m of sys.argv stand the program's own arguments,
    and so does the name of the program in sys.orig_argv.
    """
    return sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)].removeprefix("-m").startswith(f"{package}.")


def check_packages(package: str) -> None:
    """See that nobody else's folders or modules come before the packages of this project.

    Raises:
        ImportError: one does; the message is one line.
        SystemExit: one does, and a program of ``package`` was started.
    """
    here = Path(__file__).parents[1]
    for name in PACKAGES:
        spec = find_spec(name)
        origin = spec and (spec.origin or next(iter(spec.submodule_search_locations or ()), None))
        if origin and not Path(origin).is_relative_to(here):
            found = Path(origin).parent if Path(origin).name == "__init__.py" else origin
            reason = (
                f"{str(found)!r} takes the place of the package {name!r} of transaction-streams: run it from another "
                "folder, or by the command transaction-streams"
            )
            if not is_program(package):
                raise ImportError(reason)
            print(f"cannot start: {reason}", file=sys.stderr)
            sys.exit(2)
