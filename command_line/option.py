"""An option as a value: declared once, read from a command line or a file, and open to whoever shows it otherwise."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

#: How many values an option takes: one; none, as it is on or off; several, of which each mention adds some or replaces
#: the last ones; or one, which each mention adds.
Values = Literal["one", "flag", "several", "several, added", "one, added"]
_ARGPARSE: Mapping[Values, Mapping[str, Any]] = {
    "one": {},
    "flag": {"action": "store_true"},
    "several": {"nargs": "+"},
    "several, added": {"nargs": "+", "action": "extend"},
    "one, added": {"action": "append"},
}


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        flag: how it is typed, ``--window``; a file names it ``window``.
        help: what it is for, with its default in words.
        metavar: stands for the value in the help.
        check: raises a ValueError, in one line, for a text that cannot be; the value is the text.
        type: makes the value of a text, where it is to be something else.
        choices: what it may be, where that can be listed.
        default: the value where nothing is said; False for a flag.
        values: how many it takes.
        dest: the attribute with the value, where it is not called as the flag.
        is_rare: whether only the whole help tells of it.
    """

    flag: str
    help: str
    metavar: str | None = None
    check: Callable[[str], Any] | None = None
    type: Callable[[str], Any] | None = None
    choices: Collection[str] | None = None
    default: Any = None
    values: Values = "one"
    dest: str = ""
    is_rare: bool = False

    @property
    def name(self) -> str:
        """The attribute with the value."""
        return self.dest or self.flag.lstrip("-").replace("-", "_")

    def read(self, text: str) -> Any:
        """Return the value of a text.

        Raises:
            ValueError: it cannot be one; the message is one line. Nothing is said of ``choices``.
        """
        if self.check is not None:
            self.check(text)
        return text if self.type is None else self.type(text)

    def add_to(self, group: argparse._ActionsContainer, *, tells_rare: bool = True) -> None:
        """Add the option to a parser, or to a group of one; the help may leave it out where it is rare."""
        more = dict(_ARGPARSE[self.values])
        if self.values != "flag":
            more |= {"metavar": self.metavar, "choices": self.choices, "type": self._read, "default": self.default}
        told = self.help.replace("%", "%%") if tells_rare or not self.is_rare else argparse.SUPPRESS
        group.add_argument(self.flag, dest=self.name, help=told, **more)

    def _read(self, text: str) -> Any:
        try:
            return self.read(text)
        except ValueError as error:  # of which argparse would not tell the reason
            raise argparse.ArgumentTypeError(str(error)) from None


@dataclass(frozen=True, init=False)
class Group:
    """Options that belong together, under a title of the help.

    Attributes:
        title: of the group.
        options: in their order.
        is_one: whether only one of them may be given.
    """

    title: str
    options: tuple[Option, ...]
    is_one: bool

    def __init__(self, title: str, *options: Option, is_one: bool = False, is_rare: bool = False) -> None:
        """Take the options; with ``is_rare`` all of them are."""
        options = tuple(replace(option, is_rare=True) for option in options) if is_rare else options
        for name, value in (("title", title), ("options", options), ("is_one", is_one)):
            object.__setattr__(self, name, value)

    def add_to(self, parser: argparse.ArgumentParser, *, tells_rare: bool = True) -> None:
        """Add the group to a parser; see :meth:`Option.add_to`."""
        group: argparse._ActionsContainer = parser.add_argument_group(self.title)
        if self.is_one:
            group = group.add_mutually_exclusive_group()
        for option in self.options:
            option.add_to(group, tells_rare=tells_rare)
