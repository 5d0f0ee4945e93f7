"""Options from a file: ``--config FILE.(toml|ini) [--mode NAME]`` fills in the options of the same names.

TOML: keys at the top are for all modes; a mode is a table ``[NAME]`` or ``[modes.NAME]``. INI: ``[DEFAULT]`` is for all
modes, a mode is a section ``[NAME]``. Names of modes are found without regard to case. Without ``--mode`` the file may
have one mode at most. The command line wins, option by option. A program may know sections that are read all together.
"""

from __future__ import annotations

import argparse
import configparser
import difflib
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, time
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: The pace: one of them takes the place of another one.
PACE = ("speed", "rate", "interval", "unpaced")
_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")
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


#: Makes options of the keys that a pipeline has of its own, and gives the values with those in their place.
Translate = Callable[[Section], Mapping[str, Any]]


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--config`` and ``--mode``, in a group of their own."""
    group = parser.add_argument_group("options from a file")
    group.add_argument(
        "--config", metavar="FILE", help="options by name, from FILE.toml or FILE.ini; the command line wins"
    )
    group.add_argument("--mode", metavar="NAME", help="the section of that file to read")


def with_config(
    parser: argparse.ArgumentParser,
    argv: Sequence[str],
    others: Sequence[argparse.ArgumentParser] = (),
    translate: Translate | None = None,
    together: Collection[str] = (),
) -> list[str]:
    """Gives the arguments, and those of the configuration file behind them, if they name one.

    Args:
        parser: knows the options; those of :func:`add_config_options` are among them.
        argv: the command line, without the program.
        others: know more options, that may stand in the file, too.
        translate: for keys that are no options.
        together: see :func:`read_section`.

    Raises:
        ValueError: see :func:`read_section` and :func:`config_arguments`; there is a mode and no file.
        SystemExit: ``--config`` or ``--mode`` has no value; the parser tells so.
    """
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_config_options(early)
    early.error = parser.error  # type: ignore[method-assign]
    asked, _ = early.parse_known_args(argv)
    if asked.config is None:
        if asked.mode is not None:
            raise ValueError(f"mode is a section of a --config file, got --mode {asked.mode} without one")
        return list(argv)
    end = argv.index("--") if "--" in argv else len(argv)
    options = {
        text: action
        for each in (parser, *others)
        for text, action in each._option_string_actions.items()
        if text.startswith("--") and action.dest not in {"help", "config", "mode"}
    }
    exclusive = [
        [text for action in group._group_actions for text in action.option_strings]
        for group in parser._mutually_exclusive_groups
    ]
    found = config_arguments(
        asked.config,
        asked.mode,
        list(options),
        flags=[name for name, action in options.items() if action.nargs == 0],
        repeated=[name for name, action in options.items() if isinstance(action, argparse._AppendAction)],
        given=[text.partition("=")[0] for text in argv[:end] if text.startswith("--")],
        exclusive=[PACE, *exclusive],
        translate=translate,
        together=together,
    )
    # Behind the others: an option that takes several values takes what follows it.
    return [*argv[:end], *found, *argv[end:]]


def config_arguments(
    path: str | Path,
    mode: str | None,
    known: Sequence[str],
    *,
    flags: Collection[str] = (),
    repeated: Collection[str] = (),
    given: Collection[str] = (),
    exclusive: Sequence[Collection[str]] = (PACE,),
    translate: Translate | None = None,
    together: Collection[str] = (),
) -> list[str]:
    r"""Gives the options of a configuration file as arguments of a command line.

    Args:
        path: of the file.
        mode: the name of the section, or None for the only one.
        known: all options, as they are typed; of two that a name may stand for, the first.
        flags: those that take no value; 1, true, yes and on turn them on.
        repeated: those that are said once for each value; other ones take several values at once.
        given: those that the command line has itself; they are left out.
        exclusive: names of which one replaces the others.
        translate: for keys that are no options.
        together: see :func:`read_section`.

    Raises:
        ValueError: see :func:`read_section`; an unknown option; a value that cannot be.

    Example:
        >>> _ = Path("fast.toml").write_text('rate = 10\n[fast]\nrate = 1e6\nmax-records = 50\nquiet = true\n')
        >>> config_arguments("fast.toml", None, ["--rate", "--max-records", "--quiet"], flags=["--quiet"])
        ['--rate=1000000.0', '--max-records=50', '--quiet']
        >>> config_arguments("fast.toml", "FAST", ["--rate", "--max-records", "--quiet"], given=["--rate", "--quiet"])
        ['--max-records=50']
    """
    options = {_named(option): option for option in reversed(known)}
    names = list(map(_named, known))
    flags, repeated = ({_named(name) for name in some} for some in (flags, repeated))
    groups = [{_named(name) for name in group} for group in exclusive]
    section = read_section(path, mode, groups, together)
    ruled_out = _with_rivals({_named(name) for name in given}, groups)
    values = section.values if translate is None else translate(replace(section, given=frozenset(ruled_out)))
    arguments: list[str] = []
    for key, value in values.items():
        if key not in options:
            raise ValueError(f"unknown option {key!r} in {section.place}{_suggestion(key, names)}")
        if key in ruled_out:
            continue
        option = options[key]
        try:
            if key in flags:
                arguments += [option] if _is_true(value) else []
            else:
                arguments += _spelled(option, value, is_repeated=key in repeated)
        except ValueError as error:
            raise ValueError(f"{key} in {section.place}: {error}") from None
    return arguments


def read_section(
    path: str | Path, mode: str | None, exclusive: Sequence[Collection[str]] = (), together: Collection[str] = ()
) -> Section:
    """Reads the values for a mode: those for all modes, and over them its own.

    Args:
        path: of the file; its ending tells TOML from INI.
        mode: the name of the section, or None for the only one.
        exclusive: names of which one in the section replaces the others.
        together: sections that are no modes: where a file has one of them, all that it has are read as one, and it
            must have no other ones.

    Raises:
        ValueError: the file cannot be read, is broken (the message names the line), or has no such section; without a
            mode, it has several.
    """
    file = Path(path)
    for_all, modes = _read(file)
    if mode is None and not set(together).isdisjoint(modes):
        for_all, modes = {**for_all, **_together(file, modes, together)}, {}
    name, own = _chosen(file, mode, modes)
    place = f"{file} [{name}]" if name else str(file)
    common, special = _normal(for_all, place), _normal(own, place)
    replaced = _with_rivals(special, exclusive)
    values = {key: value for key, value in common.items() if key not in replaced} | special
    return Section(file, name, values)


def read_values(path: str | Path, section: str = "", others: Collection[str] = ()) -> dict[str, Any]:
    """Reads the values of a file of TOML that stand before its sections, or those of one section.

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
    """Gives the values for all modes, and those of each."""
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
    """Gives the values of all sections as those of one."""
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
        if _named(name) in normal:
            raise ValueError(f"{_named(name)} stands twice in {place}")
        normal[_named(name)] = value
    return normal


def _named(text: str) -> str:
    return text.lstrip("-").replace("-", "_")


def _with_rivals(names: Iterable[str], exclusive: Sequence[Collection[str]]) -> set[str]:
    """Gives the names, and those that each rules out."""
    found = set(names)
    return found.union(*(group for group in exclusive if found & set(group)))


def _suggestion(key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, list(known), 1)
    return f": did you mean {near[0]}?" if near else ""


def _is_true(value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in (*_TRUE, *_FALSE):
        raise ValueError(f"expected true or false, got {value!r}")
    return text in _TRUE


def _spelled(option: str, value: Any, *, is_repeated: bool) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if isinstance(value, str) and "\n" in value:  # of an INI file: one a line
        values = [line for line in map(str.strip, value.split("\n")) if line]
    texts = [_text(each) for each in values]
    if not texts:
        return []
    if is_repeated or len(texts) == 1:
        return [f"{option}={text}" for text in texts]
    return [option, *texts]


def _text(value: Any) -> str:
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"expected a text, a number or a list of them, got {value!r}")
