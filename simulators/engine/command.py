"""The command line that all simulators share: where to, how fast, which faults, what is told, and how it ends.

A simulator is a source (:class:`Source`), what it adds up (:class:`~simulators.engine.truth.Summary`), options of its
own, and

    COMMAND = Command("weather", "Makes weather.", add_options, simulate)
    main = COMMAND.main
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar

from command_line.config_file import CONFIG, Translate, parse_with_file
from command_line.credentials import read_security
from command_line.value_options import VALUE_OPTIONS, read_value_format
from schemas.avro.registry import RegistryError
from schemas.avro.wire_format import ValueFormat, own_schemas
from schemas.object_path import local_path
from schemas.passwords import exposed
from schemas.paths import is_among
from schemas.record_type import RecordType
from schemas.text.readable import readable
from schemas.times import MICROS_PER_SECOND, parse_duration, parse_range
from simulators.engine.batch import Batch, Route, Stream
from simulators.engine.datagrams import DEFAULT_DATAGRAM_BYTES
from simulators.engine.deliver import deliver
from simulators.engine.faults import Damage, Faults
from simulators.engine.outlet import Outlet
from simulators.engine.truth import Summary, Tally, TruthFile
from sources.address import Address, parse_address
from sources.kafka.client import BrokerError, Brokers
from sources.kafka.security import KafkaSecurity
from sources.pacing import Pace
from sources.signals import Echoes

DEFAULT_OUTPUT = "tcp-listen://127.0.0.1:12000"
FAILED, WRONG_USE, INTERRUPTED, TERMINATED = 1, 2, 130, 143

T = TypeVar("T")


class Source(Protocol):
    """What makes records."""

    @property
    def preamble(self) -> bytes:
        """Bytes that go before the first record, such as a header row."""

    def batches(self, *, facts: bool = False, times: bool = False) -> Iterator[Batch]:
        """Yield the records from the beginning, the same ones each time it is called.

        Args:
            facts: whether each batch needs the facts that the summary adds up (with them, the times too).
            times: whether the event times are needed; without, an array of the right length will do.
        """


@dataclass(frozen=True)
class Simulation:
    """What is sent.

    Attributes:
        source: makes the records.
        damage: makes garbage of one.
        summary: begins to add up the facts of what was sent, for the truth file.
        route: tells which way each record goes, where there are several; it looks at the facts.
    """

    source: Source
    damage: Damage
    summary: Callable[[], Summary]
    route: Route | None = None


@dataclass(frozen=True)
class Command:
    """The command line of one simulator.

    Attributes:
        name: of the module in ``simulators``.
        description: a line or two for the help.
        add_options: adds the simulator's own options; among them those of :func:`what_is_sent`.
        simulate: makes the simulation that the options ask for; raises a ValueError where they do not fit.
        noun: what people call the records.
        truth: what the truth file tells.
        default_output: an address.
        default_pace: over a network, where none is given; with one, ``--unpaced`` takes it away.
        sections: of configuration files that are no modes but read all together.
        translate: makes options of what those sections say.
        record_types: what the records are, where they are JSON.
    """

    name: str
    description: str
    add_options: Callable[[argparse.ArgumentParser], None]
    simulate: Callable[[argparse.Namespace], Simulation]
    noun: str = "records"
    truth: str = "how many records, faults, and what they add up to"
    default_output: str = DEFAULT_OUTPUT
    default_pace: Pace = Pace()
    sections: Collection[str] = ()
    translate: Translate | None = None
    record_types: tuple[RecordType, ...] = ()

    def parser(self) -> argparse.ArgumentParser:
        """Return the parser of all options."""
        parser = _Parser(
            prog=f"python -m simulators.{self.name}",
            description=self.description,
            epilog="The same options and the same seed make the same bytes.",
            allow_abbrev=False,
        )
        self.add_options(parser)
        _add_where_to(parser, self.default_output)
        _add_pace(parser, self.default_pace)
        _add_faults(parser, self.noun)
        _add_report(parser, self.truth)
        CONFIG.add_to(parser)
        return parser

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Run the simulator; return its exit code: 1 for a failure, 130 for Ctrl-C. Wrong use exits with 2."""
        parser = self.parser()
        try:
            given = sys.argv[1:] if argv is None else argv
            args = parse_with_file(parser, given, translate=self.translate, together=self.sections).values
            outlet, faults = _outlet(args, self.default_pace, self.record_types), _faults(args)
            simulation = self.simulate(args)
            _check_ways(outlet, simulation)
        except ValueError as error:
            parser.error(str(error))
        except (BrokerError, RegistryError) as error:
            parser.error(" ".join(str(error).split()))
        streams = _streams(simulation, faults, args.truth, needs_times=args.speed is not None)
        # A shell that starts us in the background makes us deaf to Ctrl-C; whoever sends it all the same means it.
        stop = _stopper()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        try:
            sent = deliver(streams, outlet)
        except KeyboardInterrupt:
            return INTERRUPTED
        except OSError as error:
            print(f"{parser.prog}: {_reason(error, args.output)}", file=sys.stderr)
            return FAILED
        if not args.quiet and args.output.scheme != "-":
            print(f"sent {sent} {self.noun}", file=sys.stderr)
        return 0


def what_is_sent(parser: argparse.ArgumentParser, rows_help: str) -> argparse._ArgumentGroup:
    """Add the group of options on what is sent, with ``--rows`` and ``--seed`` in it, and return it for more.

    ``rows`` is None where it is not given; 0 means no end.
    """
    group = parser.add_argument_group("what is sent")
    group.add_argument("--rows", type=checked(whole), metavar="N", help=rows_help)
    group.add_argument(
        "--seed", type=checked(whole), default=0, metavar="N", help="of everything that is drawn (default 0)"
    )
    return group


def checked(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Let argparse show what the parser says of a bad value."""

    def parse_checked(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse_checked


def _local(text: str) -> Path:
    return Path(local_path(text))


def is_network(address: Address) -> bool:
    """Return whether what goes there leaves the machine, or might."""
    return address.scheme not in {"file", "-"}


def whole(text: str) -> int:
    """Read a whole number that is not negative."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"expected a whole number, 0 or more, got {text!r}")
    return int(text)


def number(text: str) -> float:
    """Read a number."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"expected a number, got {text!r}") from None


def day(text: str) -> date:
    """Read a date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expected a date such as 2011-04-01, got {text!r}") from None


def _stopper(clock: Callable[[], float] = time.monotonic) -> Callable[[int, object], None]:
    """Return a handler that ends the main thread by an exception, once for a signal and its echo."""
    echoes = Echoes(clock)

    def stop(number: int, _frame: object) -> None:
        if echoes.is_echo(number):
            return
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(TERMINATED)

    return stop


class _Parser(argparse.ArgumentParser):
    """Tells of wrong use in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USE, f"wrong usage: {readable(message)}\n")


def _add_where_to(parser: argparse.ArgumentParser, default_output: str) -> None:
    group = parser.add_argument_group("where to")
    group.add_argument(
        "--output",
        type=checked(parse_address),
        default=default_output,
        metavar="ADDRESS",
        help="a file (.gz and .zst are compressed), - for standard output, tcp-listen://host:port to serve clients, "
        "tcp://host:port to push to a listener, udp://host:port to send datagrams, kafka://host:port/topic "
        f"(default {default_output})",
    )
    group.add_argument(
        "--per-connection",
        type=checked(whole),
        nargs="?",
        const=1,
        metavar="N",
        help="listening: send N records (1 if none is said) over each connection, close it, go on with the next",
    )
    group.add_argument("--once", action="store_true", help="listening: end when a client has got the full stream")
    group.add_argument(
        "--shared",
        action="store_true",
        help="listening: one stream for all clients, each joins it where it is; it begins with the first client",
    )
    group.add_argument(
        "--connect-timeout",
        type=checked(parse_duration),
        default="30s",
        metavar="TIME",
        help="pushing, and Kafka: how long to try to connect (default 30s)",
    )
    group.add_argument("--kafka-security", metavar="FILE.toml", help="how to get in at Kafka, passwords and all")
    for option in VALUE_OPTIONS:
        option.add_to(group)
    group.add_argument(
        "--datagram",
        type=checked(whole),
        metavar="BYTES",
        help="udp: put records that are due into one datagram up to this size, one at least; 0 gives each record a "
        f"datagram of its own (default {DEFAULT_DATAGRAM_BYTES})",
    )


def _add_pace(parser: argparse.ArgumentParser, default: Pace) -> None:
    group = parser.add_argument_group(f"how fast (one of these; default: {_usual(default)})")
    group.add_argument(
        "--speed",
        type=checked(_speed),
        metavar="X",
        help="times event time: 60 plays an hour a minute, max is as fast as possible",
    )
    group.add_argument("--rate", type=checked(number), metavar="N", help="records a second")
    group.add_argument(
        "--interval", type=checked(parse_range), metavar="A..B", help="seconds between two records, evenly drawn"
    )
    if default.is_paced:
        group.add_argument("--unpaced", action="store_true", help="as fast as possible")


def _speed(text: str) -> float:
    return math.inf if text == "max" else number(text)


def _usual(pace: Pace) -> str:
    if not pace.is_paced:
        return "as fast as possible"
    if pace.interval is not None:
        usual = "--interval " + "..".join(f"{bound:g}" for bound in pace.interval)
    else:
        usual = f"--rate {pace.rate:g}" if pace.speed is None else f"--speed {pace.speed:g}"
    return f"over a network {usual}, else as fast as possible"


def _add_faults(parser: argparse.ArgumentParser, noun: str) -> None:
    group = parser.add_argument_group(f"faults (shares of all {noun}, 0 to 1; each meets one at most)")

    def share(option: str, text: str) -> None:
        group.add_argument(option, type=checked(number), default=0.0, metavar="SHARE", help=f"{noun} {text}")

    def delay(option: str, default: str, text: str) -> None:
        text = f"{text} (default {default})"
        group.add_argument(option, type=checked(parse_duration), default=default, metavar="TIME", help=text)

    share("--late", "held back")
    delay("--late-by", "2h", "for so much event time")
    share("--duplicates", "sent twice")
    share("--disorder", "out of order")
    delay("--disorder-by", "5m", "by so much event time at most")
    share("--garbage", "damaged")


def _add_report(parser: argparse.ArgumentParser, truth: str) -> None:
    group = parser.add_argument_group("what is told")
    group.add_argument("--truth", type=checked(_local), metavar="FILE.json", help=f"write what was sent: {truth}")
    group.add_argument("--quiet", action="store_true", help="say nothing on the standard error but what went wrong")


def _outlet(args: argparse.Namespace, default_pace: Pace, record_types: Sequence[RecordType]) -> Outlet:
    if args.rows == 0 and args.output.scheme == "file":
        raise ValueError(f"a file cannot hold a stream without end, got --rows 0 for {args.output.text!r}")
    _check_paths(args)
    speed, is_unpaced = args.speed, getattr(args, "unpaced", False)
    if speed == math.inf and not is_unpaced:
        speed, is_unpaced = None, True
    pace = Pace(speed, args.rate, args.interval, args.seed)
    if is_unpaced:
        if pace.is_paced:
            raise ValueError("give one of speed, rate, interval and unpaced")
    elif not pace.is_paced and is_network(args.output):
        pace = Pace(default_pace.speed, default_pace.rate, default_pace.interval, args.seed)

    def announce(address: Address) -> None:
        if not args.quiet:
            print(f"listening on {address.endpoint}", file=sys.stderr, flush=True)

    return Outlet(
        args.output,
        pace,
        args.per_connection,
        once=args.once,
        shared=args.shared,
        connect_timeout_micros=args.connect_timeout,
        datagram_bytes=args.datagram,
        values=_values(args, record_types),
        security=_security(args),
        announce=announce,
    )


def _check_paths(args: argparse.Namespace) -> None:
    """See that no file is read and written, or written twice, by whatever links."""
    read = [args.config, args.kafka_security, *(args.avro_schema or ()), *(getattr(args, "replay", None) or ())]
    read += [getattr(args, name, None) for name in ("regions", "products")]
    written: list[str] = []
    for path in (args.output.path if args.output.scheme == "file" else None, args.truth):
        if path is None:
            continue
        if is_among(str(path), (str(other) for other in read if isinstance(other, str | Path))):
            raise ValueError(f"{str(path)!r} is read, so it cannot be written")
        if is_among(str(path), written):
            raise ValueError(f"{str(path)!r} is to be written twice")
        written.append(str(path))


def _security(args: argparse.Namespace) -> KafkaSecurity:
    """Return how to get in at the brokers, once they have let us in.

    Raises:
        BrokerError: nobody answers, or they refuse.
    """
    if args.output.scheme != "kafka":
        if args.kafka_security:
            raise ValueError(f"kafka-security is for kafka:// addresses, got {args.output.text!r}")
        return KafkaSecurity()
    security = read_security(args.kafka_security, os.environ)
    for line in exposed(args.kafka_security):
        print(f"warning: {line}", file=sys.stderr)
    Brokers(args.output.host, security).check(seconds=args.connect_timeout / MICROS_PER_SECOND)
    return security


def _values(args: argparse.Namespace, record_types: Sequence[RecordType]) -> ValueFormat:
    """Return how values of messages are written, once the schema registry has let us in.

    Raises:
        RegistryError: it is not there, or refuses.
    """
    values = read_value_format(
        args.value_format, args.schema_registry, args.avro_schema or (), args.kafka_security, os.environ
    )
    if values.is_json:
        return values
    if args.output.scheme != "kafka":
        raise ValueError(f"value-format is for kafka:// addresses, got {args.output.text!r}")
    if not record_types:
        raise ValueError(f"value-format {values.form} is for simulators of JSON, which this one is not")
    if values.registry is not None:
        values.registry.check()
    return values if values.schemas else replace(values, schemas=tuple(each.text for each in own_schemas(record_types)))


def _check_ways(outlet: Outlet, simulation: Simulation) -> None:
    if len(outlet.address.topics) > 1:
        raise ValueError(f"expected one topic to send to, got {outlet.address.text!r}")
    if outlet.has_ways and simulation.route is None:
        expected = f"{outlet.address.text.rstrip('/')}/TOPIC" if outlet.address.scheme == "kafka" else "a file"
        raise ValueError(f"all records go the same way: expected {expected}, got {outlet.address.text!r}")


def _faults(args: argparse.Namespace) -> Faults:
    return Faults(args.late, args.late_by, args.duplicates, args.disorder, args.disorder_by, args.garbage, args.seed)


def _streams(simulation: Simulation, faults: Faults, truth: Path | None, *, needs_times: bool) -> Callable[[], Stream]:
    """Return what starts the stream from its beginning, again and again."""
    source = simulation.source
    file = None if truth is None else TruthFile(truth)

    def start() -> Stream:
        wants_facts = file is not None or simulation.route is not None
        batches = source.batches(facts=wants_facts, times=needs_times or faults.is_any)
        if faults.is_any:
            batches = faults.apply(batches, simulation.damage)
        if file is None:
            return Stream(batches, source.preamble, route=simulation.route)
        tally = Tally(simulation.summary())
        return Stream(batches, source.preamble, tally.add, lambda: file.offer(tally), simulation.route)

    return start


def _reason(error: OSError, output: Address) -> str:
    if not error.strerror:
        return str(error)
    place = "standard output" if output.scheme == "-" else output.text
    return f"{place if error.filename is None else error.filename}: {error.strerror}"
