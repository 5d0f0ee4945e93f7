"""How to get in at the brokers of Kafka and at a schema registry: from a file, or from the environment."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from schemas.avro.registry import Registry
from schemas.passwords import REGISTRY_SECTION, in_file, in_variable
from schemas.values_file import read_section, read_values
from sources.kafka.security import _PATHS, AWS_IAM, PLAINTEXT, SASL_SSL, SCRAM, SSL, KafkaSecurity

#: The variables that stand for a file.
VARIABLES: Mapping[str, str] = {
    "protocol": "KAFKA_SECURITY_PROTOCOL",
    "mechanism": "KAFKA_SASL_MECHANISM",
    "username": "KAFKA_USERNAME",
    "password": "KAFKA_PASSWORD",
    "ca": "KAFKA_CA",
    "certificate": "KAFKA_CERTIFICATE",
    "key": "KAFKA_KEY",
    "region": "KAFKA_REGION",
}
REGISTRY_VARIABLES: Mapping[str, str] = {
    "username": "SCHEMA_REGISTRY_USERNAME",
    "password": "SCHEMA_REGISTRY_PASSWORD",
    "ca": "SCHEMA_REGISTRY_CA",
}
#: Where AWS's own programs look for the region.
_AWS_REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")
_PASSWORD_ENV = "password_env"  # noqa: S105 - the name of a setting
#: In a configuration.ini: its section, and the keys and methods in it.
_INI, _SECTION, _METHODS = ".ini", "KAFKA", ("plaintext", "sasl_scram")


def read_security(path: str | None, environ: Mapping[str, str]) -> KafkaSecurity:
    """Read how to get in from a file or, where none is named, from the environment.

    The file is TOML: names and values as :class:`KafkaSecurity` has them, and ``password_env``, the name of the
    variable that has the password (KAFKA_PASSWORD). Paths in it are seen from its folder. Without a protocol, one with
    a mechanism or user is SASL_SSL, else one with a certificate SSL. A file that ends in ``.ini`` has a section [KAFKA]
    with ``auth_method`` (plaintext, or sasl_scram for SCRAM-SHA-512 over TLS), ``sasl_username``, ``sasl_password``.

    Args:
        path: of the file.
        environ: the environment; see :data:`VARIABLES`.

    Raises:
        ValueError: in one line, what is wrong and where; without the password.

    Example:
        >>> environ = {"KAFKA_SASL_MECHANISM": "SCRAM-SHA-512", "KAFKA_USERNAME": "me", "KAFKA_PASSWORD": "secret"}
        >>> read_security(None, environ)  # doctest: +ELLIPSIS
        KafkaSecurity(protocol='SASL_SSL', mechanism='SCRAM-SHA-512', username='me', ca='', ...)
    """
    if path:
        values, place = _of_file(Path(path), environ), path
    else:
        values, place = _of_environment(environ), "the environment (KAFKA_...)"
    if values.get("mechanism") == AWS_IAM and not values.get("region"):
        values["region"] = next(filter(None, map(environ.get, _AWS_REGION)), "")
    try:
        for name in _PATHS:
            if values.get(name) and not Path(values[name]).is_file():
                raise ValueError(f"{name}: there is no file {values[name]}")
        return KafkaSecurity(**values)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def read_registry(url: str, path: str | None, environ: Mapping[str, str]) -> Registry:
    """Return a registry with its user and password.

    Args:
        url: where it is.
        path: a file of TOML, the one of :func:`read_security`; its section ``[registry]`` has ``username``,
            ``password`` or ``password_env`` (the name of a variable that has it), and ``ca``.
        environ: the environment; SCHEMA_REGISTRY_USERNAME, _PASSWORD and _CA count where the file says nothing.

    Raises:
        ValueError: in one line, what is wrong and where; without the password.
    """
    values = {name: environ[variable] for name, variable in REGISTRY_VARIABLES.items() if environ.get(variable)}
    variable = REGISTRY_VARIABLES["password"] if "password" in values else ""
    if path:
        found, named = _read(Path(path), REGISTRY_SECTION, REGISTRY_VARIABLES, environ)
        values |= found
        variable = named or ("" if "password" in found else variable)
    if variable:
        values["password"] = in_variable(variable, environ)
    return Registry(url.rstrip("/"), **values)


def _of_ini(file: Path) -> dict[str, str]:
    try:
        values = read_section(file, _SECTION).values
    except ValueError as error:
        raise ValueError(f"--kafka-security: {error}") from None
    method = str(values.get("auth_method", _METHODS[0])).strip()
    if method not in _METHODS:
        expected = " or ".join(_METHODS)
        raise ValueError(f"auth_method in [{_SECTION}] of {file}: expected {expected}, got {method!r}")
    if method == _METHODS[0]:
        return {}
    identity = {name: str(values.get(f"sasl_{name}", "")).strip() for name in ("username", "password")}
    if identity["password"]:
        identity["password"] = in_file(identity["password"], file, _SECTION, "sasl_password")
    return {"protocol": SASL_SSL, "mechanism": SCRAM[1], **identity}


def _of_file(file: Path, environ: Mapping[str, str]) -> dict[str, str]:
    if file.suffix.lower() == _INI:
        return _of_ini(file)
    values, variable = _read(file, "", VARIABLES, environ)
    if values.get("username") and "password" not in values:
        variable = variable or VARIABLES["password"]
        if not environ.get(variable):
            raise ValueError(f"{file}: password is missing: neither it, nor {_PASSWORD_ENV}, nor KAFKA_PASSWORD")
        values["password"] = in_variable(variable, environ)
    return _with_defaults(values)


def _read(file: Path, section: str, known: Collection[str], environ: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return the values of a section, and the variable that has the password, empty where it names none.

    Paths are seen from the folder of the file.

    Raises:
        ValueError: in one line, what is wrong and where; without the password.
    """
    try:
        values = read_values(file, section, others=(REGISTRY_SECTION,))
    except ValueError as error:
        raise ValueError(f"--kafka-security: {error}") from None
    place, known = f"{file} [{section}]" if section else str(file), [*known, _PASSWORD_ENV]
    for name, value in values.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"expected some of {', '.join(known)}"
            raise ValueError(f"{place}: unknown name {name!r}: {hint}")
        if not isinstance(value, str) or not value:
            shown = "" if name == "password" else f", got {value!r}"
            raise ValueError(f"{place}: {name} must be a text in quotes, and not an empty one{shown}")
    for name in _PATHS:
        if name in values:
            values[name] = str(file.parent / Path(values[name]).expanduser())
    if "password" in values:
        values["password"] = in_file(values["password"], file, section, "password")
    variable = values.pop(_PASSWORD_ENV, "")
    if variable and "password" in values:
        raise ValueError(f"{place}: password and {_PASSWORD_ENV} are two ways to say the same, got both")
    if variable and not environ.get(variable):
        raise ValueError(f"{place}: {_PASSWORD_ENV} names {variable}, which is not set")
    return values, variable


def _of_environment(environ: Mapping[str, str]) -> dict[str, str]:
    found = {name: environ[variable] for name, variable in VARIABLES.items() if environ.get(variable)}
    if "username" not in found:  # It may be there for the files of other runs.
        found.pop("password", None)
    elif "password" in found:
        found["password"] = in_variable(VARIABLES["password"], environ)
    return _with_defaults(found)


def _with_defaults(found: Mapping[str, Any]) -> dict[str, str]:
    values = dict(found)
    values["mechanism"] = values.get("mechanism", "").upper()
    if values["mechanism"] or values.get("username"):
        values.setdefault("protocol", SASL_SSL)
    elif values.get("ca") or values.get("certificate"):
        values.setdefault("protocol", SSL)
    values["protocol"] = values.get("protocol", PLAINTEXT).upper()
    return values
