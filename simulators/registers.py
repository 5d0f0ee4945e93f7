"""``python -m simulators.registers``: the registers of a co-op, writing their tape to files, pipes and sockets."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NoReturn, TypeVar

from schemas.records import Dialect
from schemas.units import parse_duration, parse_range
from schemas.wedge import COLUMNS, TAPE
from simulators.batch import Batch, Stream
from simulators.catalogue import catalogue
from simulators.damage import DelimitedDamage
from simulators.faults import Faults
from simulators.files import replaced
from simulators.outlets import Outlet
from simulators.replay import Replay
from simulators.tape import DEFAULT_REGISTERS, DEFAULT_ROWS, DEFAULT_START, Tape
from simulators.truth import Tally, TruthFile
from sources.address import Address, parse_address
from sources.pacing import Pace

__all__ = ["Tape", "main", "write_tape"]

DEFAULT_OUTPUT = "tcp-listen://127.0.0.1:12000"
SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
FAILED, WRONG_USE, INTERRUPTED, TERMINATED = 1, 2, 130, 143

T = TypeVar("T")


def write_tape(
    path: Path | str,
    rows: int = DEFAULT_ROWS,
    *,
    seed: int = 0,
    registers: int = DEFAULT_REGISTERS,
    start: date = DEFAULT_START,
    dialect: Dialect = Dialect(),  # noqa: B008 - a NamedTuple does not change
) -> Path:
    """Writes a tape into a file (compressed if its name ends in ``.gz`` or ``.zst``) and gives the file's path.

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


@dataclass(frozen=True)
class Simulation:
    """What is sent: a tape or a replay, with its faults, and where the truth about it goes."""

    source: Tape | Replay
    faults: Faults
    truth: Path | None
    needs_times: bool

    def streams(self) -> Callable[[], Stream]:
        """Gives what starts the stream from its beginning, again and again."""
        truth = None
        if self.truth is not None:
            upcs = [product.upc for product in catalogue().products] if isinstance(self.source, Tape) else None
            truth = TruthFile(self.truth, self._replayed_upcs() if upcs is None else upcs)

        def start() -> Stream:
            batches = self._batches()
            if truth is None:
                return Stream(batches, self.source.preamble)
            tally = Tally()
            return Stream(batches, self.source.preamble, tally.add, lambda: truth.offer(tally))

        return start

    def _replayed_upcs(self) -> Sequence[str]:
        return self.source.upcs if isinstance(self.source, Replay) else ()

    def _batches(self) -> Iterator[Batch]:
        wants_facts = self.truth is not None
        if isinstance(self.source, Replay):
            batches = self.source.batches(facts=wants_facts, times=self.needs_times)
        else:
            batches = self.source.batches(facts=wants_facts)
        if not self.faults.is_any:
            return batches
        return self.faults.apply(batches, DelimitedDamage(TAPE, self.source.dialect, "department"))


class _Parser(argparse.ArgumentParser):
    """Tells of wrong use in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USE, f"{self.prog}: {message}\n")


def _checked(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Lets argparse show what the parser says of a bad value."""

    def checked(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"expected a whole number, 0 or more, got {text!r}")
    return int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"expected a number, got {text!r}") from None


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expected a date such as {DEFAULT_START}, got {text!r}") from None


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m simulators.registers",
        description="Makes the register tape of a co-op, 50 columns a row, and sends it to a file, a pipe or a socket.",
        epilog="The same options and the same seed make the same bytes.",
        allow_abbrev=False,
    )
    what = parser.add_argument_group("what is sent")
    what.add_argument(
        "--rows",
        type=_checked(_whole),
        metavar="N",
        help=f"rows of tape, 0 for no end (default {DEFAULT_ROWS}; of a replay all, and 0 goes round and round)",
    )
    what.add_argument(
        "--seed", type=_checked(_whole), default=0, metavar="N", help="of customers and faults (default 0)"
    )
    what.add_argument(
        "--registers",
        type=_checked(_whole),
        default=DEFAULT_REGISTERS,
        metavar="N",
        help=f"that work side by side (default {DEFAULT_REGISTERS})",
    )
    what.add_argument(
        "--start",
        type=_checked(_date),
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

    where = parser.add_argument_group("where to")
    where.add_argument(
        "--output",
        type=_checked(parse_address),
        default=DEFAULT_OUTPUT,
        metavar="ADDRESS",
        help="a file (.gz and .zst are compressed), - for standard output, tcp-listen://host:port to serve clients, "
        f"tcp://host:port to push to a listener (default {DEFAULT_OUTPUT})",
    )
    where.add_argument(
        "--per-connection",
        type=_checked(_whole),
        nargs="?",
        const=1,
        metavar="N",
        help="listening: send N records (1 if none is said) over each connection, close it, go on with the next",
    )
    where.add_argument("--once", action="store_true", help="listening: end when a client has got the full stream")
    where.add_argument(
        "--connect-timeout",
        type=_checked(parse_duration),
        default="30s",
        metavar="TIME",
        help="pushing: how long to try to connect (default 30s)",
    )

    pace = parser.add_argument_group("how fast (one of these; default: as fast as possible)")
    pace.add_argument(
        "--speed", type=_checked(_number), metavar="X", help="times event time: 60 plays an hour a minute"
    )
    pace.add_argument("--rate", type=_checked(_number), metavar="N", help="records a second")
    pace.add_argument(
        "--interval", type=_checked(parse_range), metavar="A..B", help="seconds between two records, evenly drawn"
    )

    how = parser.add_argument_group("how rows are written (of a replay: how its files are)")
    how.add_argument("--dialect", choices=SEPARATORS, default="tab", help="what stands between fields (default tab)")
    how.add_argument("--quote", action="store_true", help="text fields in double quotes")
    how.add_argument("--header", action="store_true", help="column names in the first line")

    faults = parser.add_argument_group("faults (shares of all rows, 0 to 1; a row meets one at most)")
    faults.add_argument("--late", type=_checked(_number), default=0.0, metavar="SHARE", help="rows held back")
    faults.add_argument(
        "--late-by",
        type=_checked(parse_duration),
        default="2h",
        metavar="TIME",
        help="for so much event time (default 2h)",
    )
    faults.add_argument("--duplicates", type=_checked(_number), default=0.0, metavar="SHARE", help="rows sent twice")
    faults.add_argument("--disorder", type=_checked(_number), default=0.0, metavar="SHARE", help="rows out of order")
    faults.add_argument(
        "--disorder-by",
        type=_checked(parse_duration),
        default="5m",
        metavar="TIME",
        help="by so much event time at most (default 5m)",
    )
    faults.add_argument("--garbage", type=_checked(_number), default=0.0, metavar="SHARE", help="rows damaged")

    report = parser.add_argument_group("what is told")
    report.add_argument(
        "--truth",
        type=Path,
        metavar="FILE.json",
        help="write what was sent: rows, faults, and exact sums by department and by UPC of produce",
    )
    report.add_argument("--quiet", action="store_true", help="say nothing on the standard error but what went wrong")
    return parser


def _plan(args: argparse.Namespace) -> tuple[Simulation, Outlet]:
    """Makes the objects that the options ask for.

    Raises:
        ValueError: options that do not fit.
    """
    dialect = Dialect(SEPARATORS[args.dialect], quoted=args.quote, header=COLUMNS if args.header else ())
    pace = Pace(args.speed, args.rate, args.interval, args.seed)
    faults = Faults(args.late, args.late_by, args.duplicates, args.disorder, args.disorder_by, args.garbage, args.seed)
    if args.rows == 0 and args.output.scheme == "file":
        raise ValueError(f"a file cannot hold a stream without end, got --rows 0 for {args.output.text!r}")
    source: Tape | Replay
    if args.replay:
        source = Replay(tuple(args.replay), TAPE, dialect, args.rows)
    else:
        rows = DEFAULT_ROWS if args.rows is None else args.rows
        source = Tape(rows, args.seed, args.registers, args.start, dialect)

    def announce(address: Address) -> None:
        if not args.quiet:
            print(f"listening on {address.endpoint}", file=sys.stderr, flush=True)

    outlet = Outlet(
        args.output,
        pace,
        args.per_connection,
        once=args.once,
        connect_timeout_micros=args.connect_timeout,
        announce=announce,
    )
    return Simulation(source, faults, args.truth, args.speed is not None or faults.is_any), outlet


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the simulator; gives its exit code: 1 for a failure, 130 for Ctrl-C. Wrong use exits with 2."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        simulation, outlet = _plan(args)
    except ValueError as error:
        parser.error(str(error))
    # A shell that starts us in the background makes us deaf to Ctrl-C; whoever sends it all the same means it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        rows = outlet.deliver(simulation.streams())
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        print(f"{parser.prog}: {_reason(error)}", file=sys.stderr)
        return FAILED
    if not args.quiet and args.output.scheme != "-":
        print(f"sent {rows} rows", file=sys.stderr)
    return 0


def _reason(error: OSError) -> str:
    if error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
