"""Which objects of a store a path, a glob or a folder names: a folder is what stands before a slash in keys."""

from __future__ import annotations

import fnmatch
import glob
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Listed(NamedTuple):
    """What is in a folder: the keys of objects, and of folders."""

    objects: list[str]
    folders: list[str]


#: Lists a folder, given without a slash at its end; what is in folders of it, too, where the second argument says so.
List = Callable[[str, bool], Listed]


def match_keys(pattern: str, listed: List) -> Iterator[str]:
    """Yield the keys that a pattern names, as :func:`glob.glob` would the files of a folder.

    ``*``, ``?`` and ``[...]`` stay within a part of the key, and ``**`` as a part of its own stands for any number of
    them. What begins with a dot is named by a pattern that does, too. Without any of these, and with a slash at its end
    or nothing else, a pattern is a folder: everything in it that is not hidden, but not in folders of it.
    """
    if pattern.endswith("/") or not pattern:
        folder = pattern.rstrip("/")
        yield from (key for key in listed(folder, False).objects if not key.rpartition("/")[2].startswith("."))
        return
    parts = pattern.split("/")
    plain = next((number for number, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    if plain < len(parts):
        yield from _match("/".join(parts[:plain]), parts[plain:], listed)


def _match(folder: str, parts: list[str], listed: List) -> Iterator[str]:
    if "**" in parts:
        regex = _regex(parts)
        start = f"{folder}/" if folder else ""
        yield from (key for key in listed(folder, True).objects if regex.fullmatch(key.removeprefix(start)))
        return
    found = listed(folder, False)
    is_last = len(parts) == 1
    for key in found.objects if is_last else found.folders:
        if _is_named(key.rpartition("/")[2], parts[0]):
            if is_last:
                yield key
            else:
                yield from _under(key, parts[1:], listed)


def _under(folder: str, parts: list[str], listed: List) -> Iterator[str]:
    plain = next((number for number, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    if plain < len(parts):
        yield from _match("/".join((folder, *parts[:plain])), parts[plain:], listed)
    else:
        key = "/".join((folder, *parts))
        yield from (found for found in listed("/".join((folder, *parts[:-1])), False).objects if found == key)


def _is_named(name: str, pattern: str) -> bool:
    return (not name.startswith(".") or pattern.startswith(".")) and fnmatch.fnmatchcase(name, pattern)


def _regex(parts: list[str]) -> re.Pattern[str]:
    """Return what the rest of a key has to look like."""
    whole = ""
    for number, part in enumerate(parts):
        is_last = number == len(parts) - 1
        if part == "**":
            whole += r"(?:(?!\.)[^/]+/)*" + (r"(?!\.)[^/]+" if is_last else "")
        else:
            hidden = "" if part.startswith(".") else r"(?!\.)"
            inner = fnmatch.translate(part).removeprefix("(?s:").removesuffix(r")\Z").removesuffix(r")\z")
            whole += hidden + inner.replace(".*", "[^/]*") + ("" if is_last else "/")
    return re.compile(whole, re.DOTALL)
