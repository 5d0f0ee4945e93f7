"""The options that say how delimited records are written, where that is not to be found out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from command_line.option import Group, Option
from schemas.text.dialect_options import (
    DialectOptions,
    parse_comment,
    parse_delimiter,
    parse_encoding,
    parse_quote,
    parse_skip,
)
from schemas.text.text_encoding import is_bytewise

if TYPE_CHECKING:
    from pipelines.runtime.options import StreamOptions
    from schemas.forms.form import Form

DIALECT = Group(
    "how records are written (default: as the head of each file, or the first line of each connection, shows)",
    Option("--delimiter", "what stands between fields: a character, or tab, comma, semicolon, pipe", "CHARACTER",
           type=parse_delimiter),
    Option("--quote", "what stands around fields: a character, or none", "CHARACTER", type=parse_quote),
    Option("--escape", "what takes away the meaning of a quote, a delimiter or itself behind it: a character, or none",
           "CHARACTER", type=parse_quote),
    Option("--encoding", "as utf-8, cp1252, latin-1, utf-16", "NAME", type=parse_encoding),
    Option("--header", "the first line names the columns", values="flag", dest="has_header"),
    Option("--no-header", "the first line is a record", values="flag", dest="has_no_header"),
    Option("--skip-lines", "how many lines of each file to pass over first", "N", type=parse_skip),
    Option("--comment", "lines that begin so are no records; they count as filtered", "PREFIX", type=parse_comment),
    Option("--multiline", "read records whose fields have line ends in quotes (files)", values="flag"),
    is_rare=True,
)  # fmt: skip


def check_form(written: DialectOptions, form: Form) -> None:
    """See that nothing was said of records that they have not.

    Raises:
        ValueError: it was; the message is one line.
    """
    given = [name for name, value in vars(written).items() if value not in (None, 0, False) or value == ""]
    for name in ("header", *given) if written.header is False else given:
        if name != "encoding" and not form.has_dialects:
            flag = "no-header" if written.header is False and name == "header" else name.replace("_", "-")
            raise ValueError(f"--{flag} is for delimited records, and {form.name} are read here")


def dialect_options(options: StreamOptions) -> DialectOptions:
    """Return what was said of how records are written.

    Raises:
        ValueError: it does not go together, or not with the input.
    """
    if options.has_header and options.has_no_header:
        raise ValueError("--header and --no-header say opposite things: give one of them")
    written = DialectOptions(
        options.delimiter,
        options.quote,
        options.escape,
        options.encoding,
        True if options.has_header else False if options.has_no_header else None,
        options.skip_lines or 0,
        options.comment,
        bool(options.multiline),
    )
    is_live = options.is_following or any(address.scheme != "file" for address in options.inputs)
    is_wide = bool(written.encoding) and not is_bytewise(written.encoding or "")
    for flag, is_given in (
        ("--multiline", written.multiline),
        ("--skip-lines", written.skip_lines),
        (f"--encoding {written.encoding}", is_wide),
    ):
        if is_given and is_live:
            raise ValueError(f"{flag} is for files that are read from their beginning to their end, not for live input")
    if is_wide and options.positions:
        raise ValueError(f"--positions are of bytes, which --encoding {written.encoding} has to turn into others first")
    return written
