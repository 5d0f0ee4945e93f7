"""What a condition may be made of: nothing that opens a file or an address."""

from __future__ import annotations

import contextlib

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from transforms.untyped.sql_allowed import FUNCTIONS, check_allowed
from transforms.untyped.sql_condition import Condition

ALLOWED = [
    "price > 3 AND item LIKE 'A%'",
    '"Unit Price" BETWEEN 1 AND 2',
    "note IS NOT NULL OR NOT fresh",
    "a IS DISTINCT FROM b",
    "a IS NOT DISTINCT FROM 'x'",
    "CASE WHEN a > 1 THEN TRUE ELSE b IN (1, 2) END",
    "CAST(a AS DOUBLE PRECISION) > 1 AND b::INTEGER < -2 AND TRY_CAST(a AS DECIMAL(10, 2)) = .5e1",
    "lower(a) = 'it''s' AND substr(b, 1, 2) IN ('x', 'SELECT a FROM read_csv(''/x'')')",
    "strptime(day, '%Y-%m-%d') < DATE '2026-01-01'",
    "\"select\" = 'x' AND `from` > 1 AND ähre ILIKE '%'",
    "a RLIKE '^[0-9]+$' OR (a || b) = 'xy'",
]
REFUSED = [
    ("a IN (SELECT a FROM read_csv('/etc/passwd'))", "it is no query, so it has no SELECT"),
    ("read_csv('/etc/passwd') IS NULL", "it calls read_csv, and may call only abs, "),
    ("\"read_csv\"('/etc/passwd') = a", 'it calls "read_csv", and may call only abs, '),
    ("'read_csv'('x') = a", "it calls 'read_csv', and may call only abs, "),
    ("a = (TABLE t)", "it is no query, so it has no TABLE"),
    ("a = ANY (VALUES (1))", "it is no query, so it has no ANY"),
    ("a -- '\n IN (SELECT a FROM read_csv('x')) --'", "it has '--': a condition has no comments"),
    ("a /* ' */ = read_csv('x') /* ' */", "it has '/*': a condition has no comments"),
    ("a = E'\\' OR a = read_csv('x') --'", "there is no operator between E and '"),
    ("a = $$'$$ OR read_csv('x') = $$'$$", "it has '$', which is no part of a condition outside of quotes"),
    ("a = 'x", 'it has "\'", which is no part of a condition outside of quotes'),
    ("a > 1; DROP", "it has ';', which is no part of a condition"),
    ("a b", "there is no operator between a and b"),
    ("a DISTINCT FROM b", "it is no query, so it has no FROM"),
    ("concat() = a", "it has nothing in its parentheses"),
    ("a.b > 1", "it has '.', which is no part of a condition"),
]
#: A file that is not there, so that who opens it says so.
NOWHERE = "/nowhere/at/all.csv"
READS = f"read_csv('{NOWHERE}')"
QUERY = " ".join(("SELECT a FROM", READS))
WORDS = (
    "a b x SELECT select FROM from TABLE VALUES EXISTS UNION IN AND NOT IS DISTINCT ANY AS CASE WHEN THEN END CAST WITH"
)
MARKS = ["=", ">", "*", ",", "(", ")", "-", "--", "/*", "*/", "'", '"', "`", "$$", "\n", "\\", "#", "@", "::", ";"]
PIECES = st.sampled_from(
    [
        *WORDS.split(),
        *MARKS,
        "''",
        "'x'",
        "E'",
        "\\'",
        "1",
        "lower(",
        "read_csv(",
        f"'{NOWHERE}'",
        f'"{NOWHERE}"',
        READS,
        f"({QUERY})",
        f"FROM {READS}",
        f"scan_csv('{NOWHERE}')",
        f"read_parquet('{NOWHERE}')",
    ]
)


@pytest.mark.parametrize("text", ALLOWED)
def test_expressions_are_allowed(text):
    check_allowed(text)
    pl.sql_expr(text)


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_what_is_no_expression_is_refused_with_its_reason(text, said):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message is compared)
        check_allowed(text)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_no_function_on_the_list_is_unknown_to_polars(name):
    known = False
    for arguments in ("a", "a, 2", "a, 'x'", "'year', a", "a, 1, 2", "a, 'x', 'y'", "TRUE, a, a"):
        with contextlib.suppress(pl.exceptions.PolarsError):
            pl.sql_expr(f"{name}({arguments})")
            known = True
    assert known


@settings(max_examples=500)
@given(st.lists(PIECES, max_size=12).map(" ".join) | st.lists(PIECES, max_size=12).map("".join))
@example(f"a IN ({QUERY})")
@example(f"a -- '\n IN ({QUERY}) --'")
def test_whatever_is_typed_no_file_is_opened(text):
    said = ""
    try:
        condition = Condition(text)
        condition.keeps(pl.DataFrame({name: ["1", None] for name in condition.columns}))
        assert "subplan" not in str(pl.sql_expr(text))
    except ValueError as error:
        said = str(error)
    assert "os error" not in said
    assert "\n" not in said
