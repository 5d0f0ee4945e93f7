"""The command ``transaction-streams``: every pipeline and simulator by its name, and the page, in any folder."""

from __future__ import annotations

import runpy
import sys
from importlib.metadata import version
from typing import NoReturn

#: The distribution, and what it has.
NAME = "transaction-streams"
PIPELINES = ("produce", "errors", "credit", "sales", "relay", "totals")
SIMULATORS = ("registers", "http", "bank", "gps", "pos", "smoothies")
_USAGE = f"""\
usage: {NAME} PIPELINE [OPTION ...]
       {NAME} simulate SIMULATOR [OPTION ...]
       {NAME} page [OPTION ...]

pipelines:  {" ".join(PIPELINES)}
simulators: {" ".join(SIMULATORS)}

{NAME} NAME --help lists the options; {NAME} --version tells the version.
"""


def main() -> NoReturn:
    """Run what the command line names; it ends the process."""
    arguments = sys.argv[1:]
    if arguments[:1] in ([], ["--help"], ["-h"], ["help"]):
        print(_USAGE, end="")
        sys.exit(0 if arguments else 2)
    if arguments == ["--version"]:
        print(f"{NAME} {version(NAME)}")
        sys.exit(0)
    name, *rest = arguments
    package, names = ("pipelines", PIPELINES)
    if name == "simulate":
        package, names = ("simulators", SIMULATORS)
        name, *rest = rest or [""]
    module = f"{package}.{name}"
    if arguments[0] == "page":
        module = "pages"
    elif name not in names:
        what = package.removesuffix("s")
        sys.exit(_wrong(f"expected a {what}, one of {', '.join(names)}, got {name!r}"))
    # As Python itself has it for `python -m`, so that the program begins the same way.
    sys.argv = ["-m", *rest]
    sys.orig_argv = [sys.executable, "-m", module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    sys.exit(0)


def _wrong(reason: str) -> int:
    print(f"{NAME}: {reason} (see --help)", file=sys.stderr)
    return 2
