"""Options that say how the values of messages are written: for pipelines and simulators alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from command_line.credentials import read_registry
from command_line.option import Option
from schemas.avro.registry import Registry
from schemas.avro.schema import read_schema
from schemas.avro.wire_format import FORMS, ValueFormat

VALUE_OPTIONS = (
    Option(
        "--value-format",
        "how values of Kafka are written: JSON (default), Avro that names its schema by its fingerprint, or Avro with "
        "a schema registry",
        choices=FORMS,
        default=FORMS[0],
    ),
    Option(
        "--schema-registry",
        "where --value-format registry finds and registers schemas, such as http://localhost:8081; user and password: "
        "SCHEMA_REGISTRY_USERNAME and _PASSWORD, or [registry] of --kafka-security",
        "URL",
    ),
    Option(
        "--avro-schema",
        "an Avro schema besides our own, to read with; to write with, the first that a record fits (again for more)",
        "FILE.avsc",
        values="one, added",
    ),
)


def read_value_format(
    form: str, url: str | None, schemas: Sequence[str], security: str | None, environ: Mapping[str, str]
) -> ValueFormat:
    """Return the format that the options ask for.

    Args:
        form: of ``--value-format``.
        url: of ``--schema-registry``.
        schemas: the files of ``--avro-schema``.
        security: the file of ``--kafka-security``, whose ``[registry]`` has a user.
        environ: the environment.

    Raises:
        ValueError: options do not go together, or a file cannot be used.
    """
    if form == "registry" and not url:
        raise ValueError("value-format registry needs --schema-registry URL")
    if form != "registry" and url:
        raise ValueError(f"schema-registry is for --value-format registry, got {form}")
    if form == "json" and schemas:
        raise ValueError("avro-schema is for --value-format avro or registry, got json")
    registry: Registry | None = read_registry(url, security, environ) if url else None
    found = next(each for each in FORMS if each == form)
    return ValueFormat(found, tuple(dict.fromkeys(read_schema(path).text for path in schemas)), registry)
