"""``python -m simulators.bank``: a bank's transfers, to files, pipes and sockets."""

from __future__ import annotations

import argparse
import sys
from typing import get_args

from schemas.bank import REGIONS, TRANSFERS, read_regions
from schemas.times import to_datetime
from simulators.engine.command import Command, Simulation, checked, is_network, what_is_sent
from simulators.engine.damage import JsonDamage
from simulators.engine.start_time import DEFAULT_START, read_start
from simulators.transfers.flows import Flows
from simulators.transfers.transfers import DEFAULT_GAP, DEFAULT_ROWS, Fields, Transfers, Values
from sources.address import Address, parse_address
from sources.pacing import Pace

__all__ = ["COMMAND", "Transfers", "main"]

DEFAULT_OUTPUT = "tcp-listen://127.0.0.1:9999"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what only banks have."""
    rows = f"transfers, 0 for no end (default: into a file or a pipe {DEFAULT_ROWS}, over a network no end)"
    what = what_is_sent(parser, rows)
    what.add_argument(
        "--regions",
        type=checked(read_regions),
        default=REGIONS,
        metavar="FILE.toml",
        help="a table [regions] of names and probabilities, instead of the usual five",
    )
    what.add_argument(
        "--values",
        choices=get_args(Values),
        default="uniform",
        help="evenly from 0.01 to 10000, or many small ones and few big ones (default uniform)",
    )
    what.add_argument(
        "--fields",
        choices=get_args(Fields),
        default="short",
        help="short: account, region, value; full: number, time, both accounts, names, channel and currency, too "
        "(default short)",
    )
    what.add_argument(
        "--start",
        type=checked(read_start),
        default=DEFAULT_START,
        metavar="TIME",
        help="time of the first transfer, UTC, or now: when the stream begins; the others follow at its pace (default "
        f"{to_datetime(DEFAULT_START):%Y-%m-%d})",
    )
    what.add_argument(
        "--listen",
        dest="output",
        type=checked(_listener),
        default=argparse.SUPPRESS,
        metavar="HOST:PORT",
        help="short for --output tcp-listen://HOST:PORT",
    )


def simulate(args: argparse.Namespace) -> Simulation:
    """Make the transfers that the options ask for.

    Raises:
        ValueError: an option is out of its range.
    """
    rows = args.rows
    if rows is None:
        rows = 0 if is_network(args.output) else DEFAULT_ROWS
    pace = Pace(rate=args.rate, interval=args.interval)
    transfers = Transfers(rows, args.seed, args.regions, args.values, args.fields, args.start, pace)
    return Simulation(transfers, JsonDamage(TRANSFERS), lambda: Flows(list(transfers.regions)))


COMMAND = Command(
    "bank",
    "Makes the transfers of a bank, one JSON object a line, and sends them to a file, a pipe or a socket.",
    add_options,
    simulate,
    noun="transfers",
    truth="transfers, faults, and exact sums by region",
    default_output=DEFAULT_OUTPUT,
    default_pace=Pace(interval=DEFAULT_GAP),
    record_types=(TRANSFERS,),
)
#: Runs the simulator; returns its exit code.
main = COMMAND.main


def _listener(text: str) -> Address:
    return parse_address(f"tcp-listen://{text}")


if __name__ == "__main__":
    sys.exit(main())
