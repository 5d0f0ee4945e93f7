"""What a smoothie shop tells: its products, what it sells, what it puts on its shelves, and what it could not sell.

Each is one JSON object a line, and has a topic of Kafka of its own. Money is in dollars, times are UTC.
"""

from __future__ import annotations

from schemas.records import Column, RecordType

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
    form="json",
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
    form="json",
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
    form="json",
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
    form="json",
)

#: The kinds of messages, the topics that they have unless something else is said, and what they are.
TOPICS = {
    "products": ("demo.products", PRODUCTS),
    "purchases": ("demo.purchases", PURCHASES),
    "inventories": ("demo.inventories", INVENTORIES),
    "lost_sales": ("demo.lost_sales", LOST_SALES),
}
