"""``python -m simulators.pos``: single items that shops sell, as JSON lines, to files, pipes and sockets."""

from __future__ import annotations

import argparse
import sys

from schemas.pos import SALES
from simulators.engine.command import Command, Simulation, checked, day, what_is_sent, whole
from simulators.engine.damage import JsonDamage
from simulators.stores.receipts import Receipts
from simulators.stores.sales import DEFAULT_REGISTERS, DEFAULT_ROWS, DEFAULT_START, DEFAULT_STORES, Sales
from simulators.tape.catalogue import catalogue

__all__ = ["COMMAND", "Sales", "main"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what only shops have."""
    what = what_is_sent(parser, f"sales, 0 for no end (default {DEFAULT_ROWS})")
    what.add_argument(
        "--stores",
        type=checked(whole),
        default=DEFAULT_STORES,
        metavar="N",
        help=f"that sell (default {DEFAULT_STORES})",
    )
    what.add_argument(
        "--registers",
        type=checked(whole),
        default=DEFAULT_REGISTERS,
        metavar="N",
        help=f"that work side by side in each store (default {DEFAULT_REGISTERS})",
    )
    what.add_argument(
        "--start",
        type=checked(day),
        default=DEFAULT_START,
        metavar="DATE",
        help=f"first day (default {DEFAULT_START})",
    )


def simulate(args: argparse.Namespace) -> Simulation:
    """Make the sales that the options ask for.

    Raises:
        ValueError: an option is out of its range.
    """
    rows = DEFAULT_ROWS if args.rows is None else args.rows
    sales = Sales(rows, args.seed, args.stores, args.registers, args.start)
    return Simulation(sales, JsonDamage(SALES), lambda: Receipts([product.upc for product in catalogue().products]))


COMMAND = Command(
    "pos",
    "Makes the sales of shops, one item a JSON line, and sends them to a file, a pipe or a socket.",
    add_options,
    simulate,
    noun="sales",
    truth="sales, faults, and exact sums by store and by UPC",
    record_types=(SALES,),
)
#: Runs the simulator; returns its exit code.
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
