"""Options from a file: ``--config FILE.(toml|ini) [--mode NAME]`` fills in the options of the same names.

TOML: keys at the top are for all modes; a mode is a table ``[NAME]`` or ``[modes.NAME]``. INI: ``[DEFAULT]`` is for all
modes, a mode is a section ``[NAME]``. Names of modes are found without regard to case. Without ``--mode`` the file may
have one mode at most. The command line wins, option by option. A program may know sections that are read all together.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, time
from typing import Any, NamedTuple

from command_line.option import Group, Option
from schemas.passwords import withhold
from schemas.values_file import Section, option_name, read_section, with_rivals

#: The pace: one of them takes the place of another one.
PACE = ("speed", "rate", "interval", "unpaced")
CONFIG = Group(
    "options from a file",
    Option("--config", "options by name, from FILE.toml or FILE.ini; the command line wins", "FILE"),
    Option("--mode", "the section of that file to read", "NAME"),
    is_rare=True,
)
_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")

#: Makes options of the keys that a program has of its own, and returns the values with those in their place.
Translate = Callable[[Section], Mapping[str, Any]]


class Arguments(NamedTuple):
    """What a command line and its file say.

    Attributes:
        values: of the options that the parser knows.
        others: the arguments that it does not know, those of the file before those that were typed.
    """

    values: argparse.Namespace
    others: list[str]


def parse_with_file(
    parser: argparse.ArgumentParser,
    argv: Sequence[str],
    beside: argparse.ArgumentParser | None = None,
    *,
    translate: Translate | None = None,
    together: Collection[str] = (),
    exclusive: Sequence[Collection[str]] = (PACE,),
    takes_first: bool = False,
) -> Arguments:
    """Parse a command line and, behind it, the configuration file that it names.

    The file goes through the same parser, so its values are checked as those that are typed are, and are equal to them.

    Args:
        parser: knows the options; those of :data:`CONFIG` are among them.
        argv: the command line, without the program.
        beside: knows more options, which may stand in the file, too.
        translate: for keys that are no options.
        together: see :func:`read_section`.
        exclusive: names of which one replaces the others.
        takes_first: whether the first mode is taken where none is named.

    Raises:
        ValueError: see :func:`read_section`; an unknown option; a value that cannot be; there is a mode and no file.
        SystemExit: wrong usage; the parser tells why.
    """
    defaults = vars(parser.parse_args([]))

    def parse(arguments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
        """Return what is said, without what is not; and what the parser does not know."""
        unsaid = argparse.Namespace(**dict.fromkeys(defaults))
        if beside is None:
            found, others = parser.parse_args(arguments, unsaid), list[str]()
        else:
            found, others = parser.parse_known_args(arguments, unsaid)
        return {name: value for name, value in vars(found).items() if value is not None}, others

    typed, others = parse(argv)
    if "config" not in typed:
        if "mode" in typed:
            raise ValueError(f"mode is a section of a --config file, got --mode {typed['mode']} without one")
        return Arguments(argparse.Namespace(**defaults | typed), others)
    known = {**(_actions(beside) if beside else {}), **_actions(parser)}
    flags = {option_name(text.partition("=")[0]) for text in others if text.startswith("--")}
    given = flags | {name for name, (_, action) in known.items() if action.dest in typed}
    ruled_out = with_rivals(given, exclusive)
    section = read_section(typed["config"], typed.get("mode"), exclusive, together, first=takes_first)
    section = replace(section, given=frozenset(ruled_out))
    values = section.values if translate is None else translate(section)
    arguments: list[str] = []
    for key, value in values.items():
        if key not in known or key in {"config", "mode", "help"}:
            raise ValueError(f"unknown option {key!r} in {section.place}{_suggestion(key, known)}")
        if key not in ruled_out:
            try:
                arguments += map(withhold, _spelled(*known[key], value))
            except ValueError as error:
                raise ValueError(f"{key} in {section.place}: {error}") from None
    found, more = parse(arguments)
    return Arguments(argparse.Namespace(**defaults | found | typed), [*more, *others])


def _actions(parser: argparse.ArgumentParser) -> dict[str, tuple[str, argparse.Action]]:
    """Return the options of a parser by their names in a file: how each is typed, and what argparse knows of it."""
    return {
        option_name(text): (text, action)
        for action in reversed(parser._actions)  # which argparse keeps to itself
        for text in action.option_strings
        if text.startswith("--")
    }


def _suggestion(key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, list(known), 1)
    return f": did you mean {near[0]}?" if near else ""


def _spelled(option: str, action: argparse.Action, value: Any) -> list[str]:
    """Return the arguments that say the same."""
    if action.nargs == 0:
        text = str(value).strip().lower()
        if text not in (*_TRUE, *_FALSE):
            raise ValueError(f"expected true or false, got {value!r}")
        return [option] if text in _TRUE else []
    values = value if isinstance(value, list) else [value]
    if isinstance(value, str) and "\n" in value:  # of an INI file: one a line
        values = [line for line in map(str.strip, value.split("\n")) if line]
    texts = list(map(_text, values))
    if len(texts) < 2 or isinstance(action, argparse._AppendAction):  # noqa: PLR2004
        return [f"{option}={text}" for text in texts]
    return [option, *texts]


def _text(value: Any) -> str:
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"expected a text, a number or a list of them, got {value!r}")
