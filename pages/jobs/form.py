"""The options of a pipeline as a form, and what was filled in as a command line, checked by the pipeline's own code."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from command_line.option import Group, Option
from pipelines.runtime.pipeline import Pipeline
from schemas.passwords import masked

#: What a job of a page has no use for: it would show nothing, or end at once.
HIDDEN = ("--quiet", "--detach", "--explain", "--metrics-port", "--summary")
#: The field for options that are not ours, but Beam's and its runners'.
MORE = "more"
_TAKES_SEVERAL = ("several", "several, added", "one, added")
_ARGUMENT = re.compile(r"(?:wrong usage: )?argument (--[\w-]+)")
_FLAG = re.compile(r"--[a-z][\w-]*")
#: A form has no more than this, in characters of one field.
_MOST = 10_000
_BESIDE_A_FILE = (
    "a password or signature cannot be given beside --config: put it into that file, or leave it out (docs/security.md)"
)

Values = Mapping[str, Any]


class Filled(NamedTuple):
    """A form that was filled in.

    Attributes:
        arguments: the command line that it equals, without the program.
        errors: by the flag of a field, or empty for the form as a whole: what is wrong with it, in one line.
    """

    arguments: list[str]
    errors: dict[str, str]


def describe_form(pipeline: Pipeline, initial: Values) -> list[dict[str, Any]]:
    """Return the groups of options as JSON can have them.

    Args:
        pipeline: the pipeline.
        initial: the values that fields have to begin with, by flag.
    """
    return [
        {"title": group.title, "is_one": group.is_one, "options": [_describe(option, initial) for option in options]}
        for group in pipeline.all_groups
        if (options := _shown(group))
    ]


def _describe(option: Option, initial: Values) -> dict[str, Any]:
    default = option.default
    return {
        "flag": option.flag,
        "help": option.help,
        "metavar": option.metavar,
        "choices": list(option.choices) if option.choices is not None else None,
        "kind": "flag" if option.values == "flag" else "several" if option.values in _TAKES_SEVERAL else "one",
        "default": " ".join(map(str, default)) if isinstance(default, list) else "" if default is None else default,
        "is_rare": option.is_rare,
        "value": shown_value(initial.get(option.flag, "")),
    }


def fill_in(pipeline: Pipeline, values: Values) -> Filled:
    """Return the command line of a form, and what is wrong with it.

    Args:
        pipeline: whose form it is.
        values: by flag, a text (of several values in words, as a shell has them) or, of a flag, whether it is on;
            :data:`MORE` has other arguments.
    """
    arguments: list[str] = []
    errors: dict[str, str] = {}
    options = {option.flag: option for group in pipeline.all_groups for option in _shown(group)}
    for flag, value in values.items():
        if flag != MORE and flag not in options:
            errors[""] = f"unknown option {str(flag)[:80]!r}"
        elif not isinstance(value, bool | str) or len(str(value)) > _MOST:
            errors[flag] = "expected a text"
    if errors:
        return Filled([], errors)
    for flag, option in options.items():
        try:
            _check_text(values.get(flag, ""))
            arguments += _arguments(option, values.get(flag, ""))
        except ValueError as error:
            errors[flag] = masked(str(error))
    try:
        _check_text(values.get(MORE, ""))
        arguments += shlex.split(str(values.get(MORE, "")))
    except ValueError as error:
        errors[MORE] = f"{error}: expected words as a shell has them"
    try:
        split_secrets(arguments)
    except ValueError as error:
        errors["--config"] = str(error)
    if not errors:
        errors |= _parse(pipeline, arguments, options)
    return Filled(arguments, errors)


def shown_value(value: bool | str) -> bool | str:
    """Return the value of a field without passwords."""
    return masked(value) if isinstance(value, str) else value


def with_passwords(values: Values, before: Values) -> dict[str, Any]:
    """Return a form with the passwords that it had before, where :func:`shown_value` has masked them."""
    return {
        flag: before[flag] if flag in before and value == shown_value(before[flag]) else value
        for flag, value in values.items()
    }


def split_secrets(arguments: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Return the arguments that anybody may see, in the list of processes, and the values of the other options.

    An option one of whose values has a password is among the others with all its values: a file that says them is
    overruled by what stands in the command line, option by option.

    Raises:
        ValueError: there is a file already.
    """
    flags = {each.partition("=")[0] for each in arguments if masked(each) != each}
    if flags and any(each.partition("=")[0] == "--config" for each in arguments):
        raise ValueError(_BESIDE_A_FILE)
    secret: dict[str, list[str]] = {}
    for each in arguments:
        flag, _, value = each.partition("=")
        if flag in flags:
            secret.setdefault(flag.removeprefix("--"), []).append(value)
    return [each for each in arguments if each.partition("=")[0] not in flags], secret


def place_of(line: str, flags: Sequence[str]) -> str:
    """Return the flag of the option that an error is about, empty where that cannot be told."""
    found = _ARGUMENT.match(line)
    named = [found[1]] if found else _FLAG.findall(line)
    first = line.removeprefix("wrong usage: ").partition(" ")[0]
    return next((flag for flag in [*named, f"--{first}"] if flag in flags), "")


def _shown(group: Group) -> list[Option]:
    return [option for option in group.options if option.flag not in HIDDEN]


def _check_text(value: Any) -> None:
    """See that a value can be an argument of a process.

    Raises:
        ValueError: it has a character that no argument can have.
    """
    text = str(value)
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("no argument can have NUL or half of a character")


def _arguments(option: Option, value: bool | str) -> Iterator[str]:
    """Give the arguments that say the same as a field.

    Raises:
        ValueError: the field has what cannot be.
    """
    if option.values == "flag":
        if value not in (True, False, ""):
            raise ValueError("expected on or off")
        yield from [option.flag] if value else []
        return
    text = str(value).strip()
    try:
        texts = shlex.split(text) if option.values in _TAKES_SEVERAL else [text] if text else []
    except ValueError as error:
        raise ValueError(f"{error}: expected words as a shell has them") from None
    for each in texts:
        option.read(each)
        if option.choices is not None and each not in option.choices:
            raise ValueError(f"expected one of {', '.join(option.choices)}, got {each!r}")
    if option.values == "several" and len(texts) > 1:
        if any(each.startswith("-") and each != "-" for each in texts):
            raise ValueError("expected values that do not begin with -")
        yield from [option.flag, *texts]
    else:
        yield from (f"{option.flag}={each}" for each in texts)


def _parse(pipeline: Pipeline, arguments: Sequence[str], flags: Mapping[str, Option]) -> dict[str, str]:
    """Return what the pipeline's own parser says is wrong, by flag."""
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
            pipeline.parse(arguments)
    except SystemExit:
        line = told.getvalue().strip().rpartition("\n")[2].removeprefix("wrong usage: ").removesuffix(" (see --help)")
        place = place_of(line, list(flags))
        return {place: masked(line.removeprefix(f"argument {place}: "))}
    return {}
