"""Bank transfers, one JSON object a line."""

from __future__ import annotations

from schemas.records import Column, RecordType

#: ``{"account_id": 1234567, "account_region": "Eurasia Trade Zone", "transaction_value": 4310.27}``, and maybe a
#: ``transfer_time``; a transfer without one happened when it arrived.
TRANSFERS = RecordType(
    name="bank transfer",
    names=("account_id", "account_region", "transaction_value", "transfer_time"),
    columns=(
        Column("account_id", "integer", required=True),
        Column("account_region", "text", required=True),
        Column("transaction_value", "decimal", required=True),
        Column("transfer_time", "time"),
    ),
    event_time="transfer_time",
    form="json",
)
