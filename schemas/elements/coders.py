"""Registering record types with Beam."""

from __future__ import annotations

from types import UnionType
from typing import Any, Union, get_type_hints

from apache_beam.coders import registry


def register_row(row_type: Any) -> None:
    """Register a NamedTuple type for Beam's row coder, with the true types of its fields.

    Beam takes neither postponed annotations nor ``X | None`` for a type; it would pickle such fields, and could not use
    the rows as keys. So they are resolved first.
    """
    for name, hint in get_type_hints(row_type).items():
        known = Union[hint.__args__] if isinstance(hint, UnionType) else hint  # noqa: UP007 - the other form is unknown
        row_type.__annotations__[name] = known
    registry.register_row(row_type)
