"""Modes that name a script: whose standard output is the stream, or whose recording is read in its place."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.times import MICROS_PER_SECOND, format_duration, parse_duration
from schemas.values_file import Section

#: The keys of a mode that are no options.
KEYS = ("script_name", "stream", "sleep_time")
#: The shortest and the longest time between two results.
SLEEP_SECONDS = (1, 30)
_FOLDER = "scripts"


def script_mode(section: Section) -> Mapping[str, Any]:
    """Return the values of a section with ``--input`` and ``--emit`` in place of the keys that name a script.

    - ``script_name``: ``count`` is ``scripts/count.sh`` beside the configuration file. It is run, and what it prints
      is read.
    - ``stream``: 1 for results while records come, 0 (where nothing is said) for those at the end. With 0, and a file
      ``scripts/MODE_stream.txt`` (the mode in small letters), that file is read and nothing is run.
    - ``sleep_time``: seconds from one result to the next when streaming, taken as 1 to 30 where it is less or more.

    Raises:
        ValueError: in one line: the script is not there or may not be run, a value cannot be, or ``input`` is given,
            too.
    """
    values = {key: value for key, value in section.values.items() if key not in KEYS}
    streams = _is_on(section)
    emit = _emit(section)
    if streams and emit:
        values["emit"] = emit
    if "script_name" not in section.values:
        return values
    if "input" in values:
        raise ValueError(f"expected script_name or input in {section.place}, got both")
    if "input" not in section.given:
        values["input"] = _input(section, streams=streams)
        if not streams and values["input"].startswith("exec:"):
            values.setdefault("emit", "never")
    return values


def _is_on(section: Section) -> bool:
    value = section.values.get("stream", 0)
    if str(value).strip() not in {"0", "1"}:
        raise ValueError(f"stream in {section.place}: expected 0 or 1, got {value!r}")
    return str(value).strip() == "1"


def _emit(section: Section) -> str:
    value = section.values.get("sleep_time")
    if value is None:
        return ""
    try:
        micros = parse_duration(str(value))
    except ValueError:
        raise ValueError(f"sleep_time in {section.place}: expected seconds, got {value!r}") from None
    least, most = (seconds * MICROS_PER_SECOND for seconds in SLEEP_SECONDS)
    return format_duration(min(max(micros, least), most))


def _input(section: Section, *, streams: bool) -> str:
    folder = section.file.parent / _FOLDER
    recording = folder / f"{section.mode.lower()}_stream.txt"
    if not streams and section.mode and recording.is_file():
        return str(recording)
    name = str(section.values["script_name"]).strip()
    if not name or Path(name).name != name:
        raise ValueError(f"script_name in {section.place}: expected the name of a file in {folder}, got {name!r}")
    script = folder / f"{name}.sh"
    if not script.is_file():
        raise ValueError(f"no script at {script}, which script_name in {section.place} names")
    if not os.access(script, os.X_OK):
        raise ValueError(f"the script {script} may not be run: expected it to be executable (chmod +x)")
    return f"exec:{shlex.quote(str(script))}"
