"""What a smoothie shop tells: its products, what it sells, what it puts on its shelves, and what it could not sell.

Each is one JSON object a line, and has a topic of Kafka of its own. Money is in dollars, times are UTC.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from schemas.forms.json_lines import JSON_LINES
from schemas.record_type import Column, RecordType

CURRENCY = "$"
#: ``{"event_time": "2022-08-30 07:00:00.000000", "product_id": "CS01", "category": "Classic Smoothies", "item":
#: "Sunrise Sunset", "size": "24 oz.", "cogs": 1.50, "price": 4.99, "inventory": 75, "contains_fruit": true,
#: "contains_veggies": false, "contains_nuts": false, "contains_caffeine": false, "propensity_to_buy": 3}``: a product
#: as it is from that time on; ``inventory`` is what the shelves had of it then.
PRODUCTS = RecordType(
    name="product",
    names=(
        "event_time",
        "product_id",
        "category",
        "item",
        "size",
        "cogs",
        "price",
        "inventory",
        "contains_fruit",
        "contains_veggies",
        "contains_nuts",
        "contains_caffeine",
        "propensity_to_buy",
        "store_id",
    ),
    columns=(
        Column("event_time", "time", required=True),
        Column("product_id", "text", required=True),
        Column("category", "text"),
        Column("item", "text"),
        Column("size", "text"),
        Column("cogs", "decimal"),
        Column("price", "decimal", required=True),
        Column("inventory", "integer"),
        Column("contains_fruit", "boolean"),
        Column("contains_veggies", "boolean"),
        Column("contains_nuts", "boolean"),
        Column("contains_caffeine", "boolean"),
        Column("propensity_to_buy", "integer"),
        Column("store_id", "text"),
    ),
    event_time="event_time",
    form=JSON_LINES,
)

#: Products as other shops tell them: without a time, and with ``inventory_level`` for ``inventory``. One that does not
#: tell since when it is as it is has been so from the beginning; for live input, which knows no beginning, leave out
#: ``untimed``.
PRODUCTS_AS_TOLD = replace(
    PRODUCTS,
    names=(*PRODUCTS.names, "inventory_level"),
    columns=(
        *(replace(column, required=False) if column.name == "event_time" else column for column in PRODUCTS.columns),
        Column("inventory_level", "integer"),
    ),
    untimed=datetime(1970, 1, 1),
)

#: ``{"transaction_time": "2022-08-30 12:57:07.942191", "transaction_id": "...", "product_id": "SF07", "price": 5.99,
#: "quantity": 2, "is_member": true, "member_discount": 0.10, "add_supplements": true, "supplement_price": 1.99,
#: "total_purchase": 14.36}``: one product in one basket. The total is quantity x (price + supplement) x (1 - discount),
#: to the cent, half up. Shops that number no baskets leave out the ``transaction_id``.
PURCHASES = RecordType(
    name="purchase",
    names=(
        "transaction_time",
        "transaction_id",
        "product_id",
        "price",
        "quantity",
        "is_member",
        "member_discount",
        "add_supplements",
        "supplement_price",
        "total_purchase",
        "store_id",
    ),
    columns=(
        Column("transaction_time", "time", required=True),
        Column("transaction_id", "text"),
        Column("product_id", "text", required=True),
        Column("price", "decimal", required=True),
        Column("quantity", "integer", required=True),
        Column("is_member", "boolean"),
        Column("member_discount", "decimal"),
        Column("add_supplements", "boolean"),
        Column("supplement_price", "decimal"),
        Column("total_purchase", "decimal", required=True),
        Column("store_id", "text"),
    ),
    event_time="transaction_time",
    form=JSON_LINES,
)

#: ``{"event_time": "2022-08-30 13:00:00.000000", "product_id": "SF07", "existing_level": 9, "stock_quantity": 15,
#: "new_level": 24}``: a shelf was filled; the levels are those right before and after.
INVENTORIES = RecordType(
    name="restocking",
    names=("event_time", "product_id", "existing_level", "stock_quantity", "new_level", "store_id"),
    columns=(
        Column("event_time", "time", required=True),
        Column("product_id", "text", required=True),
        Column("existing_level", "integer"),
        Column("stock_quantity", "integer", required=True),
        Column("new_level", "integer", required=True),
        Column("store_id", "text"),
    ),
    event_time="event_time",
    form=JSON_LINES,
)

#: ``{"event_time": "2022-08-30 12:58:00.000000", "transaction_id": "...", "product_id": "SF07", "price": 5.99,
#: "quantity": 1}``: somebody asked for more than there was; the quantity is what could not be sold.
LOST_SALES = RecordType(
    name="lost sale",
    names=("event_time", "transaction_id", "product_id", "price", "quantity", "store_id"),
    columns=(
        Column("event_time", "time", required=True),
        Column("transaction_id", "text"),
        Column("product_id", "text", required=True),
        Column("price", "decimal", required=True),
        Column("quantity", "integer", required=True),
        Column("store_id", "text"),
    ),
    event_time="event_time",
    form=JSON_LINES,
)

#: The kinds of messages, the topics that they have unless something else is said, and what they are.
TOPICS = {
    "products": ("demo.products", PRODUCTS),
    "purchases": ("demo.purchases", PURCHASES),
    "inventories": ("demo.inventories", INVENTORIES),
    "lost_sales": ("demo.lost_sales", LOST_SALES),
}

#: All of them in one stream, each as it is or as a generic event: ``{"type": "purchases", "time": "2022-08-30
#: 12:57:07.942191", "key": "SF07", "payload": {...}}``. This is for reading; each kind is parsed as what it is.
MESSAGES = RecordType(
    name="message of a shop",
    names=("event_time",),
    columns=(Column("event_time", "time", required=True),),
    event_time="event_time",
    form=JSON_LINES,
    other_times=("transaction_time", "time"),
)

#: What a generic event may say that it is, besides the name of its kind.
OTHER_TYPES = {"product": "products", "purchase": "purchases", "inventory": "inventories", "lost_sale": "lost_sales"}

#: The fields that tell a message that comes alone: it is of the first kind of which it has one.
TELLING = {
    "purchases": ("transaction_time",),
    "inventories": ("new_level", "stock_quantity"),
    "products": ("propensity_to_buy", "inventory", "inventory_level", "cogs", "category", "item"),
    "lost_sales": ("quantity",),
}


def name_topics(*texts: str) -> dict[str, str]:
    """Return the topics by kind; those that are named as ``KIND=NAME`` have other names than usual.

    >>> name_topics("purchases=shop.sold")["purchases"]
    'shop.sold'

    Raises:
        ValueError: a text is nothing of that kind, or two kinds have one topic.
    """
    topics = {kind: topic for kind, (topic, _) in TOPICS.items()}
    for text in texts:
        kind, _, name = text.partition("=")
        if kind not in TOPICS or not name:
            raise ValueError(f"expected KIND=NAME with one of {', '.join(TOPICS)}, got {text!r}")
        topics[kind] = name
    for kind, name in topics.items():
        if list(topics.values()).count(name) > 1:
            raise ValueError(f"{kind} and another kind have one topic, {name!r}; kinds that share one need no names")
    return topics
