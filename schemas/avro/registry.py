"""A schema registry, as Confluent's protocol has it: schemas by number, and numbers by subject.

It is asked once for each schema, so that nothing is kept open in between.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from schemas.avro.schema import AvroSchema
from schemas.passwords import hold

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

#: How a registry that is away or overloaded is asked again.
_RETRIES = 3
_FIRST_WAIT_MILLIS = 200
_LAST_WAIT_MILLIS = 2_000
_TIMEOUT_SECONDS = 10
#: So much of an answer is read, and for so long. Schemas have kilobytes.
_MOST_BYTES = 16 << 20
_ANSWER_SECONDS = 30.0
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
_SERVER_ERROR = 500


class RegistryError(OSError):
    """The registry is away or refuses; the message is one line, without secrets."""


class UnknownSchemaError(RegistryError):
    """The registry does not have what it was asked for."""


@dataclass(frozen=True)
class Registry:
    """Where a schema registry is, and who asks.

    Attributes:
        url: such as ``http://localhost:8081``.
        username: empty where none is needed.
        password: of that user; never shown, nor pickled (see :class:`schemas.passwords.Password`).
        ca: a file with the certificates to trust; empty for the usual ones.
    """

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""

    def __post_init__(self) -> None:
        """Check the address.

        Raises:
            ValueError: it is none, or has a password in it.
        """
        parts = urlsplit(self.url)
        if "@" in parts.netloc:
            raise ValueError(
                "a schema registry's address takes no user and password: set SCHEMA_REGISTRY_USERNAME and _PASSWORD, "
                "or see [registry] of --kafka-security"
            )
        if parts.scheme not in {"http", "https"} or not parts.hostname or "," in self.url:
            raise ValueError(f"expected an address such as http://localhost:8081, got {self.url!r}")
        if ":" in self.username:
            raise ValueError("a user of a schema registry has no ':' in its name")
        if self.ca and not Path(self.ca).is_file():
            raise ValueError(f"cannot read the certificates of the schema registry: no file {self.ca}")
        if self.password:
            object.__setattr__(self, "password", hold(self.password))

    def check(self) -> None:
        """Ask for something that every registry has.

        Raises:
            RegistryError: it is not there, or refuses.
            ValueError: its client is not installed.
        """
        with self._asked("which types of schemas it takes") as client:
            client.get_schema_types()

    def schema(self, number: int) -> AvroSchema:
        """Return the schema of that number.

        Raises:
            UnknownSchemaError: there is none.
            RegistryError: the registry is not there, or refuses.
            ValueError: it is no Avro schema, or one that refers to others.
        """
        with self._asked(f"for schema {number}") as client:
            found = client.get_schema(number)
        return _avro(found, f"schema {number}")

    def latest(self, subject: str) -> tuple[int, AvroSchema]:
        """Return the latest schema of a subject, and its number.

        Raises:
            UnknownSchemaError: it has none.
            RegistryError: the registry is not there, or refuses.
            ValueError: it is no Avro schema, or one that refers to others.
        """
        with self._asked(f"for the latest schema of {subject}") as client:
            found = client.get_latest_version(subject)
        return _number(found.schema_id), _avro(found.schema, f"the latest schema of {subject}")

    def number(self, subject: str, schema: AvroSchema) -> int:
        """Return the number of a schema under a subject, where it is registered unless it already is.

        Raises:
            RegistryError: the registry is not there, or refuses: the schema may not go with earlier ones.
        """
        from confluent_kafka.schema_registry import Schema  # noqa: PLC0415 (an extra)

        of = Schema(json.dumps(json.loads(schema.text)), "AVRO")
        try:
            with self._asked(f"for the number of {schema.name} under {subject}") as client:
                return _number(client.lookup_schema(subject, of).schema_id)
        except UnknownSchemaError:
            with self._asked(f"to register {schema.name} under {subject}") as client:
                return int(client.register_schema(subject, of))

    @contextmanager
    def _asked(self, what: str) -> Iterator[SchemaRegistryClient]:
        """Return a client, and turn what goes wrong into one line."""
        try:
            from confluent_kafka.schema_registry import (  # noqa: PLC0415 (an extra)
                SchemaRegistryClient,
                SchemaRegistryError,
            )
        except ImportError:
            raise ValueError(
                "a schema registry needs the extra 'registry': pip install 'transaction-streams[registry]'"
            ) from None
        config: dict[str, Any] = {
            "url": self.url,
            "timeout": _TIMEOUT_SECONDS,
            "max.retries": _RETRIES,
            "retries.wait.ms": _FIRST_WAIT_MILLIS,
            "retries.max.wait.ms": _LAST_WAIT_MILLIS,
        }
        if self.username:
            config["basic.auth.user.info"] = f"{self.username}:{self.password}"
        if self.ca:
            config["ssl.ca.location"] = self.ca
        asked = f"schema registry {self.url}, asked {what}"
        try:
            with SchemaRegistryClient(config) as client:
                session = client._rest_client.session
                session.headers["Accept-Encoding"] = "identity"  # or a small answer could be a huge one
                session.event_hooks = {"response": [_bound]}
                yield client
        except SchemaRegistryError as error:
            raise _explained(asked, error.http_status_code, error.error_message) from None
        except RegistryError:
            raise
        except Exception as error:  # noqa: BLE001 - which library the client asks with is its own business
            raise RegistryError(f"{asked}, cannot be reached: {_one_line(error)}") from None


def _bound(response: Any) -> None:
    """See that no more of an answer is read than a registry has to say, and not for ever."""
    # The client asks with httpx, or with what has taken its place.
    library: Any = import_module(type(response).__module__.partition(".")[0])

    class Bounded(library.SyncByteStream):
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __iter__(self) -> Iterator[bytes]:
            size, deadline = 0, time.monotonic() + _ANSWER_SECONDS
            for part in self._stream:
                size += len(part)
                if size > _MOST_BYTES:
                    raise RegistryError(f"the schema registry's answer has more than {_MOST_BYTES:,} bytes")
                if time.monotonic() > deadline:
                    raise RegistryError(f"the schema registry's answer takes more than {_ANSWER_SECONDS:g} s")
                yield part

        def close(self) -> None:
            self._stream.close()

    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise RegistryError("the schema registry packs its answers, although it was asked not to")
    response.stream = Bounded(response.stream)


def _avro(found: Schema, what: str) -> AvroSchema:
    if (found.schema_type or "AVRO") != "AVRO":
        raise ValueError(f"{what} is no Avro schema but {found.schema_type}")
    if found.references:
        raise ValueError(f"{what} refers to other schemas, which cannot be read")
    return AvroSchema(found.schema_str or "")


def _number(schema_id: int | None) -> int:
    if schema_id is None:
        raise RegistryError("the schema registry gave a schema without a number")
    return schema_id


def _explained(asked: str, status: int, message: str) -> RegistryError:
    """Return what an answer that is an error means."""
    if status in {_UNAUTHORIZED, _FORBIDDEN}:
        return RegistryError(
            f"{asked}, refuses the user or password ({status}): see SCHEMA_REGISTRY_USERNAME and _PASSWORD"
        )
    if status == _NOT_FOUND:
        return UnknownSchemaError(f"{asked}, does not have it (404)")
    if status >= _SERVER_ERROR:
        return RegistryError(f"{asked}, failed again and again ({status})")
    return RegistryError(f"{asked}, refuses ({status}): {_one_line(message)}")


def _one_line(what: object) -> str:
    return " ".join(str(what).split())[:200]
