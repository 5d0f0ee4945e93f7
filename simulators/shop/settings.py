"""Settings of a smoothie shop: as options, and as the keys of a ``configuration.ini``.

Its sections [KAFKA], [SALES] and [INVENTORY] are those that users of other generators of such shops have.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from schemas.smoothies import TOPICS
from schemas.values_file import Section
from simulators.engine.command import checked, number, whole
from simulators.shop.counter import OF_BASKETS, OF_CUSTOMERS, OF_DRINKS, OF_ITEMS, Habits
from simulators.shop.menu import parse_money
from simulators.shop.shop import DEFAULT_RESTOCKING
from sources.address import parse_address

SECTIONS = ("KAFKA", "SALES", "INVENTORY")
SCRAM, PLAINTEXT = "sasl_scram", "plaintext"

_SERVERS, _METHOD = "bootstrap_servers", "auth_method"
_CREDENTIALS = ("sasl_username", "sasl_password")
_OUTPUT, _SECURITY = "output", "kafka_security"
_MOST_DIGITS = 6


@dataclass(frozen=True)
class Setting:
    """An option and a key of the same name.

    Attributes:
        section: in which the key stands.
        name: of the key; the option has ``-`` for ``_``.
        parse: reads a value; raises a ValueError.
        default: as it is typed; None is nothing.
        metavar, help: of the option.
    """

    section: str
    name: str
    parse: Callable[[str], Any]
    default: str | None
    metavar: str
    help: str

    @property
    def option(self) -> str:
        """The option."""
        return "--" + self.name.replace("_", "-")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the options of all settings, in groups."""
    for section, title in (
        ("SALES", "what customers do"),
        ("INVENTORY", "what is on the shelves"),
        ("KAFKA", "topics of Kafka, or files of a folder"),
    ):
        group = parser.add_argument_group(title)
        for setting in SETTINGS:
            if setting.section == section:
                default = "" if setting.default is None else f" (default {setting.default})"
                group.add_argument(
                    setting.option,
                    type=checked(setting.parse),
                    default=setting.default,
                    metavar=setting.metavar,
                    help=setting.help + default,
                )


def translated(section: Section) -> Mapping[str, Any]:
    """Return options for the keys of [KAFKA], [SALES] and [INVENTORY]; the other ones are options already.

    Raises:
        ValueError: in one line with the key and its section: an unknown one, or a value that cannot be.
    """
    values: dict[str, Any] = {}
    kafka: dict[str, str] = {}
    for name, value in section.values.items():
        own, dot, key = name.partition(".")
        if not dot:
            values[name] = value
            continue
        known = _keys(own)
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"expected some of {', '.join(known)}"
            raise ValueError(f"unknown key {key!r} in [{own}] of {section.file}: {hint}")
        text = str(value).strip()
        if key in {_SERVERS, _METHOD, *_CREDENTIALS}:
            kafka[key] = text
        elif key not in section.given:
            try:
                _SETTINGS[key].parse(text)
            except ValueError as error:
                raise _wrong(key, own, section, str(error)) from None
            values[key] = text
    _check_gap(values, section)
    return {**values, **_where_to(kafka, section)}


def _keys(section: str) -> list[str]:
    known = [setting.name for setting in SETTINGS if setting.section == section and setting.name not in _NO_KEYS]
    return [_SERVERS, _METHOD, *_CREDENTIALS, *known] if section == "KAFKA" else known


def _check_gap(values: Mapping[str, Any], section: Section) -> None:
    low, high = (values.get(name) for name in ("min_sale_freq", "max_sale_freq"))
    if low is not None and high is not None and float(low) > float(high):
        raise _wrong("max_sale_freq", "SALES", section, f"expected {low} (min_sale_freq) or more, got {high}")


def _where_to(kafka: Mapping[str, str], section: Section) -> dict[str, str]:
    """Return the address of the brokers and, where they want a password, the file that has it: this one."""
    method = kafka.get(_METHOD, PLAINTEXT)
    if method not in {PLAINTEXT, SCRAM}:
        raise _wrong(_METHOD, "KAFKA", section, f"expected {PLAINTEXT} or {SCRAM}, got {method!r}")
    if _OUTPUT in section.given:
        return {}
    values = {}
    if _SERVERS in kafka:
        servers = "".join(kafka[_SERVERS].split())
        try:
            address = parse_address(f"kafka://{servers}")
        except ValueError:
            address = None
        if address is None or not servers or address.topics:
            raise _wrong(_SERVERS, "KAFKA", section, f"expected host:port[,host:port], got {kafka[_SERVERS]!r}")
        values[_OUTPUT] = address.text
    if method == SCRAM and _SECURITY not in section.given:
        for name in _CREDENTIALS:
            if not kafka.get(name):
                raise _wrong(name, "KAFKA", section, f"expected one for auth_method {SCRAM}, got none")
        values[_SECURITY] = str(section.file)
    return values


def _wrong(key: str, own: str, section: Section, what: str) -> ValueError:
    return ValueError(f"{key} in [{own}] of {section.file}: {what}")


def _seconds(text: str) -> float:
    seconds = number(text)
    if not 0 <= seconds <= 10**_MOST_DIGITS:
        raise ValueError(f"expected seconds, 0 to {10**_MOST_DIGITS}, got {text!r}")
    return seconds


def _of(most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and int(text) <= most):
            raise ValueError(f"expected a whole number, 0 to {most}, got {text!r}")
        return int(text)

    return parse


def _share(text: str) -> Decimal:
    try:
        share = Decimal(text)
    except InvalidOperation:
        share = Decimal(-1)
    if not (share.is_finite() and 0 <= share <= 1 and -int(share.as_tuple().exponent) <= _MOST_DIGITS):
        raise ValueError(f"expected a share such as .10, 0 to 1, got {text!r}")
    return share


def _dollars(text: str) -> Decimal:
    try:
        return parse_money(text, "")
    except ValueError:
        raise ValueError(f"expected dollars and cents such as 1.99, got {text!r}") from None


def _amount(text: str) -> int:
    if not (amount := whole(text)):
        raise ValueError(f"expected a whole number, 1 or more, got {text!r}")
    return amount


def read_topic(text: str) -> str:
    """Read the name of a topic.

    Raises:
        ValueError: no topic can have it.
    """
    if parse_address(f"kafka://localhost/{text}").topics != (text,):
        raise ValueError(f"expected the name of a topic, got {text!r}")
    return text


def _topics() -> list[Setting]:
    return [
        Setting("KAFKA", f"topic_{kind}", read_topic, topic, "NAME", f"of {kind.replace('_', ' ')}")
        for kind, (topic, _) in TOPICS.items()
    ]


_USUAL = Habits()
#: Options that are no keys of the form.
_NO_KEYS = ("topic_lost_sales",)
SETTINGS = (
    *_topics(),
    Setting("SALES", "min_sale_freq", _seconds, f"{_USUAL.gap[0]:g}", "SECONDS", "between two baskets, at least"),
    Setting("SALES", "max_sale_freq", _seconds, f"{_USUAL.gap[1]:g}", "SECONDS", "between two baskets, at most"),
    Setting("SALES", "number_of_sales", whole, None, "N", "baskets; 0 for no end"),
    Setting(
        "SALES",
        "transaction_quantity_one_item_freq",
        _of(OF_BASKETS),
        str(_USUAL.one_item),
        "N",
        f"of {OF_BASKETS} baskets have one product, the others two or three",
    ),
    Setting(
        "SALES",
        "item_quantity_one_freq",
        _of(OF_ITEMS),
        str(_USUAL.one_piece),
        "N",
        f"of {OF_ITEMS} times it is one piece of it, else two, once three",
    ),
    Setting("SALES", "member_freq", _of(OF_CUSTOMERS), str(_USUAL.members), "N", f"of {OF_CUSTOMERS} are members"),
    Setting("SALES", "club_member_discount", _share, str(_USUAL.discount), "SHARE", "that members get"),
    Setting(
        "SALES",
        "add_supp_freq_group1",
        _of(OF_DRINKS),
        str(_USUAL.boosted),
        "N",
        f"of {OF_DRINKS} superfoods or supercharged drinks get a supplement",
    ),
    Setting(
        "SALES",
        "add_supp_freq_group2",
        _of(OF_DRINKS),
        str(_USUAL.plain),
        "N",
        f"of {OF_DRINKS} other drinks get a supplement",
    ),
    Setting("SALES", "supplements_cost", _dollars, str(_USUAL.supplement), "DOLLARS", "that a supplement costs"),
    Setting(
        "INVENTORY",
        "min_inventory",
        whole,
        str(DEFAULT_RESTOCKING.below),
        "N",
        "a product is restocked when there is less of it; 0 never",
    ),
    Setting("INVENTORY", "restock_amount", _amount, str(DEFAULT_RESTOCKING.amount), "N", "that comes then"),
)
_SETTINGS = {setting.name: setting for setting in SETTINGS}
