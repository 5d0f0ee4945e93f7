"""The values of messages: JSON as it is, or Avro that becomes JSON on its way in and is made of it on its way out.

Avro has two forms here. The single-object encoding names its schema by a fingerprint, so that readers have to know it
and nobody else is needed. The form of Confluent's registry names it by a number that the registry gave.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from schemas.avro.reader import BodyReader
from schemas.avro.registry import Registry, UnknownSchemaError
from schemas.avro.schema import AvroSchema, event_schema, schema_of, shown_fingerprint
from schemas.avro.writer import BodyWriter, read_line
from schemas.bank import TRANSFERS
from schemas.gps import FIXES
from schemas.http import RESPONSES
from schemas.pos import SALES
from schemas.record_type import RecordType
from schemas.smoothies import MESSAGES, TOPICS

if TYPE_CHECKING:
    from schemas.avro.batch_reader import BlockReader

ValueForm = Literal["json", "avro", "registry"]
FORMS: tuple[ValueForm, ...] = get_args(ValueForm)

#: The record types whose Avro every reader knows, besides those of a shop of smoothies.
_SINGLE = (TRANSFERS, RESPONSES, SALES, FIXES)
_SHOP = tuple(record_type for _, record_type in TOPICS.values())

#: How a value of the single-object encoding begins; the fingerprint follows.
SINGLE_OBJECT = b"\xc3\x01"
_BODY_OF_SINGLE_OBJECT = 10
#: How a value of the registry's form begins; the number of the schema follows.
REGISTERED = b"\0"
_BODY_OF_REGISTERED = 5
#: A number that the registry does not know is asked for again after so long: a replica of it may lag behind.
_FORGET_SECONDS = 30.0
#: No more numbers that the registry does not know are kept in mind: garbage has many.
_MOST_UNKNOWN = 10_000
_SHOWN_BYTES = 4
#: Fewer values are read one by one: columns have a price of their own.
_LEAST_AT_ONCE = 500
_FORMATS_KEPT = 16
_HEADS_KEPT = 256


class Fault(str):
    """Why a value cannot be read."""

    __slots__ = ()


@dataclass(frozen=True)
class ValueFormat:
    """How values are written.

    Attributes:
        form: JSON, Avro's single-object encoding, or Avro as the registry has it.
        schemas: the JSON of Avro schemas. Readers of the single-object encoding know these besides our own
            (:func:`own_schemas`); one of them with the same fingerprint takes the place of ours, as fingerprints leave
            out how many decimals there are. A writer takes the first one that a record fits; without any, it takes the
            latest of the topic from a registry that has one, or else our own.
        registry: for the form of that name.
    """

    form: ValueForm = "json"
    schemas: tuple[str, ...] = ()
    registry: Registry | None = None

    def __post_init__(self) -> None:
        """Check that the parts belong together.

        Raises:
            ValueError: they do not.
        """
        if self.form not in FORMS:
            raise ValueError(f"expected a value format of {', '.join(FORMS)}, got {self.form!r}")
        if (self.form == "registry") != (self.registry is not None):
            raise ValueError(f"a schema registry and the value format registry need each other, got {self.form}")
        if self.form == "json" and self.schemas:
            raise ValueError("Avro schemas are for the value formats avro and registry, got json")
        found: dict[bytes, AvroSchema] = {}
        for schema in map(AvroSchema, self.schemas):
            other = found.setdefault(schema.fingerprint, schema)
            if other.parsed != schema.parsed:
                raise ValueError(f"two Avro schemas of {schema.name} differ and have the same fingerprint: give one")

    @property
    def is_json(self) -> bool:
        """Whether values are lines already."""
        return self.form == "json"


@dataclass(frozen=True)
class Decoder:
    """Returns the JSON line, without line end, of each value, or why there is none.

    A value of JSON is given as it is.

    Attributes:
        values: how they are written.
    """

    values: ValueFormat

    def __call__(self, values: Sequence[bytes], topic: str = "") -> list[bytes | Fault]:  # noqa: ARG002
        """Read the values of messages of one topic.

        Raises:
            OSError: the registry is away or refuses; the message is one line.
        """
        if self.values.is_json:
            return list(values)
        read, body = (
            (_read_single_object, _BODY_OF_SINGLE_OBJECT)
            if self.values.form == "avro"
            else (_read_registered, _BODY_OF_REGISTERED)
        )
        known = _schemas_of(self.values)
        if len(values) < _LEAST_AT_ONCE:
            return [read(value, known) for value in values]
        at_once = _read_alike(values, body, known)
        return [at_once.get(place) or read(value, known) for place, value in enumerate(values)]


@dataclass(frozen=True)
class Encoder:
    """Returns the value of each JSON line.

    Attributes:
        values: how they are to be written.
        topic: under which the registry has the schemas.
    """

    values: ValueFormat
    topic: str = ""

    def __call__(self, lines: Sequence[bytes]) -> list[bytes]:
        """Write JSON lines; their line ends do not matter.

        Raises:
            ValueError: a record does not fit; the message is one line and names the field.
            OSError: the registry is away or refuses; the message is one line.
        """
        if self.values.is_json:
            return [line.rstrip(b"\r\n") for line in lines]
        writers = _writers_of(self.values, self.topic)
        if lines and len(writers) == 1:
            (writer,) = writers
            head = writer.head()
            return [head + _written(line, writer) for line in lines]
        return [_first_written(line, writers, are_own=not self.values.schemas) for line in lines]


def make_decoder(values: ValueFormat) -> Decoder:
    """Return what reads values.

    >>> make_decoder(ValueFormat("avro"))([b"oops"], "topic")
    ['no Avro single object: it begins with 6f6f7073']
    """
    return Decoder(values)


def make_encoder(values: ValueFormat, topic: str, record_types: Sequence[RecordType] = ()) -> Encoder:
    """Return what writes values of a topic.

    Args:
        values: how they are to be written.
        topic: where they go.
        record_types: what the records are; their schemas are taken if none is given.
    """
    if record_types and not values.schemas and not values.is_json:
        values = replace(values, schemas=tuple(schema.text for schema in own_schemas(record_types)))
    return Encoder(values, topic)


def own_schemas(record_types: Sequence[RecordType] = (*_SINGLE, MESSAGES)) -> list[AvroSchema]:
    """Return the schemas of record types, of all that we have if none is given.

    What a shop of smoothies tells has one for each kind of message, and one for generic events of all kinds.
    """
    found: list[AvroSchema] = []
    for record_type in record_types:
        found += (*map(schema_of, _SHOP), event_schema(_SHOP)) if record_type is MESSAGES else (schema_of(record_type),)
    return found


@dataclass
class _Known:
    """The schemas that the reader of one format knows, each read once."""

    values: ValueFormat
    numbers: dict[int, BodyReader | Fault] = field(default_factory=dict)
    unknown: dict[int, float] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.Lock)

    @cached_property
    def fingerprints(self) -> dict[bytes, BodyReader]:
        """What reads the body of a single object, by its fingerprint."""
        schemas = (*own_schemas(), *map(AvroSchema, self.values.schemas))
        return {schema.fingerprint: BodyReader(schema) for schema in schemas}

    def block_reader(self, head: bytes) -> BlockReader | None:
        """Return what reads many values at once that begin so; None where they are to be read one by one."""
        if self.values.form == "avro":
            reader = self.fingerprints.get(head[len(SINGLE_OBJECT) :]) if head.startswith(SINGLE_OBJECT) else None
        else:
            found = self.fetch(int.from_bytes(head[len(REGISTERED) :], "big")) if head.startswith(REGISTERED) else None
            reader = found if isinstance(found, BodyReader) else None
        return None if reader is None else reader.at_once

    def fetch(self, number: int) -> BodyReader | Fault:
        """Return what reads the body of a value with that number of a schema; ask the registry once."""
        registry = self.values.registry
        if registry is None:
            raise ValueError("numbers of schemas are the registry's, and there is none")
        with self.lock:
            found = self.numbers.get(number)
            if found is not None:
                return found
            missing = Fault(f"the schema registry has no schema {number}")
            if time.monotonic() - self.unknown.get(number, -_FORGET_SECONDS) < _FORGET_SECONDS:
                return missing
            try:
                self.numbers[number] = BodyReader(registry.schema(number))
            except UnknownSchemaError:
                if len(self.unknown) >= _MOST_UNKNOWN:
                    self.unknown.clear()
                self.unknown[number] = time.monotonic()
                return missing
            except ValueError as error:
                self.numbers[number] = Fault(str(error))
            return self.numbers[number]


@lru_cache(_FORMATS_KEPT)
def _schemas_of(values: ValueFormat) -> _Known:
    """Return what readers know; the threads of a process share it."""
    return _Known(values)


def _read_alike(values: Sequence[bytes], body: int, known: _Known) -> dict[int, bytes]:
    """Read those values at once that have the schema of the first one, and are ordinary; return them by place."""
    head = values[0][:body]
    alike = [place for place, value in enumerate(values) if value[:body] == head]
    read = known.block_reader(head) if len(alike) >= _LEAST_AT_ONCE else None
    if read is None:
        return {}
    lines = read([values[place] for place in alike], body)
    return {place: line for place, line in zip(alike, lines, strict=True) if line is not None}


def _read_single_object(value: bytes, known: _Known) -> bytes | Fault:
    if value[:2] != SINGLE_OBJECT or len(value) < _BODY_OF_SINGLE_OBJECT:
        return Fault(f"no Avro single object: it begins with {value[:_SHOWN_BYTES].hex() or 'nothing'}")
    fingerprint = value[2:_BODY_OF_SINGLE_OBJECT]
    read = known.fingerprints.get(fingerprint)
    if read is None:
        shown = shown_fingerprint(fingerprint)
        return Fault(f"unknown Avro schema with the fingerprint {shown}: give it with --avro-schema FILE.avsc")
    return _read_body(read, value, _BODY_OF_SINGLE_OBJECT)


def _read_registered(value: bytes, known: _Known) -> bytes | Fault:
    if value[:1] != REGISTERED or len(value) < _BODY_OF_REGISTERED:
        return Fault(f"no value of a schema registry: it begins with {value[:_SHOWN_BYTES].hex() or 'nothing'}")
    number = int.from_bytes(value[1:_BODY_OF_REGISTERED], "big")
    read = known.numbers.get(number) or known.fetch(number)
    return read if isinstance(read, Fault) else _read_body(read, value, _BODY_OF_REGISTERED)


def _read_body(read: BodyReader, value: bytes, start: int) -> bytes | Fault:
    try:
        return read(value, start).encode()
    except ValueError as error:
        return Fault(f"no Avro of its schema: {error}")


class _Writer(NamedTuple):
    """What writes values of one schema.

    Attributes:
        name: of the schema.
        head: gives what a value begins with; the first time it may ask the registry.
        write: gives the rest.
    """

    name: str
    head: Callable[[], bytes]
    write: BodyWriter


@lru_cache(_FORMATS_KEPT)
def _writers_of(values: ValueFormat, topic: str) -> tuple[_Writer, ...]:
    if values.registry is not None and not values.schemas:
        with suppress(UnknownSchemaError):
            number, schema = values.registry.latest(f"{topic}-value")
            return (_Writer(schema.name, lambda: _registered(number), BodyWriter(schema)),)
    schemas = list(map(AvroSchema, values.schemas)) or own_schemas()
    return tuple(
        _Writer(schema.name, partial(value_head, values, topic, schema), BodyWriter(schema)) for schema in schemas
    )


@lru_cache(_HEADS_KEPT)
def value_head(values: ValueFormat, topic: str, schema: AvroSchema) -> bytes:
    """Return what the values of a topic begin with that have this schema; a registry is asked once.

    Raises:
        RegistryError: the registry is away or refuses; the message is one line.
    """
    if values.registry is None:
        return SINGLE_OBJECT + schema.fingerprint
    return _registered(values.registry.number(f"{topic}-value", schema))


def _registered(number: int) -> bytes:
    return REGISTERED + number.to_bytes(_BODY_OF_REGISTERED - 1, "big")


def _written(line: bytes, writer: _Writer) -> bytes:
    try:
        return writer.write(read_line(line))
    except ValueError as error:
        raise ValueError(f"a record does not fit the Avro schema {writer.name}: {error}") from None


def _first_written(line: bytes, writers: Sequence[_Writer], *, are_own: bool) -> bytes:
    """Write a record with the first schema that it fits."""
    record = read_line(line)
    reasons: list[str] = []
    for writer in writers:
        try:
            body = writer.write(record)
        except ValueError as error:
            reasons.append(f"{writer.name}: {error}")
        else:
            return writer.head() + body
    if are_own:
        raise ValueError("a record fits none of our own Avro schemas: give its schema with --avro-schema FILE.avsc")
    raise ValueError(f"a record fits none of the Avro schemas: {'; '.join(reasons)}")
