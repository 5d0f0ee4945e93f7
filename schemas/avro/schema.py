"""Avro schemas: those of record types, those in files, and the fingerprints by which a message names its schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from schemas.record_type import DECIMAL_PLACES, ColumnKind, RecordType

#: Digits that a decimal may have: as many as the columns of frames keep.
DECIMAL_DIGITS = 38
_Made = TypeVar("_Made")
_NO_NAME_CHARACTER = re.compile(r"[^A-Za-z0-9_]")
TIME = {"type": "long", "logicalType": "timestamp-micros"}


def decimal_type(scale: int) -> dict[str, Any]:
    """Return the type of decimals: bytes and not fixed, so that small amounts are short."""
    return {"type": "bytes", "logicalType": "decimal", "precision": DECIMAL_DIGITS, "scale": scale}


#: What each kind is in Avro. The scale of a decimal is that of the columns of frames, so that every number that parsing
#: lets in is written exactly, and no sum has to be rounded.
_TYPES: dict[ColumnKind, Any] = {
    "text": "string",
    "integer": "long",
    "decimal": decimal_type(DECIMAL_PLACES),
    "time": TIME,
    "ip": "string",
    "boolean": "boolean",
}


@dataclass(frozen=True)
class AvroSchema:
    """A schema that Avro can use.

    Attributes:
        text: its JSON.
    """

    text: str

    def __post_init__(self) -> None:
        """Read the schema.

        Raises:
            ValueError: it is none.
        """
        _ = self.parsed

    @cached_property
    def parsed(self) -> Any:
        """The schema with full names, every named type described where it first appears."""
        import fastavro.schema  # noqa: PLC0415 (costs 0.1 s, and few messages are Avro)

        try:
            return fastavro.schema.parse_schema(json.loads(self.text))
        except KeyError as error:
            raise ValueError(f"no Avro schema: {error.args[0]!r} is missing or no type") from None
        except (ValueError, TypeError, AttributeError, RecursionError, fastavro.schema.SchemaParseException) as error:
            raise ValueError(f"no Avro schema: {' '.join(str(error).split())}") from None

    @cached_property
    def fingerprint(self) -> bytes:
        """The CRC-64-AVRO of its parsing canonical form: eight bytes, the lowest first, as messages have it.

        See https://avro.apache.org/docs/1.12.0/specification/#schema-fingerprints.
        """
        import fastavro.schema  # noqa: PLC0415

        form = fastavro.schema.to_parsing_canonical_form(self.parsed)
        return bytes.fromhex(fastavro.schema.fingerprint(form, "CRC-64-AVRO"))

    @property
    def name(self) -> str:
        """Its name; of a type that has none, the type."""
        parsed = self.parsed
        if isinstance(parsed, dict):
            return str(parsed.get("name", parsed["type"]))
        return "union" if isinstance(parsed, list) else str(parsed)


def compile_schema(
    schema: AvroSchema,
    plain: Mapping[str, _Made],
    compound: Mapping[str, Callable[[Any, Callable[[Any], _Made]], _Made]],
    logical: Callable[[dict[str, Any]], _Made | None],
) -> _Made:
    """Return a function made of a schema: what reads a value, for instance.

    Args:
        schema: its types are asked for once each.
        plain: the functions of the types that are no more than a name.
        compound: make those of the others, and of ``union``, with what makes those of the types in them.
        logical: makes that of a type that means more than it stands on; None for any other.
    """
    named: dict[str, Any] = {}

    def make(of: Any) -> Any:
        if isinstance(of, list):
            return compound["union"](of, make)
        if isinstance(of, str):
            return plain.get(of) or (lambda *values: named[of](*values))  # noqa: PLW0108 - it is not there yet
        base = of["type"]
        made = logical(of) or (compound[base](of, make) if base in compound else make(base))
        if "name" in of:
            named[of["name"]] = made
        return made

    made: _Made = make(schema.parsed)
    return made


def shown_fingerprint(fingerprint: bytes) -> str:
    """Return the number that other tools show.

    >>> shown_fingerprint(AvroSchema('"int"').fingerprint)
    '7275d51a3f395c8f'
    """
    return fingerprint[::-1].hex()


def schema_of(record_type: RecordType) -> AvroSchema:
    """Return the schema of a record type; a column that may be missing is a union with null, which is its default.

    >>> from schemas.bank import TRANSFERS
    >>> json.loads(schema_of(TRANSFERS).text)["fields"][0]
    {'name': 'account_id', 'type': 'long'}
    """
    return AvroSchema(json.dumps(_record(record_type)))


def event_schema(payloads: Iterable[RecordType]) -> AvroSchema:
    """Return the schema of a generic event: its type, time and key, and a payload that is one of several records."""
    fields = [
        {"name": "type", "type": _TYPES["text"]},
        {"name": "time", "type": _TYPES["time"]},
        {"name": "key", "type": ["null", _TYPES["text"]], "default": None},
        {"name": "payload", "type": [_record(payload) for payload in payloads]},
    ]
    return AvroSchema(json.dumps({"type": "record", "name": "event", "fields": fields}))


def _record(record_type: RecordType) -> dict[str, Any]:
    fields: list[dict[str, Any]] = []
    for name in record_type.names:
        column = record_type.column(name)
        of = _TYPES[column.kind]
        known: dict[str, Any] = {"type": of} if column.required else {"type": ["null", of], "default": None}
        fields.append({"name": name, **known})
    return {"type": "record", "name": _NO_NAME_CHARACTER.sub("_", record_type.name), "fields": fields}


def read_schema(path: str) -> AvroSchema:
    """Read a schema from a file, usually one that ends in .avsc.

    Raises:
        ValueError: the file cannot be read, or is no schema; the message is one line and names it.
    """
    try:
        return AvroSchema(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ValueError(f"cannot read {path}: it is not UTF-8") from None
    except ValueError as error:
        raise ValueError(f"{path} has {error}") from None
