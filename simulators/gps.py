"""``python -m simulators.gps``: the fixes of vehicles that drive around, to files, pipes and sockets."""

from __future__ import annotations

import argparse
import sys

from schemas.gps import FIXES
from schemas.times import format_duration, parse_duration, to_datetime
from simulators.engine.command import Command, Simulation, checked, is_network, what_is_sent, whole
from simulators.engine.damage import JsonDamage
from simulators.engine.start_time import DEFAULT_START, read_start
from simulators.vehicles.fixes import DEFAULT_CENTRE, DEFAULT_EVERY, DEFAULT_ROWS, DEFAULT_VEHICLES, Fixes
from simulators.vehicles.journeys import Journeys
from sources.pacing import Pace

__all__ = ["COMMAND", "Fixes", "main"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what only vehicles have."""
    rows = f"fixes, 0 for no end (default: into a file or a pipe {DEFAULT_ROWS}, over a network no end)"
    what = what_is_sent(parser, rows)
    what.add_argument(
        "--vehicles",
        type=checked(whole),
        default=DEFAULT_VEHICLES,
        metavar="N",
        help=f"that drive around (default {DEFAULT_VEHICLES})",
    )
    what.add_argument(
        "--every",
        type=checked(parse_duration),
        default=DEFAULT_EVERY,
        metavar="TIME",
        help=f"from one fix of a vehicle to the next one (default {format_duration(DEFAULT_EVERY)})",
    )
    what.add_argument(
        "--centre",
        type=checked(_place),
        default=DEFAULT_CENTRE,
        metavar="LAT,LON",
        help="where they are at home, in degrees (default {},{})".format(*DEFAULT_CENTRE),
    )
    what.add_argument(
        "--start",
        type=checked(read_start),
        default=DEFAULT_START,
        metavar="TIME",
        help="time of the first fix, UTC, or now: when the stream begins (default "
        f"{to_datetime(DEFAULT_START):%Y-%m-%d})",
    )


def simulate(args: argparse.Namespace) -> Simulation:
    """Make the fixes that the options ask for.

    Raises:
        ValueError: an option is out of its range.
    """
    rows = args.rows
    if rows is None:
        rows = 0 if is_network(args.output) else DEFAULT_ROWS
    fixes = Fixes(rows, args.seed, args.vehicles, args.every, args.start, args.centre)
    return Simulation(fixes, JsonDamage(FIXES), Journeys)


COMMAND = Command(
    "gps",
    "Makes the GPS fixes of vehicles, one JSON object a line, and sends them to a file, a pipe or a socket.",
    add_options,
    simulate,
    noun="fixes",
    truth="fixes, faults, and exact sums of speeds by vehicle",
    default_pace=Pace(speed=1),
    record_types=(FIXES,),
)
#: Runs the simulator; returns its exit code.
main = COMMAND.main


def _place(text: str) -> tuple[float, float]:
    try:
        latitude, longitude = map(float, text.split(","))
    except ValueError:
        raise ValueError(f"expected degrees such as 44.9778,-93.2650, got {text!r}") from None
    return latitude, longitude


if __name__ == "__main__":
    sys.exit(main())
