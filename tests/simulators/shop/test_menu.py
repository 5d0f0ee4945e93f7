from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from simulators.shop.menu import MENU, parse_money, propensities, read_menu

HEADER = (
    "ID,Category,Item,Size,COGS,Price,Inventory,ContainsFruit,ContainsVeggies,ContainsNuts,ContainsCaffeine,"
    "_CatWeight,_ItemWeight,_TotalWeight,_RangeWeight"
)
FULL = f"""{HEADER}
A1,Classic,Plum,24 oz.,1.50,4.99,75,TRUE,FALSE,false,1,3,1,3,3
B1,Treats,Fig ’n Nut,,,5.5,0,0,0,1,0,2,2,4,8
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "products.csv"
    file.write_text(text, "utf-8")
    return file


def test_the_menu_of_the_house_has_27_drinks_in_four_categories() -> None:
    assert len(MENU) == len({product.product_id for product in MENU}) == len({product.item for product in MENU}) == 27
    assert len({product.category for product in MENU}) == 4
    assert all(product.cogs is not None and product.cogs < product.price for product in MENU)
    assert {product.product_id[:2] for product in MENU if product.is_boosted} == {"SF", "SC"}
    assert "SF07" in {product.product_id for product in MENU}


def test_a_file_is_read(tmp_path: Path) -> None:
    plum, fig = read_menu(written(tmp_path, FULL))
    assert (plum.product_id, plum.category, plum.item, plum.size) == ("A1", "Classic", "Plum", "24 oz.")
    assert (str(plum.cogs), str(plum.price), plum.inventory) == ("1.50", "4.99", 75)
    assert (plum.fruit, plum.veggies, plum.nuts, plum.caffeine) == (True, False, False, True)
    assert (fig.item, fig.cogs, str(fig.price), fig.inventory, fig.nuts) == ("Fig ’n Nut", None, "5.50", 0, True)
    # The range counts, where both are there.
    assert [plum.weight, fig.weight] == [3, 5]
    assert propensities([plum, fig]) == [3, 8]


def test_columns_may_be_missing(tmp_path: Path) -> None:
    (total,) = read_menu(written(tmp_path, "Price,Item,ID,Category,_TotalWeight\n1,x,A,B,7\n"))
    assert (total.weight, total.cogs, total.inventory) == (7, None, 75)
    (alike,) = read_menu(written(tmp_path, "Price,Item,ID,Category\n1,x,A,B\n"))
    assert alike == replace(total, weight=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column ID: expected ID, Category, Item, Price and more"),
        ("ID,Category,Item\n", "has no column Price"),
        (HEADER + "\n", "has no products"),
        (FULL + "A1,Classic,Plum,,1,2,3,0,0,0,0,1,1,1,9\n", "line 4: a second product with the ID 'A1'"),
        (FULL.replace("4.99", "free"), "line 2: Price must be dollars and cents such as 5.99, got 'free'"),
        (FULL.replace("4.99", "4.999"), "line 2: Price must be dollars and cents"),
        (FULL.replace("4.99", "-1"), "line 2: Price must be dollars and cents"),
        (FULL.replace("4.99", "inf"), "line 2: Price must be dollars and cents"),
        (FULL.replace("1.50", "x"), "line 2: COGS must be dollars and cents"),
        (FULL.replace(",75,", ",-7,"), "line 2: Inventory must be a whole number, 0 or more, got '-7'"),
        (FULL.replace("TRUE", "sure"), "line 2: ContainsFruit must be TRUE or FALSE, or 1 or 0, got 'sure'"),
        (FULL.replace("4,8", "4,2"), r"line 3: _RangeWeight must not be less than in the line before \(3\), got 2"),
        (FULL.replace("B1,", ","), "line 3: ID is empty"),
        (FULL.replace("3,3", "0,0").replace("4,8", "4,0"), "all weights are 0"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_menu(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot read .*nowhere\.csv: No such file"):
        read_menu(tmp_path / "nowhere.csv")
    file = tmp_path / "latin.csv"
    file.write_bytes(FULL.encode("utf-8").replace("’".encode(), b"\x92"))
    with pytest.raises(ValueError, match="is no CSV file in UTF-8"):
        read_menu(file)


def test_money_has_cents() -> None:
    assert parse_money(" 1.5 ", "price") == Decimal("1.50")
