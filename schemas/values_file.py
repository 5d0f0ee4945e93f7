"""Values in files of TOML and INI: those for all modes, and those of each."""

from __future__ import annotations

import configparser
import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_TABLE_OF_MODES = "modes"


_TOML_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)|\s*\(at end of document\)")


@dataclass(frozen=True)
class Section:
    """What a configuration file says for one mode, or in sections that are read together.

    Attributes:
        file: its path.
        mode: as it was asked for, or as the file names the only one; empty where there is none.
        values: by name, with ``_`` for ``-``: texts, numbers, booleans and lists of them; from an INI file, texts.
            The names of sections that are read together are ``SECTION.NAME``.
        given: the names that the command line has itself, and those that it rules out with them. What the file says
            of them is not used, so whatever is wrong with it does not matter.
    """

    file: Path
    mode: str
    values: Mapping[str, Any]
    given: frozenset[str] = frozenset()

    @property
    def place(self) -> str:
        """The file and the mode, for messages."""
        return f"{self.file} [{self.mode}]" if self.mode else str(self.file)


def read_section(
    path: str | Path,
    mode: str | None,
    exclusive: Sequence[Collection[str]] = (),
    together: Collection[str] = (),
    *,
    first: bool = False,
) -> Section:
    """Read the values for a mode: those for all modes, and over them its own.

    Args:
        path: of the file; its ending tells TOML from INI.
        mode: the name of the section, or None for the only one.
        exclusive: names of which one in the section replaces the others.
        together: sections that are no modes: where a file has one of them, all that it has are read as one, and it
            must have no other ones.
        first: whether the first section is read where the file has several and none is named.

    Raises:
        ValueError: the file cannot be read, is broken (the message names the line), or has no such section; without a
            mode, it has several, and the first one is not wanted.
    """
    file = Path(path)
    for_all, modes = _read(file)
    if mode is None and not set(together).isdisjoint(modes):
        for_all, modes = {**for_all, **_together(file, modes, together)}, {}
    name, own = _chosen(file, next(iter(modes), None) if mode is None and first else mode, modes)
    place = f"{file} [{name}]" if name else str(file)
    common, special = _normal(for_all, place), _normal(own, place)
    replaced = with_rivals(special, exclusive)
    values = {key: value for key, value in common.items() if key not in replaced} | special
    return Section(file, name, values)


def read_values(path: str | Path, section: str = "", others: Collection[str] = ()) -> dict[str, Any]:
    """Read the values of a file of TOML that stand before its sections, or those of one section.

    Args:
        path: of the file.
        section: its name; one that is not there is empty.
        others: sections that may be there, too, and are passed over.

    Raises:
        ValueError: the file cannot be read, is broken (the message names the line), or has other sections.
    """
    file = Path(path)
    if file.suffix.lower() != ".toml":
        raise ValueError(f"expected a file ending in .toml, got {str(file)!r}")
    values, sections = _read(file)
    unknown = [name for name in sections if name != section and name not in others]
    if unknown:
        known = f", and {_list(others)}" if others else ""
        raise ValueError(f"{file} takes names and values{known} only, got {_list(unknown)}")
    return _normal(sections.get(section, {}) if section else values, f"{file} [{section}]" if section else str(file))


def _read(file: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the values for all modes, and those of each."""
    ending = file.suffix.lower()
    if ending not in {".toml", ".ini"}:
        raise ValueError(f"expected a file ending in .toml or .ini, got {str(file)!r}")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror or error}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _broken(file, data.count(b"\n", 0, error.start) + 1, "not UTF-8") from None
    return _read_toml(file, text) if ending == ".toml" else _read_ini(file, text)


def _read_toml(file: Path, text: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _TOML_LINE.search(str(error))
        line = int(place[1]) if place and place[1] else text.rstrip().count("\n") + 1
        raise _broken(file, line, _TOML_LINE.sub("", str(error))) from None
    nested = found.get(_TABLE_OF_MODES)
    if isinstance(nested, dict):
        del found[_TABLE_OF_MODES]
    tables = {**found, **nested} if isinstance(nested, dict) else found
    modes = {name: table for name, table in tables.items() if isinstance(table, dict)}
    if isinstance(nested, dict) and len(modes) < len(nested):
        stray = next(name for name in nested if name not in modes)
        raise ValueError(f"[{_TABLE_OF_MODES}] of {file} takes tables only, got {stray} = {nested[stray]!r}")
    return {name: value for name, value in found.items() if not isinstance(value, dict)}, modes


def _read_ini(file: Path, text: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.MissingSectionHeaderError as error:
        raise _broken(file, error.lineno, "expected a [SECTION] first") from None
    except (configparser.DuplicateOptionError, configparser.DuplicateSectionError) as error:
        what = "section" if isinstance(error, configparser.DuplicateSectionError) else f"{error.option} in"
        raise _broken(file, error.lineno or 1, f"a second {what} [{error.section}]") from None
    except configparser.ParsingError as error:
        raise _broken(file, error.errors[0][0], "expected NAME = VALUE") from None
    return dict(parser.defaults()), {name: dict(parser._sections[name]) for name in parser.sections()}  # type: ignore[attr-defined]


def _broken(file: Path, line: int, what: str) -> ValueError:
    return ValueError(f"{file}, line {line}: {' '.join(what.split())}")


def _together(file: Path, sections: Mapping[str, dict[str, Any]], known: Collection[str]) -> dict[str, Any]:
    """Return the values of all sections as those of one."""
    for section in sections:
        if section not in known:
            raise ValueError(f"unknown section [{section}] in {file}: expected {_list(known)}")
    return {
        f"{section}.{key}": value
        for section, values in sections.items()
        for key, value in _normal(values, f"{file} [{section}]").items()
    }


def _chosen(file: Path, mode: str | None, modes: Mapping[str, dict[str, Any]]) -> tuple[str, Mapping[str, Any]]:
    if mode is None:
        if len(modes) > 1:
            raise ValueError(f"--mode must say which section of {file} to read: {_list(modes)}")
        return next(iter(modes.items()), ("", {}))
    if mode in modes:
        return mode, modes[mode]
    for name, values in modes.items():
        if name.casefold() == mode.casefold():
            return mode, values
    raise ValueError(f"{file} has no section [{mode}]: it has {_list(modes) or 'none'}")


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"[{name}]" for name in names)


def _normal(values: Mapping[str, Any], place: str) -> dict[str, Any]:
    normal: dict[str, Any] = {}
    for name, value in values.items():
        if option_name(name) in normal:
            raise ValueError(f"{option_name(name)} stands twice in {place}")
        normal[option_name(name)] = value
    return normal


def option_name(text: str) -> str:
    """Return the name that an option has in a file of values, whatever dashes it was written with."""
    return text.lstrip("-").replace("-", "_")


def with_rivals(names: Iterable[str], exclusive: Sequence[Collection[str]]) -> set[str]:
    """Return the names, and those that each rules out."""
    found = set(names)
    return found.union(*(group for group in exclusive if found & set(group)))
