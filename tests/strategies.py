"""Every Hypothesis strategy of the tests."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from random import Random

import polars as pl
from hypothesis import strategies as st

from schemas.records import Column, Dialect, RecordType
from schemas.wedge import COLUMNS
from transforms.columns import EVENT_TIME
from transforms.windows import Windows

#: A small record type that has a column of each kind, required and not; the last one may be empty.
SALE = RecordType(
    name="sale",
    names=("key", "when", "amount", "pieces", "unused", "note"),
    columns=(
        Column("key", "text", required=True),
        Column("when", "time", required=True),
        Column("amount", "decimal"),
        Column("pieces", "integer"),
        Column("note", "text"),
    ),
    event_time="when",
)

dialects = st.builds(
    Dialect,
    separator=st.sampled_from("\t,;|"),
    quoted=st.booleans(),
    encoding=st.sampled_from(["utf-8", "latin-1"]),
    header=st.just(()),
    skip=st.just(0),
)
times = st.datetimes(datetime(2011, 4, 1), datetime(2011, 4, 3)).map(lambda t: t.strftime("%Y-%m-%d %H:%M:%S"))
odd_times = st.sampled_from(
    [
        "2011-4-1 10:40:23",
        "+2011-4-01 10:40:23",
        "2011-04-31 10:40:23",
        "2011-04-01T10:40:23",
        "2011-04-01 24:00:00",
        "2011-04-01 10:40:60",
        " 2011-04-01 10:40:2",
        "2011-04-01 10:40:23 ",
        "0000-01-01 00:00:00",
        "2011-04-01 1:040:23",
        "2011-04-01  1:40:23",
        "-001-04-01 10:40:23",
        "20111-4-01 10:40:23",
        "NULL",
        "",
    ]
)
decimals = st.decimals(-(10**6), 10**6, places=4).map(str) | st.decimals(-100, 100, places=2).map(str)
odd_decimals = st.sampled_from(
    ["1e3", "1E-12", "1e-13", "+1.5", ".5", "5.", "-", ".", "", " ", "  ", "NULL", " 1.5 ", "0.729614", "1.0000000001",
     "1.2345678901234", "inf", "nan", "NaN", "1_000", "0x10", "99999999999999999999999999999",
     "100000000000000000000000000000", "9" * 40, "--1", "1.5.2", "١", "1,5", "00000000000001.50",
     "0.00000000000000000000", "-0.0000000001", "1\r"]
)  # fmt: skip
integers = st.integers(-(10**6), 10**6).map(str)
odd_integers = st.sampled_from(
    ["", " ", "NULL", "1.0", "+5", " 7", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
     "-9223372036854775809", "1e3", "0x1", "1_0", "٣", "00012", "-", "nan", "9" * 50]
)  # fmt: skip
texts = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=6) | st.sampled_from(
    [
        "",
        " ",
        "NULL",
        " NULL",
        "NULL ",
        "O.Kale",
        '"',
        '""',
        'a"b',
        '"a"',
        "a,b",
        "a;b",
        "a\tb",
        "a|b",
        "\r",
        "\0",
        "\ufeff",
        "ä",
    ]
)


def render_field(text: str, dialect: Dialect, force: bool) -> str:
    if dialect.quoted and (force or dialect.separator in text or text.startswith('"')):
        return '"' + text.replace('"', '""') + '"'
    return text


@st.composite
def sale_lines(draw, dialect: Dialect, odd: bool = True) -> bytes:
    """One line of a SALE, mostly right; its bytes without line end."""
    if odd and draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=30)).replace(b"\n", b"")
    fields = [
        draw(texts),
        draw(times | odd_times if odd else times),
        draw(decimals | odd_decimals if odd else decimals),
        draw(integers | odd_integers if odd else integers),
        draw(texts),
        draw(texts),
    ]
    if odd and draw(st.integers(0, 9)) == 0:
        fields = fields[: draw(st.integers(0, 5))] if draw(st.booleans()) else [*fields, draw(texts)]
    force = draw(st.booleans())
    text = dialect.separator.join(render_field(field, dialect, force) for field in fields)
    line = text.encode(dialect.encoding, "replace")
    if odd and draw(st.integers(0, 19)) == 0:
        place = draw(st.integers(0, len(line)))
        line = line[:place] + draw(st.sampled_from([b'"', b"\xff", b"\x80", b"\r", b'""'])) + line[place:]
    return line


@st.composite
def sale_data(draw, dialect: Dialect, odd: bool = True) -> bytes:
    """Some lines with their line ends, of either kind, the last one maybe without."""
    lines = draw(st.lists(sale_lines(dialect, odd), max_size=8))
    ends = draw(st.lists(st.sampled_from([b"\n", b"\r\n"]), min_size=len(lines), max_size=len(lines)))
    data = b"".join(line + end for line, end in zip(lines, ends))
    return data if draw(st.booleans()) else data.removesuffix(b"\n")


#: The frame that parsing a SALE gives, without the numbers of its records.
SALE_SCHEMA = {
    EVENT_TIME: pl.Datetime("us"),
    "key": pl.String,
    "amount": pl.Decimal(38, 9),
    "pieces": pl.Int64,
    "note": pl.String,
}
#: Few moments, so that rows meet at the same one, at the borders of windows, and on either side of 1970.
moments = st.sampled_from(
    [
        datetime(1969, 12, 31, 23, 55),
        datetime(1969, 12, 31, 23, 59, 59),
        datetime(1970, 1, 1),
        datetime(2011, 4, 1, 9, 59, 59),
        datetime(2011, 4, 1, 10, 0),
        datetime(2011, 4, 1, 10, 4, 59),
        datetime(2011, 4, 1, 10, 5),
        datetime(2011, 4, 1, 10, 10),
        datetime(2011, 4, 2),
    ]
)
microseconds = st.datetimes(datetime(1902, 1, 1), datetime(2200, 1, 1))
amounts = st.sampled_from([None, "0.000000001", "-0.000000001", "1.5", "2.5", "0"]).map(
    lambda text: text and Decimal(text)
) | st.decimals(-(10**15), 10**15, places=9)


def lists_up_to(most: int, elements: st.SearchStrategy) -> st.SearchStrategy:
    """Lists of which long ones are as likely as short ones."""
    return st.integers(0, most).flatmap(lambda size: st.lists(elements, min_size=size, max_size=size))


sale_rows = lists_up_to(
    16,
    st.fixed_dictionaries(
        {
            EVENT_TIME: moments,
            "key": st.sampled_from(["a", "a", "ä", None]),
            "amount": amounts,
            "pieces": st.none() | st.integers(-3, 3) | st.integers(-(10**9), 10**9),
            "note": st.sampled_from([None, "", "x", "X", "ä", "x\0", "\U0001f954", "\uffff"]),
        }
    ),
)


def sale_frame(rows: list[dict]) -> pl.DataFrame:
    return pl.DataFrame(rows, SALE_SCHEMA, orient="row")


def shuffled_cuts(random: Random, rows: list) -> list[list]:
    """The rows in another order, in one to five parts, some of them empty."""
    rows = random.sample(rows, len(rows))
    borders = sorted(random.randint(0, len(rows)) for _ in range(random.randint(0, 4)))
    return [rows[start:stop] for start, stop in zip([0, *borders], [*borders, len(rows)])]


def merged_by_any_tree(random: Random, parts: list, merge):
    """What is left when some of the parts, whichever, are merged again and again, until it is one."""
    while len(parts) > 1:
        random.shuffle(parts)
        taken = random.randint(2, len(parts))
        parts = [merge(parts[:taken]), *parts[taken:]]
    return merge(parts)


@st.composite
def tape_rows(draw) -> list[bytes]:
    """Lines of register tape, of few products and moments, now and then broken; without line ends."""
    odd = st.sampled_from([b"", b"garbage", b"\xff\t\t"])
    return draw(lists_up_to(30, st.integers(0, 15).flatmap(lambda n: tape_lines() if n else odd)))


@st.composite
def tape_lines(draw) -> bytes:
    fields = dict.fromkeys(COLUMNS, "0")
    fields["datetime"] = f"{draw(moments):%Y-%m-%d %H:%M:%S}"
    fields["upc"] = draw(st.sampled_from(["0000000004011", "0000000000046"]))
    fields["description"] = draw(st.sampled_from(["BANANA", "O.BANANA", "KALE ", "NULL", " ", "Jalapeño"]))
    fields["trans_type"] = draw(st.sampled_from("IIIIIIDTX "))
    fields["department"] = draw(st.sampled_from(["2"] * 9 + ["1", "02", "NULL", "x"]))
    fields["quantity"] = draw(st.sampled_from(["1", "-1", "0.729614", "NULL", "1.00", ".5"]) | decimals)
    fields["scale"] = draw(st.sampled_from(["0", "1", "NULL", " "]))
    fields["total"] = draw(st.sampled_from(["1.9900"] * 5 + ["-1.9900", "0.01", "NULL", "1e3"]) | decimals)
    return "\t".join(fields.values()).encode()


@st.composite
def windows(draw) -> Windows:
    """All time, fixed or sliding, with at most thirteen windows at a time, aligned or not."""
    unit = draw(st.sampled_from([1, 7, 10**6, 300 * 10**6, 3600 * 10**6]))
    length = draw(st.integers(0, 12))
    step = draw(st.integers(1, length)) if length else 0
    return Windows(length * unit, step * unit)
