"""``python -m simulators.registers``: the registers of a co-op, writing their tape to files, pipes and sockets."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

from schemas.record_type import Dialect
from schemas.tape import COLUMNS, TAPE
from simulators.engine.command import Command, Simulation, checked, day, what_is_sent, whole
from simulators.engine.damage import DelimitedDamage
from simulators.engine.files import replaced
from simulators.tape.catalogue import catalogue
from simulators.tape.replay import Replay
from simulators.tape.tape import DEFAULT_REGISTERS, DEFAULT_ROWS, DEFAULT_START, Tape
from simulators.tape.truth import TapeTruth

__all__ = ["COMMAND", "Tape", "main", "write_tape"]

SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}


def write_tape(
    path: Path | str,
    rows: int = DEFAULT_ROWS,
    *,
    seed: int = 0,
    registers: int = DEFAULT_REGISTERS,
    start: date = DEFAULT_START,
    dialect: Dialect = Dialect(),  # noqa: B008 - a NamedTuple does not change
) -> Path:
    """Write a tape into a file (compressed if its name ends in ``.gz`` or ``.zst``) and return the file's path.

    The file gets its name when it is whole.

    Raises:
        ValueError: an option is out of its range, or the tape would have no end.
        OSError: the file cannot be written.

    Example:
        >>> write_tape("tape.txt", 1_000).stat().st_size > 200_000
        True
    """
    if rows == 0:
        raise ValueError("a file cannot hold a tape without end, got 0 rows")
    tape = Tape(rows, seed, registers, start, dialect)
    path = Path(path)
    with replaced(path) as file:
        for chunk in tape.chunks():
            file.write(chunk)
    return path


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what only registers have."""
    rows = f"rows of tape, 0 for no end (default {DEFAULT_ROWS}; of a replay all, and 0 goes round and round)"
    what = what_is_sent(parser, rows)
    what.add_argument(
        "--registers",
        type=checked(whole),
        default=DEFAULT_REGISTERS,
        metavar="N",
        help=f"that work side by side (default {DEFAULT_REGISTERS})",
    )
    what.add_argument(
        "--start",
        type=checked(day),
        default=DEFAULT_START,
        metavar="DATE",
        help=f"first day (default {DEFAULT_START})",
    )
    what.add_argument(
        "--replay",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="send the lines of these files instead (plain, .gz, .zst)",
    )
    how = parser.add_argument_group("how rows are written (of a replay: how its files are)")
    how.add_argument("--dialect", choices=SEPARATORS, default="tab", help="what stands between fields (default tab)")
    how.add_argument("--quote", action="store_true", help="text fields in double quotes")
    how.add_argument("--header", action="store_true", help="column names in the first line")


def simulate(args: argparse.Namespace) -> Simulation:
    """Make the tape or the replay that the options ask for.

    Raises:
        ValueError: an option is out of its range.
    """
    dialect = Dialect(SEPARATORS[args.dialect], quoted=args.quote, header=COLUMNS if args.header else ())
    damage = DelimitedDamage(TAPE, dialect, "department")
    if args.replay:
        replay = Replay(tuple(args.replay), TAPE, dialect, args.rows)
        return Simulation(replay, damage, lambda: TapeTruth(replay.upcs))
    rows = DEFAULT_ROWS if args.rows is None else args.rows
    tape = Tape(rows, args.seed, args.registers, args.start, dialect)
    return Simulation(tape, damage, lambda: TapeTruth([product.upc for product in catalogue().products]))


COMMAND = Command(
    "registers",
    "Makes the register tape of a co-op, 50 columns a row, and sends it to a file, a pipe or a socket.",
    add_options,
    simulate,
    noun="rows",
    truth="rows, faults, and exact sums by department and by UPC of produce",
)
#: Runs the simulator; returns its exit code.
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
