"""How to get in at a schema registry: from a file, or from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from schemas.avro.registry import Registry
from schemas.passwords import REGISTRY_SECTION, in_file, in_variable
from schemas.values_file import read_values

#: The variables that stand for a file.
VARIABLES: Mapping[str, str] = {
    "username": "SCHEMA_REGISTRY_USERNAME",
    "password": "SCHEMA_REGISTRY_PASSWORD",
    "ca": "SCHEMA_REGISTRY_CA",
}


_PASSWORD_ENV = "password_env"  # noqa: S105 - the name of a setting


def read_registry(url: str, path: str | None, environ: Mapping[str, str]) -> Registry:
    """Gives a registry with its user and password.

    Args:
        url: where it is.
        path: a file of TOML, the one of :func:`command_line.credentials.read_security`; its section ``[registry]`` has
            ``username``, ``password`` or ``password_env`` (the name of a variable that has it), and ``ca``.
        environ: the environment; SCHEMA_REGISTRY_USERNAME, _PASSWORD and _CA count where the file says nothing.

    Raises:
        ValueError: in one line, what is wrong and where; without the password.
    """
    values = {name: environ[variable] for name, variable in VARIABLES.items() if environ.get(variable)}
    if "password" in values:
        values["password"] = in_variable(VARIABLES["password"], environ)
    if path:
        values |= _of_file(Path(path), environ)
    return Registry(url.rstrip("/"), **values)


def _of_file(file: Path, environ: Mapping[str, str]) -> dict[str, str]:
    found = read_values(file, REGISTRY_SECTION)
    known = [*VARIABLES, _PASSWORD_ENV]
    for name, value in found.items():
        if name not in known:
            raise ValueError(f"{file} [{REGISTRY_SECTION}]: unknown name {name!r}: expected some of {', '.join(known)}")
        if not isinstance(value, str) or not value:
            raise ValueError(f"{file} [{REGISTRY_SECTION}]: {name} must be a text in quotes, and not an empty one")
    if "ca" in found:
        found["ca"] = str(file.parent / Path(found["ca"]).expanduser())
    variable = found.pop(_PASSWORD_ENV, "")
    if variable and "password" in found:
        raise ValueError(f"{file} [{REGISTRY_SECTION}]: password and {_PASSWORD_ENV} say the same, got both")
    if variable:
        if not environ.get(variable):
            raise ValueError(f"{file} [{REGISTRY_SECTION}]: {_PASSWORD_ENV} names {variable}, which is not set")
        found["password"] = in_variable(variable, environ)
    elif "password" in found:
        found["password"] = in_file(found["password"], file, REGISTRY_SECTION, "password")
    return found
