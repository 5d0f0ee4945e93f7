"""Passwords that do not travel: what is pickled, into a job that a runner hands out, says only where a password is.

Who unpickles it, a worker, looks there: in a variable of its environment, or in a file.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from schemas.values_file import read_section, read_values

#: A section of the files of ``--kafka-security``, for the schema registry (:mod:`schemas.avro.registry`).
REGISTRY_SECTION = "registry"
#: What stands for a password that this process holds, in an address.
_STAND_IN = re.compile(r"held-by-this-process-([0-9a-f]{16})")
#: The password of a database's address: behind the user, and before the only @. An option's name may come first.
_IN_ADDRESS = re.compile(r"((?:--[\w-]+=)?(?:postgres|postgresql)://[^:/@]*:)([^@]+)(@[^@]*)")
#: What follows the ? of an address of the web, which may be a signature.
_IN_QUERY = re.compile(r"((?:--[\w-]+=)?https://[^?#]*\?)([^#]+)()")
#: Both, anywhere in a text.
_ANYWHERE = re.compile(r"((?:postgres|postgresql)://[^:/@\s]*:)([^\s]+)(?=@)|(https://[^?#\s]*\?)([^#\s]+)")
_MASK = "***"
#: What a file with a password in it has.
_IN_FILE = re.compile(r"^\s*(?:sasl_)?password\s*[=:]\s*\S|(?:postgres|postgresql)://[^:/@\s]*:[^@\s]+@", re.MULTILINE)
#: What was typed in, or given as a text, by the key that stands for it. A global, since it must not leave the process:
#: a worker elsewhere is told so by :func:`_find`.
_held: dict[str, str] = {}


class Password(str):
    """A text that is pickled as the place where it is; its ``repr`` shows that place, too.

    >>> import pickle
    >>> b"open sesame" in pickle.dumps(hold("open sesame"))
    False
    >>> pickle.loads(pickle.dumps(hold("open sesame"))) == "open sesame"  # in the same process
    True
    """

    _place: tuple[str, ...]

    def __new__(cls, text: str, *place: str) -> Password:
        """Make a password of a text and of what :func:`_find` needs to find it again."""
        made = super().__new__(cls, text)
        made._place = place
        return made

    def __reduce__(self) -> tuple[Callable[..., Password], tuple[str, ...]]:
        """Return how to find it again."""
        return _find, self._place

    def __repr__(self) -> str:
        """Return what may be shown."""
        return f"Password({', '.join(map(repr, self._place))})"


def hold(text: str) -> Password:
    """Return a password that only this process knows: elsewhere it cannot be unpickled.

    Args:
        text: the password, or what :func:`withhold` has put in its place.

    Raises:
        ValueError: it stands for a password that another process holds.
    """
    if isinstance(text, Password):
        return text
    found = _STAND_IN.fullmatch(text)
    if found is not None:
        return _find("process", found[1])
    key = next((key for key, held in _held.items() if held == text), None) or secrets.token_hex(8)
    return Password(_held.setdefault(key, text), "process", key)


def withhold(text: str) -> str:
    """Return an address with a stand-in for its password, or signature, which this process holds from then on.

    That is the password of a database, and what follows the ``?`` of an address of the web.

    Args:
        text: an argument of a command line; one that has no password in it is returned as it is.
    """
    found = _IN_ADDRESS.fullmatch(text)
    secret = unquote(found[2]) if found else ""
    if found is None and (found := _IN_QUERY.fullmatch(text)):
        secret = found[2]  # a signature is good for the very characters
    if found is None or _STAND_IN.fullmatch(found[2]):
        return text
    return f"{found[1]}held-by-this-process-{hold(secret)._place[1]}{found[3]}"


def release(text: str) -> str:
    """Return an address of the web with what :func:`withhold` has put a stand-in for.

    Raises:
        ValueError: another process holds it.
    """
    bare, found, query = text.partition("?")
    return f"{bare}?{hold(query)}" if found and _STAND_IN.fullmatch(query) else text


def masked(text: str) -> str:
    """Return a text with ``***`` in place of the passwords and signatures of addresses in it, so that it may be shown.

    >>> masked("--output postgresql://me:open@sesame@db/shop --input 'https://host/a.csv?key=1'")
    "--output postgresql://me:***@db/shop --input 'https://host/a.csv?***"
    """
    return _ANYWHERE.sub(lambda found: f"{found[1] or found[3]}{_MASK}", text)


def in_variable(name: str, environ: Mapping[str, str]) -> Password:
    """Return the password in a variable; one of another mapping than the environment is held by this process."""
    return Password(environ[name], "variable", name) if environ is os.environ else hold(environ[name])


def in_file(text: str, file: Path, section: str, name: str) -> Password:
    """Return a password that was read from a file.

    Args:
        text: the password.
        file: TOML, as :func:`schemas.values_file.read_values` takes it, or INI.
        section: in it; empty for the values before all sections.
        name: of the value.
    """
    return Password(text, "file", str(file.absolute()), section, name)


def exposed(*paths: str | Path | None) -> list[str]:
    """Return a line for each of these files that has a password in it and can be read by other users.

    Args:
        paths: of the files; None, and what cannot be read, which others tell of, is passed over.
    """
    found = []
    for file in [Path(path) for path in paths if path]:
        with contextlib.suppress(OSError, ValueError):
            is_open = file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)
            if is_open and _IN_FILE.search(file.read_text(errors="replace")):
                found.append(f"other users can read {file}, which has a password in it: chmod 600 {file}")
    return found


def _find(kind: str, *place: str) -> Password:
    """Find a password again, on a worker.

    Raises:
        ValueError: it is not there; the message is one line.
    """
    if kind == "process":
        if place[0] not in _held:
            raise ValueError(
                "a password that was typed in, or given as a text, stays in the process that made the pipeline: name a "
                "variable or a file for it (PGPASSFILE, KAFKA_PASSWORD, password_env) that workers have, too"
            )
        return Password(_held[place[0]], kind, *place)
    if kind == "variable":
        if not os.environ.get(place[0]):
            raise ValueError(f"{place[0]} is not set for this worker; a password of the pipeline is in it")
        return Password(os.environ[place[0]], kind, *place)
    path, section, name = place
    values: Mapping[str, Any]
    if path.lower().endswith(".ini"):
        values = {key: str(value).strip() for key, value in read_section(path, section).values.items()}
    else:
        values = read_values(path, section, others=(REGISTRY_SECTION,))
    if not values.get(name):
        raise ValueError(f"{path} no longer has {name!r}, a password of the pipeline")
    return in_file(str(values[name]), Path(path), section, name)
