"""``python -m simulators.smoothies``: a smoothie shop that tells Kafka, or anybody else, everything it does."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.smoothies import MESSAGES
from schemas.times import format_duration, parse_duration, to_datetime
from simulators.engine.batch import Batch, Routes
from simulators.engine.command import Command, Simulation, checked, is_network, what_is_sent, whole
from simulators.engine.outlet import is_folder
from simulators.engine.start_time import read_start
from simulators.shop.counter import Habits
from simulators.shop.crowds import Calendar
from simulators.shop.damage import ShopDamage
from simulators.shop.incidents import parse_anomaly, parse_trouble
from simulators.shop.menu import MENU, read_menu
from simulators.shop.messages import KINDS
from simulators.shop.opening import Hours, parse_holidays, parse_hours
from simulators.shop.settings import SECTIONS, add_settings, read_topic, translated
from simulators.shop.shelves import Restocking
from simulators.shop.shop import (
    DEFAULT_HOLIDAYS,
    DEFAULT_HOURS,
    DEFAULT_RESTOCKING,
    DEFAULT_ROWS,
    DEFAULT_START,
    Shop,
)
from simulators.shop.truth import ShopTruth
from sources.address import Address
from sources.pacing import Pace

__all__ = ["COMMAND", "Shop", "main"]

DEFAULT_OUTPUT = "kafka://127.0.0.1:9092"
USUAL, EVEN = "usual", "even"


@dataclass(frozen=True)
class Ways:
    """Which topic each message goes to, and its key: the product.

    Attributes:
        topics: of each kind of message, or one for all.
        products: the keys, by the place that facts name.
    """

    topics: Sequence[str]
    products: Sequence[str]

    def __call__(self, batch: Batch) -> Routes:
        """Return the ways of a batch.

        Raises:
            ValueError: the batch has no facts.
        """
        if batch.facts is None:
            raise ValueError("ways need the facts of each message")
        keys = np.array([product.encode() for product in self.products], object)
        kinds = batch.facts["kind"] if len(self.topics) > 1 else np.zeros(batch.rows)
        return Routes(self.topics, kinds.astype(np.uint8), keys[batch.facts["product"]].tolist())


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what only smoothie shops have."""
    rows = f"messages, 0 for no end (default: into a file or a pipe {DEFAULT_ROWS}, else no end)"
    what = what_is_sent(parser, f"{rows}; --number-of-sales and --to end it, too")
    what.add_argument(
        "--products", type=checked(read_menu), metavar="FILE.csv", help="what is sold (default: 27 drinks)"
    )
    what.add_argument("--stores", type=checked(whole), default=1, metavar="N", help="shops that sell (default 1)")
    what.add_argument(
        "--from",
        "--start",
        dest="start",
        type=checked(read_start),
        default=DEFAULT_START,
        metavar="TIME",
        help="when the shop begins, UTC, or now: when the stream begins (default "
        f"{to_datetime(DEFAULT_START):%Y-%m-%dT%H:%M})",
    )
    what.add_argument("--to", type=checked(_end), metavar="TIME", help="when it ends (default: never)")
    what.add_argument(
        "--events-topic",
        type=checked(read_topic),
        metavar="NAME",
        help="one topic for all: {type, time, key, payload}, which is also how they are where there is no choice",
    )
    when = parser.add_argument_group("when people come")
    when.add_argument(
        "--opening-hours",
        type=checked(parse_hours),
        default=DEFAULT_HOURS,
        metavar="HOURS",
        help=f"UTC, or always (default {DEFAULT_HOURS!r})",
    )
    when.add_argument(
        "--holidays",
        type=checked(parse_holidays),
        default=DEFAULT_HOLIDAYS,
        metavar="DAYS",
        help=f"on which it is closed: dates, and months and days of every year, or none (default {DEFAULT_HOLIDAYS})",
    )
    when.add_argument(
        "--volume",
        choices=[USUAL, EVEN],
        default=USUAL,
        help="more on friday evenings than on monday mornings, or as many at any hour (default usual)",
    )
    when.add_argument(
        "--anomaly",
        type=checked(parse_anomaly),
        action="append",
        default=[],
        metavar="NAME@START+LENGTH*SIZE",
        help="so many times the usual customers for a while, such as storm@2024-01-05T16:00+2h*0.1, power-cut@1d+2h, "
        "promotion/SF07@1d+2h*4 for one product (again for more)",
    )
    add_settings(parser)
    stock = parser.add_argument_group("what comes to the shelves")
    stock.add_argument(
        "--restock-after",
        type=checked(parse_duration),
        default=format_duration(DEFAULT_RESTOCKING.delay),
        metavar="TIME",
        help=f"how long it takes (default {format_duration(DEFAULT_RESTOCKING.delay)})",
    )
    stock.add_argument(
        "--supply-trouble",
        type=checked(parse_trouble),
        action="append",
        default=[],
        metavar="PRODUCT@START+LENGTH",
        help="it cannot be restocked for a while, such as SF07@2024-01-05T16:00+2d (again for more)",
    )


def simulate(args: argparse.Namespace) -> Simulation:
    """Make the shop that the options ask for.

    Raises:
        ValueError: an option is out of its range, or does not go with another.
    """
    menu = MENU if args.products is None else args.products
    if args.events_topic is not None and args.output.topics:
        raise ValueError(f"events-topic and a topic in the output say the same, got both: {args.output.text!r}")
    in_one = args.events_topic is not None or not _has_ways(args.output)
    topics = [args.events_topic or ""] if in_one else [getattr(args, f"topic_{kind}") for kind in KINDS]
    if len(set(topics)) < len(topics):
        raise ValueError(f"each kind of message needs a topic of its own, or all one --events-topic, got {topics}")
    shop = Shop(
        _rows(args),
        args.seed,
        menu,
        Habits(
            (args.min_sale_freq, args.max_sale_freq),
            args.transaction_quantity_one_item_freq,
            args.item_quantity_one_freq,
            args.member_freq,
            args.club_member_discount,
            args.add_supp_freq_group1,
            args.add_supp_freq_group2,
            args.supplements_cost,
        ),
        Restocking(args.min_inventory, args.restock_amount, args.restock_after),
        Calendar(Hours(args.opening_hours, args.holidays), args.volume == EVEN, args.anomaly),
        args.supply_trouble,
        args.stores,
        args.start,
        args.to,
        args.number_of_sales or 0,
        in_one=in_one,
    )
    ways = Ways(args.output.topics or topics, [product.product_id for product in menu])
    has_keys = args.output.scheme == "kafka" or _has_ways(args.output)
    return Simulation(shop, ShopDamage(in_one), lambda: ShopTruth(menu, args.stores), ways if has_keys else None)


def _end(text: str) -> int:
    end = read_start(text)
    if end is None:
        raise ValueError(f"expected a time such as 2024-01-05T16:00, got {text!r}")
    return end


def _rows(args: argparse.Namespace) -> int:
    if args.rows is not None:
        rows: int = args.rows
        return rows
    has_end = args.to is not None or bool(args.number_of_sales)
    return 0 if has_end or is_network(args.output) else DEFAULT_ROWS


def _has_ways(output: Address) -> bool:
    """Return whether messages of different kinds go different ways there: to topics, or to the files of a folder."""
    return is_folder(output) or (output.scheme == "kafka" and not output.topics)


COMMAND = Command(
    "smoothies",
    "Makes the messages of a smoothie shop: its products, what it sells, restocks and cannot sell.",
    add_options,
    simulate,
    noun="messages",
    truth="messages, faults, and exact sums by product",
    default_output=DEFAULT_OUTPUT,
    default_pace=Pace(speed=1.0),
    sections=SECTIONS,
    translate=translated,
    record_types=(MESSAGES,),
)
#: Runs the simulator; returns its exit code.
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
