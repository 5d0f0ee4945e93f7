"""Every Hypothesis strategy of the tests."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

import polars as pl
from hypothesis import strategies as st

from schemas.elements.frames import EVENT_TIME
from schemas.forms.json_lines import JSON_LINES
from schemas.record_type import Column, Dialect, RecordType
from schemas.tape import COLUMNS
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
    encoding=st.sampled_from(["utf-8", "latin-1", "cp1252"]),
    header=st.just(()),
    skip=st.just(0),
    quote=st.sampled_from("\"'"),
    escape=st.sampled_from(["", "", "\\"]),
    comment=st.just(""),
    repeated=st.just(""),
    width=st.just(0),
    multiline=st.just(False),
)
#: Those in which not every line is a record.
many_line_dialects = st.builds(
    lambda dialect, **more: dialect._replace(**more),
    dialects,
    comment=st.sampled_from(["", "#", "k", "--"]),
    repeated=st.sampled_from(["", "key;when", "a"]),
    width=st.sampled_from([0, 6]),
    multiline=st.booleans(),
)
times = st.datetimes(datetime(2011, 4, 1), datetime(2011, 4, 3)).map(lambda t: t.strftime("%Y-%m-%d %H:%M:%S"))
odd_times = st.sampled_from(
    [
        "2011-4-1 10:40:23",
        "+2011-4-01 10:40:23",
        "2011-04-31 10:40:23",
        "2011-04-01T10:40:23",
        "2011-04-01T10:40:23.25+02:00",
        "2011-04-01 10:40:23Z",
        "2011-04-01 10:40",
        "1301654423",
        "9999-12-31 23:59:59",
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
    if dialect.escape:
        text = text.replace(dialect.escape, dialect.escape * 2)
    if dialect.quoted and (force or dialect.separator in text or text.startswith(dialect.quote)):
        inside = dialect.escape + dialect.quote if dialect.escape and force else dialect.quote * 2
        return dialect.quote + text.replace(dialect.quote, inside) + dialect.quote
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
        line = line[:place] + draw(st.sampled_from([b'"', b"'", b"\\", b"\xff", b"\x81", b"\r", b'""'])) + line[place:]
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


@st.composite
def panes(draw) -> list[tuple[int, int, dict[str, int]]]:
    """Results in any order, some of them more than once: window, pane, and the value of each key that it has."""
    count = draw(st.integers(1, 6))
    content = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9), max_size=4)
    whole = draw(st.dictionaries(st.tuples(st.integers(0, 2), st.integers(0, 4)), content, min_size=1, max_size=count))
    given = [(window, pane, values) for (window, pane), values in whole.items()]
    repeated = draw(st.lists(st.sampled_from(given), max_size=4))
    return draw(st.permutations([*given, *repeated]))


#: A JSON record type that has a field of each kind, required and not.
VISIT = RecordType(
    name="visit",
    names=("when", "ip", "code", "value", "known", "page"),
    columns=(
        Column("when", "time"),
        Column("ip", "ip", required=True),
        Column("code", "integer", required=True),
        Column("value", "decimal"),
        Column("known", "boolean"),
        Column("page", "text"),
    ),
    event_time="when",
    form=JSON_LINES,
)
iso_times = st.builds(
    lambda moment, mark, fraction, zone: f"{moment:%Y-%m-%d}{mark}{moment:%H:%M:%S}{fraction}{zone}",
    st.datetimes(datetime(1000, 1, 2)),
    st.sampled_from(" T"),
    st.sampled_from(["", "", ".5", ".000001", ".25", ".123456"]),
    st.sampled_from(["", "", "Z", "+02:00", "-0330", "+0000", "+23:59", "-23:59"]),
)
odd_iso_times = st.sampled_from(
    ["", "NULL", "2019-05-06", "2019-05-06t17:24:53", "2019-05-06 17:24:53.", "2019-05-06 17:24:53.1234567",
     "2019-02-29 00:00:00", "2020-02-29 00:00:00", "1900-02-29T00:00:00Z", "2000-02-29T00:00:00Z",
     "2019-05-06 24:00:00",
     "2019-05-06 23:59:60", "2019-05-06 17:24:53+24:00", "2019-05-06 17:24:53+02:60", "2019-05-06 17:24:53 +02:00",
     "9999-12-31 23:59:59-00:01", "9999-12-31 23:59:59", "0001-01-01 00:00:00+00:01", "0999-01-01 00:00:00",
     "2019-5-06 17:24:53", "2019-05-06 17:24:53\\u005a", "+019-05-06 17:24:53", "２019-05-06 17:24:53"]
)  # fmt: skip
ips = st.ip_addresses().map(str) | st.sampled_from(["10.0.186.98", "::1", "2001:db8::1"])
odd_ips = st.sampled_from(
    ["", "10.0.0.256", "10.0.0.01", "10.0.0", "10.0.0.1 ", "::ffff:10.0.0.1", "::FFFF:A00:1", "2001:DB8:0:0::1",
     "fe80::1%eth0",
     "localhost", "10.0.0.1/8", "1.1.1.1.1", "::1.2.3.4", "\\u0031.1.1.1", "１.1.1.1", ":::"]
)  # fmt: skip
json_strings = st.text(st.characters(codec="utf-8"), max_size=5).map(
    lambda text: "".join("x" if c in '"\\' or ord(c) < 0x20 else c for c in text)
) | st.sampled_from(
    ["\\u00e9", '\\"', "\\\\", "\\ud83e\\udd54", "\\ud800", "\\udfff\\ud800", "\\x", "\\u00g0", "\\n", "\\/", "\t",
     "\\", "NULL", " ",
     "\x7f", "\\u0000"]
)  # fmt: skip
json_numbers = (
    st.integers(-(2**64), 2**64).map(str)
    | st.integers(0, 600).map(str)
    | st.decimals(-(10**6), 10**6, places=2).map(str)
    | st.decimals(-(10**18), 10**18, places=9).map("{:f}".format)
    | st.sampled_from(
        ["-0", "01", "+1", "5.0", "5.", ".5", "1e3", "1E-3", "-1.5e+2", "1e-9", "1e-10", "0e99999999999", "1e17",
         "1e18",
         "12345678901234567.8e1", "1e999999999999", "1.0000000000", "1.0000000001", "NaN", "Infinity", "-Infinity",
         "9" * 18,
         "9" * 19, "9" * 5000, "0.00000000000000000001e15", "100e-11", "100e-10", "9223372036854775807",
         "-9223372036854775808"]
    )
)  # fmt: skip
json_values = (
    st.sampled_from(
        ["true", "false", "null", "{}", "[1]", '{"ip":"10.0.0.1"}', "nul", "", "[" * 3000, "[" * 3000 + "]" * 3000]
    )
    | json_numbers
    | (json_strings | iso_times | ips | odd_ips).map('"{}"'.format)
)
_JSON_FIELDS = {
    "when": (iso_times | iso_times | odd_iso_times).map('"{}"'.format),
    "ip": (ips | ips | odd_ips).map('"{}"'.format),
    "code": st.integers(200, 599).map(str),
    "value": json_numbers,
    "known": st.sampled_from(["true", "false"]),
    "page": json_strings.map('"{}"'.format),
    "extra": json_values,
}


@st.composite
def visit_lines(draw, keys: tuple[str, ...]) -> bytes:
    """One line with such fields, mostly right; its bytes without line end."""
    kind = draw(st.integers(0, 19))
    if kind == 0:
        return draw(st.binary(max_size=20)).replace(b"\n", b"")
    fields = [(key, draw(json_values if draw(st.integers(0, 9)) == 0 else _JSON_FIELDS[key])) for key in keys]
    if kind == 1:
        fields = draw(st.permutations(fields))
    if kind == 2:
        fields = draw(st.lists(st.sampled_from(fields), max_size=8))
    comma, colon, border = draw(
        st.sampled_from([(",", ":", ""), (", ", ": ", ""), (" ,\t", " : ", " "), (",", ":", "\r")])
    )
    text = border + "{" + comma.join(f'"{key}"{colon}{value}' for key, value in fields) + "}" + border
    line = text.encode()
    if kind == 3:
        place = draw(st.integers(0, len(line)))
        line = (
            line[:place]
            + draw(st.sampled_from([b'"', b"\xff", b"\\", b"\r", b",", b"}", b"\xef\xbb\xbf", b"\0"]))
            + line[place:]
        )
    return line


@st.composite
def visit_data(draw) -> bytes:
    """Some lines, most of them with the same fields in the same order."""
    keys = st.lists(st.sampled_from(list(_JSON_FIELDS)), min_size=2, unique=True).map(tuple)
    shapes = st.sampled_from([("when", "ip", "code"), ("code", "ip", "extra"), tuple(_JSON_FIELDS)]) | keys
    shape = draw(shapes)
    lines = draw(lists_up_to(8, visit_lines(shape)))
    ends = draw(st.lists(st.sampled_from([b"\n", b"\r\n", b"\n\n"]), min_size=len(lines), max_size=len(lines)))
    data = b"".join(line + end for line, end in zip(lines, ends))
    return data if draw(st.booleans()) else data.removesuffix(b"\n")


@st.composite
def log_data(draw) -> bytes:
    """Some lines of an access log, mostly right."""
    quoted = st.sampled_from(["-", "", "GET / HTTP/1.1", 'a \\" b', "\\\\", "-x", "ä", "\\", 'a " b', "\t"])
    moment = st.datetimes(datetime(1000, 1, 2)).map("{:%d/%b/%Y:%H:%M:%S}".format)
    odd_time = st.sampled_from(
        ["29/Feb/2019:00:00:00 +0000", "29/Feb/2020:00:00:00 +0000", "31/Apr/2019:00:00:00 +0000",
         "6/May/2019:17:24:53 +0200",
         "06/Mai/2019:17:24:53 +0200", "06/May/2019:17:24:53", "06/May/2019:17:24:60 +0000",
         "31/Dec/9999:23:59:59 -0001", "",
         "06/may/2019:17:24:53 +0000", "06/May/2019:17:24:53 +2400", "06/May/0999:17:24:53 +0000"]
    )  # fmt: skip
    zone = st.sampled_from(["+0000", "+0200", "-0330", "-2359"])
    time = st.builds("{} {}".format, moment, zone) | odd_time
    line = st.builds(
        '{} {} {} [{}] "{}" {} {}{}'.format,
        ips | ips | odd_ips,
        st.sampled_from(["-", "-", "a b", "", "[x"]),
        st.sampled_from(["-", "frank"]),
        time,
        quoted,
        st.integers(200, 599) | st.sampled_from(["-", "2000", "20", ""]),
        st.integers(0, 10**6) | st.sampled_from(["-", "9" * 19, "9" * 5000, "-1", "007"]),
        st.builds(' "{}" "{}"'.format, quoted, quoted) | st.sampled_from(["", "", ' "-"', " x"]),
    ).map(str.encode)
    lines = draw(lists_up_to(8, line | line | line | st.binary(max_size=20).map(lambda raw: raw.replace(b"\n", b""))))
    return b"".join(line + draw(st.sampled_from([b"\n", b"\r\n"])) for line in lines)


#: Responses of a web server as (moment, visitor, status): around midnight, the end of a year, a weekend and the 29th of
#: February.
http_responses = lists_up_to(
    60,
    st.tuples(
        st.builds(
            lambda base, seconds: base + timedelta(seconds=seconds),
            st.sampled_from([datetime(2020, 2, 28, 23, 59, 58), datetime(2019, 12, 31, 23, 59, 59)]),
            st.integers(0, 200_000),
        ),
        st.sampled_from([0, 1, 2, 2**32]),
        st.sampled_from([200, 404, 499, 500, 503, 599, 600, 999]),
    ),
)


#: Transfers as (time, region, value), few enough that they meet in windows of seconds.
transfers = lists_up_to(
    12,
    st.tuples(
        st.datetimes(datetime(2024, 1, 1), datetime(2024, 1, 1, 0, 0, 30)),
        st.sampled_from(["a", "\u00e4", "b c"]),
        st.decimals("0.01", 10**6, places=2),
    ),
)


_KINDS = {
    "text": st.text(st.characters(codec="utf-8"), max_size=6).map(json.dumps),
    "integer": st.integers(-(2**63), 2**63 - 1).map(str),
    "decimal": st.decimals(-(10**18) + 1, 10**18 - 1, places=9).map("{:f}".format)
    | st.sampled_from(["5.99", "2", "-0", "0.000000001", "1e3", "1.50E-2", "-7.10"]),
    "time": iso_times.map(json.dumps),
    "ip": ips.map(json.dumps),
    "boolean": st.sampled_from(["true", "false"]),
}


@st.composite
def json_records(draw, record_type: RecordType) -> bytes:
    """A JSON line of that type, always right; what need not be there may be missing or null."""
    fields = []
    for name in record_type.names:
        column = record_type.column(name)
        value = draw(_KINDS[column.kind] if column.required else st.none() | st.just("null") | _KINDS[column.kind])
        if value is not None:
            fields.append(f"{json.dumps(name)}:{value}")
    return f"{{{','.join(draw(st.permutations(fields)))}}}".encode()
