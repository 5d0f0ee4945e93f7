"""The files that a run reads, and those that it writes: none may be both, and none may be written by two."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipelines.runtime.options import StreamOptions, UsageError
from schemas.paths import is_among, real_path
from sinks.console.output import ConsoleOutput
from sources.files.chunks import find_files

#: The options that name files to read, besides the input.
_READ = ("config", "kafka_security", "avro_schema", "regions")
_STDIN, _STDOUT = 0, 1
_WINDOW = re.compile(r"-\d{8}T\d{6}(\.\d{6})?Z-\d{8}T\d{6}(\.\d{6})?Z(-\d{5}-of-\d{5})?")


def check_paths(options: StreamOptions, files: Sequence[str]) -> None:
    """See that no file is read and written, or written twice, by whatever hard or symbolic links.

    Args:
        options: what was asked for: its input, its databases, and the files of rejected and late records.
        files: the other files that are going to be written.

    Raises:
        UsageError: one is.
        OSError: an input is not there.
    """
    read = list(_read(options))
    records = [path for path in (options.rejected, options.late) if path]
    files = [*files, *([options.summary] if options.summary else [])]
    shared = dict.fromkeys(output.shared_file for output in options.destinations if output.shared_file)
    for path in (*files, *records, *shared):
        if is_among(path, read):
            raise UsageError(f"{path!r} is read, so it cannot be written")
        if options.files_as == "hive" and (inside := _inside(path, read)):
            raise UsageError(f"{inside!r} is read, so its folder {path!r} cannot be written")
        if options.files_as == "per-window" and options.windows.length and (window := _window_of(path, read)):
            raise UsageError(f"{window!r} is read, and {path!r} with --window would write to it")
    if any(isinstance(output, ConsoleOutput) for output in options.destinations) and is_among(_STDOUT, read):
        raise UsageError("the standard output goes to a file that is read")
    written: list[str] = []
    for path in (*shared, *files):
        if is_among(path, (*written, *records)):
            raise UsageError(f"{path!r} is to be written twice")
        written.append(path)


def _read(options: StreamOptions) -> Iterator[str | int]:
    yield from find_files([address.path for address in options.inputs if address.scheme == "file"])
    if any(address.scheme == "-" for address in options.inputs):
        yield _STDIN
    for name in _READ:
        value = getattr(options, name, None)
        yield from [value] if isinstance(value, str) else value or ()


def _inside(folder: str, read: Iterable[str | int]) -> str:
    """Return a file that is read and is in a folder, or nothing."""
    start = real_path(folder)
    return next((path for path in read if isinstance(path, str) and real_path(path).startswith(f"{start}/")), "")


def _window_of(path: str, read: Iterable[str | int]) -> str:
    """Return a file that is read and that a window of an output would be written to, or nothing."""
    target = Path(path)
    for other in (Path(each) for each in read if isinstance(each, str)):
        middle = other.name.removeprefix(target.stem).removesuffix(target.suffix)
        if _WINDOW.fullmatch(middle) and other.parent.resolve() == target.parent.resolve():
            return str(other)
    return ""
