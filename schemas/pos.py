"""Points of sale: one item that a shop sold, one JSON object a line."""

from __future__ import annotations

from schemas.forms.json_lines import JSON_LINES
from schemas.record_type import Column, RecordType

#: ``{"time":"2011-04-01 10:40:23","store":1,"register":3,"transaction":12,"upc":"0000000004011","item":"Bananas",
#: "quantity":2.66,"price":0.89,"total":2.37}``: pieces or pounds, dollars for one of them, dollars.
SALES = RecordType(
    name="sale",
    names=("time", "store", "register", "transaction", "upc", "item", "quantity", "price", "total"),
    columns=(
        Column("time", "time", required=True),
        Column("store", "integer", required=True),
        Column("register", "integer"),
        Column("transaction", "integer"),
        Column("upc", "text", required=True),
        Column("item", "text"),
        Column("quantity", "decimal", required=True),
        Column("price", "decimal"),
        Column("total", "decimal", required=True),
    ),
    event_time="time",
    form=JSON_LINES,
)
