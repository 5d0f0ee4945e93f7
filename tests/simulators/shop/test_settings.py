"""The keys of a configuration.ini, and the options of the same names."""

from __future__ import annotations

import argparse
import re
from decimal import Decimal
from pathlib import Path

import pytest

from command_line.config_file import parse_with_file
from schemas.values_file import read_section
from simulators.shop.settings import SECTIONS, SETTINGS, translated
from simulators.smoothies import COMMAND

FULL = """[KAFKA]
bootstrap_servers = localhost:19092, other:19093
# plaintext or sasl_scram
auth_method = plaintext
sasl_username = foo
sasl_password = bar
topic_products = shop.products
topic_purchases = shop.purchases
topic_inventories = shop.inventories

[SALES]
min_sale_freq = 1
max_sale_freq = 3
number_of_sales = 500
transaction_quantity_one_item_freq = 12
item_quantity_one_freq = 23
member_freq = 4
club_member_discount = .15
add_supp_freq_group1 = 6
add_supp_freq_group2 = 1
supplements_cost = 2.49

[INVENTORY]
min_inventory = 8
restock_amount = 20
"""


def written(folder: Path, text: str = FULL) -> Path:
    file = folder / "configuration.ini"
    file.write_text(text)
    return file


def options(file: Path, *given: str) -> argparse.Namespace:
    parser = COMMAND.parser()
    return parse_with_file(parser, ["--config", str(file), *given], translate=translated, together=SECTIONS).values


def test_every_key_is_an_option_of_the_same_name(tmp_path: Path) -> None:
    args = options(written(tmp_path))
    assert args.output.text == "kafka://localhost:19092,other:19093"
    assert (args.topic_products, args.topic_purchases) == ("shop.products", "shop.purchases")
    assert (args.topic_inventories, args.topic_lost_sales) == ("shop.inventories", "demo.lost_sales")
    assert (args.min_sale_freq, args.max_sale_freq, args.number_of_sales) == (1, 3, 500)
    assert (args.transaction_quantity_one_item_freq, args.item_quantity_one_freq, args.member_freq) == (12, 23, 4)
    assert args.club_member_discount == Decimal("0.15")
    assert (args.add_supp_freq_group1, args.add_supp_freq_group2) == (6, 1)
    assert args.supplements_cost == Decimal("2.49")
    assert (args.min_inventory, args.restock_amount) == (8, 20)


def test_keys_may_be_missing_and_other_options_may_stand_in_front(tmp_path: Path) -> None:
    args = options(written(tmp_path, "[DEFAULT]\nseed = 7\nopening-hours = always\n[SALES]\nmember_freq = 9\n"))
    assert (args.seed, args.member_freq, args.min_inventory) == (7, 9, 10)
    assert args.opening_hours[6] == (0, 86_400)
    assert args.output.text == "kafka://127.0.0.1:9092"


def test_the_command_line_wins_whatever_the_file_says(tmp_path: Path) -> None:
    file = written(tmp_path, FULL.replace("member_freq = 4", "member_freq = many").replace("localhost", "loc alhost/x"))
    args = options(file, "--member-freq", "2", "--output", "-")
    assert (args.member_freq, args.output.text) == (2, "-")


def test_a_file_of_another_form_is_read_as_ever(tmp_path: Path) -> None:
    file = written(tmp_path, "[small]\nmember_freq = 1\n[big]\nmember_freq = 10\n")
    assert options(file, "--mode", "big").member_freq == 10
    with pytest.raises(ValueError, match=r"--mode must say which section of .* to read: \[small\], \[big\]"):
        options(file)


def test_a_mode_is_one_section(tmp_path: Path) -> None:
    assert options(written(tmp_path), "--mode", "sales").member_freq == 4


def test_toml_may_have_the_same_sections(tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text("seed = 3\n[SALES]\nclub_member_discount = 0.2\nmember_freq = 5\n[INVENTORY]\nmin_inventory = 1\n")
    args = options(file)
    assert (args.seed, args.member_freq, args.min_inventory) == (3, 5, 1)
    assert args.club_member_discount == Decimal("0.2")


#: A part of the file, what is put in its place, the section and the key that are told, and what is told of it.
WRONG = [
    ("min_sale_freq = 1", "min_sale_freq = x", "SALES", "min_sale_freq", "expected a number, got 'x'"),
    ("min_sale_freq = 1", "min_sale_freq = -1", "SALES", "min_sale_freq", "expected seconds, 0 to 1000000, got '-1'"),
    ("min_sale_freq = 1", "min_sale_freq = 4", "SALES", "max_sale_freq", "expected 4 (min_sale_freq) or more, got 3"),
    ("sales = 500", "sales = 1.5", "SALES", "number_of_sales", "expected a whole number, 0 or more, got '1.5'"),
    ("member_freq = 4", "member_freq = 11", "SALES", "member_freq", "expected a whole number, 0 to 10, got '11'"),
    ("= 12", "= 21", "SALES", "transaction_quantity_one_item_freq", "expected a whole number, 0 to 20, got '21'"),
    ("= 23", "= 31", "SALES", "item_quantity_one_freq", "expected a whole number, 0 to 30, got '31'"),
    (".15", "15", "SALES", "club_member_discount", "expected a share such as .10, 0 to 1, got '15'"),
    (".15", "", "SALES", "club_member_discount", "expected a share such as .10, 0 to 1, got ''"),
    (".15", "nan", "SALES", "club_member_discount", "expected a share such as .10, 0 to 1, got 'nan'"),
    ("2.49", "free", "SALES", "supplements_cost", "expected dollars and cents such as 1.99, got 'free'"),
    ("= 20", "= 0", "INVENTORY", "restock_amount", "expected a whole number, 1 or more, got '0'"),
    ("= 8", "= -8", "INVENTORY", "min_inventory", "expected a whole number, 0 or more, got '-8'"),
    ("plaintext\ns", "magic\ns", "KAFKA", "auth_method", "expected plaintext or sasl_scram, got 'magic'"),
    (
        "= localhost:",
        "= a b/x:",
        "KAFKA",
        "bootstrap_servers",
        "expected host:port[,host:port], got 'a b/x:19092, other",
    ),
    ("shop.products", "shop products", "KAFKA", "topic_products", "expected topics of letters, digits"),
    ("shop.products", "a,b", "KAFKA", "topic_products", "expected the name of a topic, got 'a,b'"),
]
UNKNOWN = [
    ("member_freq", "member_freqs", "unknown key 'member_freqs' in [SALES] of FILE: did you mean member_freq?"),
    ("min_inventory", "colour", "unknown key 'colour' in [INVENTORY] of FILE: expected some of min_inventory, resto"),
    ("topic_products", "member_freq", "unknown key 'member_freq' in [KAFKA] of FILE"),
    ("[INVENTORY]", "[STOCK]", "unknown section [STOCK] in FILE: expected [KAFKA], [SALES], [INVENTORY]"),
]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [*((old, new, f"{key} in [{section}] of FILE: {what}") for old, new, section, key, what in WRONG), *UNKNOWN],
)
def test_what_is_wrong_is_told_in_one_line_with_its_section(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in FULL
    file = written(tmp_path, FULL.replace(old, new))
    with pytest.raises(ValueError, match=re.escape(message.replace("FILE", str(file)))) as caught:
        options(file)
    assert "\n" not in str(caught.value)


SCRAM = FULL.replace("auth_method = plaintext", "auth_method = sasl_scram").replace("bar", "s3cret")


def test_a_password_stays_in_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, SCRAM)
    values = translated(read_section(file, None, (), SECTIONS))
    assert values["kafka_security"] == str(file)
    assert "s3cret" not in repr(values)


@pytest.mark.parametrize("missing", ["sasl_username = foo", "sasl_password = s3cret"])
def test_scram_needs_a_user_and_a_password(tmp_path: Path, missing: str) -> None:
    file = written(tmp_path, SCRAM.replace(missing, ""))
    with pytest.raises(ValueError, match="expected one for auth_method sasl_scram, got none") as caught:
        translated(read_section(file, None, (), SECTIONS))
    assert str(caught.value).startswith(f"{missing.split(maxsplit=1)[0]} in [KAFKA] of {file}: ")
    assert "s3cret" not in str(caught.value)


def test_every_default_can_be_read() -> None:
    for setting in SETTINGS:
        if setting.default is not None:
            setting.parse(setting.default)
