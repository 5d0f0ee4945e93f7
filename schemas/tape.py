"""The register tape of a co-op: 50 columns a row, as the Wedge Co-op of Minneapolis published it."""

from __future__ import annotations

from schemas.record_type import Column, RecordType

#: In which all amounts are.
CURRENCY = "$"
#: Every column of a tape row, in order (the ``transArchive`` table of the CORE point-of-sale system).
COLUMNS = (
    "datetime",
    "register_no",
    "emp_no",
    "trans_no",
    "upc",
    "description",
    "trans_type",
    "trans_subtype",
    "trans_status",
    "department",
    "quantity",
    "scale",
    "cost",
    "unit_price",
    "total",
    "reg_price",
    "alt_price",
    "tax",
    "tax_exempt",
    "food_stamp",
    "wic_able",
    "discount",
    "member_discount",
    "discountable",
    "discount_type",
    "voided",
    "percent_discount",
    "item_quantity",
    "volume_discount_type",
    "volume",
    "volume_special",
    "mix_match",
    "matched",
    "member_type",
    "staff",
    "num_flag",
    "item_status",
    "tender_status",
    "char_flag",
    "var_flag",
    "batch_header_id",
    "local",
    "organic",
    "display",
    "receipt",
    "card_no",
    "store",
    "branch",
    "match_id",
    "trans_id",
)

#: Department numbers and what they sell; 2 is the one that the main job is about.
DEPARTMENTS = {
    1: "Packaged grocery",
    2: "Produce",
    3: "Bulk",
    4: "Refrigerated grocery",
    5: "Cheese",
    6: "Frozen",
    7: "Bread",
    8: "Deli",
    9: "General grocery",
    10: "Supplements",
    11: "Personal care",
    12: "Herbs and spices",
    13: "Meat",
    14: "Juice bar",
    15: "Mercantile",
    16: "Fish and seafood",
    17: "Bakehouse",
    18: "Flowers",
}
PRODUCE = 2

#: Transaction types that are sales: items, and sums rung up on a department. The others are tenders, tax and totals.
SALE_TYPES = ("I", "D")

TAPE = RecordType(
    name="register tape",
    names=COLUMNS,
    columns=(
        Column("datetime", "time", required=True),
        Column("upc", "text", required=True),
        Column("department", "integer", required=True),
        Column("quantity", "decimal"),
        Column("scale", "integer"),
        Column("total", "decimal"),
    ),
    event_time="datetime",
)


def check_department(text: str) -> None:
    """Raise a ValueError for a text that stands for no department."""
    if text != "all" and not (text.isascii() and text.isdigit()):
        raise ValueError(f"expected a department's number or all, got {text!r}")
