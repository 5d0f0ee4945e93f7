"""``python -m simulators.http``: the responses of a web server, by a formula or of made-up visitors."""

from __future__ import annotations

import argparse
import sys

from schemas.http import RESPONSES
from simulators.engine.command import Command, Simulation, checked, day, what_is_sent, whole
from simulators.engine.damage import JsonDamage
from simulators.engine.faults import Damage
from simulators.web.damage import LogDamage
from simulators.web.encounters import Encounters
from simulators.web.scripts import SCRIPTS, Script
from simulators.web.visits import DEFAULT_ROWS, DEFAULT_START, DEFAULT_VISITORS, Visits

__all__ = ["COMMAND", "main"]

WEB = "web"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what only web servers have."""
    rows = f"responses, 0 for no end (default: of visitors {DEFAULT_ROWS}; of scripts 1 and 2 {SCRIPTS['1'].rows}, "
    what = what_is_sent(parser, rows + f"of script test {SCRIPTS['test'].rows})")
    what.add_argument(
        "--script",
        choices=[*SCRIPTS, WEB],
        default=WEB,
        help="1 and 2: responses by a formula, the same for everybody; test: the first ones of script 1; web: visitors "
        "with sessions, bots, outages (default web)",
    )
    what.add_argument(
        "--visitors", type=checked(whole), metavar="N", help=f"web: people there are (default {DEFAULT_VISITORS})"
    )
    what.add_argument("--start", type=checked(day), metavar="DATE", help=f"web: first day (default {DEFAULT_START})")
    what.add_argument(
        "--format", choices=["json", "clf"], default="json", help="JSON lines, or the common log format (default json)"
    )


def simulate(args: argparse.Namespace) -> Simulation:
    """Make the visitors or the script that the options ask for.

    Raises:
        ValueError: an option is out of its range, or not for that script.
    """
    damage: Damage = JsonDamage(RESPONSES) if args.format == "json" else LogDamage()
    if args.script == WEB:
        rows = DEFAULT_ROWS if args.rows is None else args.rows
        visitors = DEFAULT_VISITORS if args.visitors is None else args.visitors
        visits = Visits(rows, args.seed, visitors, args.start or DEFAULT_START, args.format)
        return Simulation(visits, damage, Encounters)
    for name in ("visitors", "start"):
        if getattr(args, name) is not None:
            raise ValueError(f"{name} is for --script {WEB}, got --script {args.script}")
    return Simulation(Script(SCRIPTS[args.script], args.rows, args.format), damage, Encounters)


COMMAND = Command(
    "http",
    "Makes the responses of a web server, and sends them to a file, a pipe or a socket.",
    add_options,
    simulate,
    noun="responses",
    truth="responses, faults, and the visitors that met an error by date and hour",
    record_types=(RESPONSES,),
)
#: Runs the simulator; returns its exit code.
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
