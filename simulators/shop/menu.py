"""The menu of a smoothie shop: its own, or one read from a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import accumulate
from pathlib import Path

#: Columns that a file must have; the other ones of the form are optional.
REQUIRED = ("ID", "Category", "Item", "Price")
CENT_PLACES = 2

_WEIGHT, _RANGE = "_TotalWeight", "_RangeWeight"
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no", "")
_USUAL_INVENTORY = "75"
_MOST = 10**9


@dataclass(frozen=True)
class Product:
    """A drink.

    Attributes:
        product_id: the key of its messages.
        category, item, size: texts.
        cogs: what one costs the shop, in dollars; None where nobody says.
        price: in dollars.
        inventory: how many there are when the shop opens for the first time.
        fruit, veggies, nuts, caffeine: what it contains.
        weight: how often it is asked for, compared to the others.
    """

    product_id: str
    category: str
    item: str
    size: str
    cogs: Decimal | None
    price: Decimal
    inventory: int
    fruit: bool = False
    veggies: bool = False
    nuts: bool = False
    caffeine: bool = False
    weight: int = 1

    @property
    def is_boosted(self) -> bool:
        """Whether it is of the group whose drinkers like supplements: superfoods and supercharged."""
        name = self.category.casefold()
        return self.product_id.startswith(("SF", "SC")) or name.startswith(("superfood", "supercharged"))


def propensities(menu: Sequence[Product]) -> list[int]:
    """Return ``propensity_to_buy`` of each product: the sum of the weights up to its own.

    A number drawn from 1 to the last of them stands for the first product that it is not above.
    """
    return list(accumulate(product.weight for product in menu))


def read_menu(path: Path | str) -> tuple[Product, ...]:
    """Read a menu from a CSV file with a header.

    Its columns are ``ID,Category,Item,Size,COGS,Price,Inventory,ContainsFruit,ContainsVeggies,ContainsNuts,
    ContainsCaffeine,_CatWeight,_ItemWeight,_TotalWeight,_RangeWeight``, in any order; only :data:`REQUIRED` must be
    there. ``_RangeWeight`` is cumulative and says how often a product is asked for; without it ``_TotalWeight`` does,
    and without both all are asked for alike.

    Raises:
        ValueError: in one line: the file cannot be read, a column is missing, a value cannot be (with the line).
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in REQUIRED if name not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(f"{path} has no column {missing[0]}: expected {', '.join(REQUIRED)} and more")
            rows = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no CSV file in UTF-8: {error}") from None
    if not rows:
        raise ValueError(f"{path} has no products")
    menu: list[Product] = []
    reached = 0
    for line, row in rows:
        try:
            menu.append(_product(row, reached))
            if menu[-1].product_id in {product.product_id for product in menu[:-1]}:
                raise ValueError(f"a second product with the ID {menu[-1].product_id!r}")
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}") from None
        reached += menu[-1].weight
    if not reached:
        raise ValueError(f"{path}: nobody asks for any product: all weights are 0")
    return tuple(menu)


def parse_money(text: str, what: str) -> Decimal:
    """Read dollars and cents.

    Raises:
        ValueError: no such number, a negative one, or parts of a cent.
    """
    try:
        money = Decimal(text.strip())
        cents = money.quantize(Decimal("0.01"))
    except InvalidOperation:
        cents, money = Decimal(0), Decimal("NaN")
    if not (money == cents and 0 <= money < _MOST):
        raise ValueError(f"{what} must be dollars and cents such as 5.99, got {text!r}")
    return cents


def _product(row: Mapping[str, str | None], reached: int) -> Product:
    def text(name: str) -> str:
        value = (row.get(name) or "").strip()
        if not value and name in REQUIRED:
            raise ValueError(f"{name} is empty")
        return value

    def whole(name: str, default: str) -> int:
        value = text(name) or default
        if not (value.isascii() and value.isdigit() and int(value) < _MOST):
            raise ValueError(f"{name} must be a whole number, 0 or more, got {value!r}")
        return int(value)

    def flag(name: str) -> bool:
        value = text(name).casefold()
        if value not in (*_TRUE, *_FALSE):
            raise ValueError(f"{name} must be TRUE or FALSE, or 1 or 0, got {row[name]!r}")
        return value in _TRUE

    if text(_RANGE):
        weight = whole(_RANGE, "") - reached
        if weight < 0:
            raise ValueError(f"{_RANGE} must not be less than in the line before ({reached}), got {text(_RANGE)}")
    else:
        weight = whole(_WEIGHT, "1")
    return Product(
        text("ID"),
        text("Category"),
        text("Item"),
        text("Size"),
        parse_money(text("COGS"), "COGS") if text("COGS") else None,
        parse_money(text("Price"), "Price"),
        whole("Inventory", _USUAL_INVENTORY),
        flag("ContainsFruit"),
        flag("ContainsVeggies"),
        flag("ContainsNuts"),
        flag("ContainsCaffeine"),
        weight,
    )


def _range(
    key: str, category: str, cogs: str, price: str, inventory: int, drinks: Sequence[tuple[str, str, int]]
) -> list[Product]:
    """Return the drinks of a category: their names, what they contain (f, v, n, c) and their weights."""
    return [
        Product(
            f"{key}{number:02}",
            category,
            item,
            "20 oz.",
            Decimal(cogs),
            Decimal(price),
            inventory,
            "f" in contains,
            "v" in contains,
            "n" in contains,
            "c" in contains,
            weight,
        )
        for number, (item, contains, weight) in enumerate(drinks, 1)
    ]


#: What the shop sells where nobody says otherwise: 27 drinks in four categories.
MENU: tuple[Product, ...] = (
    *_range(
        "CL",
        "Classic",
        "1.45",
        "4.79",
        75,
        [
            ("Morning Ferry", "f", 6),
            ("Two Peaches", "f", 9),
            ("Cherry Parade", "f", 4),
            ("Banana Post", "f", 12),
            ("Lemon Meadow", "f", 3),
            ("Melon Sunday", "f", 5),
            ("Strawberry Lane", "f", 15),
            ("Pear and Mint", "f", 3),
            ("Raspberry Harbor", "f", 10),
        ],
    ),
    *_range(
        "SF",
        "Superfoods",
        "2.15",
        "5.89",
        50,
        [
            ("Garden Gate", "fv", 4),
            ("Kale Country", "fv", 3),
            ("Blue Algae Bay", "f", 2),
            ("Beetroot Beat", "fv", 5),
            ("Elderberry Hour", "f", 4),
            ("Ginger Root Road", "v", 6),
            ("Spinach Sprint", "fv", 8),
        ],
    ),
    *_range(
        "SC",
        "Supercharged",
        "2.65",
        "6.19",
        35,
        [
            ("Oat Engine", "f", 11),
            ("Almond Anchor", "n", 4),
            ("Hazelnut Hurdle", "fn", 5),
            ("Double Espresso Lift", "nc", 9),
            ("Matcha Marathon", "vc", 7),
        ],
    ),
    *_range(
        "TR",
        "Treats",
        "2.25",
        "5.49",
        60,
        [
            ("Cocoa Cloud", "n", 10),
            ("Coconut Carousel", "f", 6),
            ("Toffee Tower", "", 5),
            ("Cold Brew Float", "c", 7),
            ("Cinnamon Roll Call", "n", 4),
            ("Peanut Brittle Pier", "n", 9),
        ],
    ),
)
