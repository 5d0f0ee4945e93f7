"""What a condition may be made of: columns, values, operators and a list of functions, so that it opens no file.

polars reads files and addresses while it parses, in a query such as ``(SELECT x FROM read_csv('/etc/passwd'))``. So a
text is looked at before polars sees it. It has to be an expression: between two operands there is an operator, and what
is called is a function on the list. A query is none, since ``SELECT x`` and ``FROM t`` are two operands in a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

#: What polars does not understand, and what it panics on.
SQL_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: The functions of polars' SQL that work on single values.
FUNCTIONS = _words(
    "abs cbrt ceil ceiling degrees div exp floor ln log log10 log1p log2 mod pow power radians round sign sqrt "
    "bit_length char_length character_length concat concat_ws ends_with initcap left length lower lpad ltrim "
    "octet_length regexp_like regexp_replace replace reverse right rpad rtrim split_part starts_with strpos substr "
    "substring trim upper coalesce greatest if ifnull least nullif date date_part datetime strftime strptime time "
    "timestamp"
)
_OPERATORS = _words("and between case else escape ilike in is like not or regexp rlike then when xor")
_CASTS = _words("cast try_cast")
_TYPES = _words(
    "bigint bool boolean char date datetime decimal double float int integer interval numeric precision real smallint "
    "string text time timestamp tinyint varchar"
)
#: Words that stand beside operands; FROM only as in ``IS DISTINCT FROM``.
_KEYWORDS = _OPERATORS | _CASTS | _TYPES | _words("as distinct end false null true unknown")
#: Before a parenthesis they are no functions.
_BEFORE_PARENTHESES = _OPERATORS | _CASTS | _TYPES
#: What begins a query, or takes one. A column of such a name has to be quoted.
_RESERVED = _words(
    "all any except exists fetch from group having intersect join lateral limit offset order over select some table "
    "union unnest using values where window with"
)
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<comment>--|/\*)
    |(?P<text>'(?:[^']|'')*')
    |(?P<name>"(?:[^"]|"")*"|`[^`]*`)
    |(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    |(?P<word>[^\W\d]\w*)
    |(?P<operator>::|[-+*/%=<>!~^&|(),]+?)""",
    re.VERBOSE,
)
_OPERANDS = ("text", "name", "number", "word")


class _Token(NamedTuple):
    kind: str
    text: str

    @property
    def word(self) -> str:
        """The keyword or the name, in small letters; nothing if it is quoted."""
        return self.text.lower() if self.kind == "word" else ""


def sql_expression(text: str) -> pl.Expr:
    """Return the expression of a condition, once it is known to be one that opens nothing.

    Raises:
        ValueError: it is none; the message is one line.
    """
    try:
        check_allowed(text)
        return pl.sql_expr(text)
    except (ValueError, *SQL_ERRORS) as error:
        raise ValueError(f"cannot read the condition {text!r}: {first_line(error)}") from None


def first_line(error: BaseException) -> str:
    """Return the first line of what polars says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].replace("dyn int", "number")


def check_allowed(text: str) -> None:
    """See that a text is an expression that calls no functions but those on the list.

    >>> check_allowed("price > 3 AND lower(item) LIKE 'a%'")

    Raises:
        ValueError: it is none, and says why.
    """
    before = previous = _Token("operator", "")
    for token in _tokens(text):
        _check(token, previous, before)
        before, previous = previous, token


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"it has {text[at]!r}, which is no part of a condition outside of quotes")
        kind, at = str(match.lastgroup), match.end()
        if kind == "comment":
            raise ValueError(f"it has {match.group()!r}: a condition has no comments, and 1 - -1 needs a blank")
        if kind != "space":
            yield _Token(kind, match.group())


def _check(token: _Token, previous: _Token, before: _Token) -> None:
    if token.text == "(" and previous.kind in _OPERANDS:
        if previous.word not in _BEFORE_PARENTHESES and previous.word not in FUNCTIONS:
            raise ValueError(f"it calls {previous.text}, and may call only {', '.join(sorted(FUNCTIONS))}")
    elif token.text == ")" and previous.text == "(":
        raise ValueError("it has nothing in its parentheses")
    elif token.word == "from" and previous.word == "distinct" and before.word in ("is", "not"):
        return
    elif token.word in _RESERVED:
        raise ValueError(f'it is no query, so it has no {token.text}; a column of that name is written "{token.text}"')
    elif token.kind in _OPERANDS and _ends_operand(previous) and token.word not in _KEYWORDS:
        raise ValueError(f"there is no operator between {previous.text} and {token.text}")


def _ends_operand(token: _Token) -> bool:
    return token.text == ")" or (token.kind in _OPERANDS and token.word not in _KEYWORDS | {"from"})
