"""Receipts: what shops sold, added up exactly by store and by product for the truth file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simulators.engine.batch import Facts, Times
from simulators.engine.sums import exact, sums_by
from simulators.stores.sales import CENT_PLACES
from simulators.tape.truth import to_text


@dataclass
class Sold:
    """Sales, their quantity in millionths and their total in cents."""

    count: int = 0
    quantity: int = 0
    cents: int = 0

    def add(self, count: int, quantity: int, cents: int) -> None:
        """Add more of them."""
        self.count += count
        self.quantity += quantity
        self.cents += cents

    def to_json(self) -> dict[str, int | str]:
        """Return all three, quantity and total as exact decimal text."""
        return {"sales": self.count, "quantity": to_text(self.quantity), "total": exact(self.cents, CENT_PLACES)}


@dataclass
class Receipts:
    """What was sold.

    Attributes:
        upcs: the texts of the UPCs, by the place that facts name.
        stores: sales by the number of the store.
        products: sales by the place of the product.
    """

    upcs: Sequence[str]
    stores: dict[int, Sold] = field(default_factory=dict)
    products: dict[int, Sold] = field(default_factory=dict)

    def add(self, facts: Facts, _: Times) -> None:
        """Add sales."""
        for sold, key in ((self.stores, "store"), (self.products, "product")):
            for number, *sums in sums_by(facts[key], facts["quantity"], facts["cents"]):
                sold.setdefault(number, Sold()).add(*sums)

    def to_json(self) -> dict[str, object]:
        """Return the sums as plain objects, with the texts of the UPCs."""
        products = {self.upcs[place]: sold for place, sold in self.products.items()}
        return {
            "stores": {str(number): sold.to_json() for number, sold in sorted(self.stores.items())},
            "upcs": {upc: sold.to_json() for upc, sold in sorted(products.items())},
        }
