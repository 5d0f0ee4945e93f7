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
from pathlib import Path
from typing import Any

from schemas.values_file import Section, option_name, read_section, with_rivals

#: The pace: one of them takes the place of another one.
PACE = ("speed", "rate", "interval", "unpaced")
_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


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
    options = {option_name(option): option for option in reversed(known)}
    names = list(map(option_name, known))
    flags, repeated = ({option_name(name) for name in some} for some in (flags, repeated))
    groups = [{option_name(name) for name in group} for group in exclusive]
    section = read_section(path, mode, groups, together)
    ruled_out = with_rivals({option_name(name) for name in given}, groups)
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
